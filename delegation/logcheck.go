package delegation

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"k8s.io/klog/v2"
)

const (
	logFlushInterval = time.Minute
	logFlushLatest   = 2 * time.Minute
)

// logFlusher flushes the log regularly: when that hangs, so does everything that logs.
type logFlusher struct {
	flush   func()
	flushed atomic.Pointer[time.Time] // nil before the start
}

func newLogFlusher() *logFlusher {
	return &logFlusher{flush: klog.Flush}
}

func (l *logFlusher) run(ctx context.Context) {
	tick := time.NewTicker(logFlushInterval)
	defer tick.Stop()
	for {
		l.flush()
		l.flushed.Store(new(time.Now()))
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

func (l *logFlusher) healthCheck() HealthCheck {
	return HealthCheck{Name: "log", Check: func(context.Context) error {
		if at := l.flushed.Load(); at != nil && time.Since(*at) > logFlushLatest {
			return errors.New("logging blocked")
		}
		return nil
	}}
}
