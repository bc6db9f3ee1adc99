package storage

import (
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"k8s.io/klog/v2"
)

// quietLogger passes on what the etcd library warns of, once started is set: before that it warns of what is
// normal for a server of one member, and of what is wrong the start itself tells.
func quietLogger(log klog.Logger, started *atomic.Bool, options ...zap.Option) *zap.Logger {
	return zap.New(&logCore{log: log.WithName("etcd"), started: started}, options...)
}

// failure catches what the etcd calls fatal. It may say so in any of its goroutines, where a panic would end the
// process with a page of stack instead of the one line that the operator needs.
type failure struct {
	started *atomic.Bool
	failed  chan error  // while it starts
	fail    func(error) // after that; it does not return, unless it is nil
}

// OnWrite ends the goroutine that gave up.
func (f *failure) OnWrite(e *zapcore.CheckedEntry, fields []zapcore.Field) {
	err := errors.New(e.Message)
	for _, field := range fields {
		if cause, ok := field.Interface.(error); ok && field.Type == zapcore.ErrorType {
			err = fmt.Errorf("%s: %w", e.Message, cause)
		}
	}
	if f.started.Load() {
		// The store can no longer keep what it promises (its disk, most likely): acknowledging anything more would be wrong.
		err = fmt.Errorf("the store in the data directory has failed: %w", err)
		if f.fail != nil {
			f.fail(err)
		}
		panic(err)
	}
	select {
	case f.failed <- err:
	default:
	}
	runtime.Goexit()
}

// logCore is a zap core that writes to klog.
type logCore struct {
	log     klog.Logger
	started *atomic.Bool
	with    []zapcore.Field
}

func (c *logCore) Enabled(level zapcore.Level) bool { return level >= zapcore.WarnLevel }

func (c *logCore) With(fields []zapcore.Field) zapcore.Core {
	return &logCore{log: c.log, started: c.started, with: append(c.with[:len(c.with):len(c.with)], fields...)}
}

func (c *logCore) Check(e zapcore.Entry, checked *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if c.Enabled(e.Level) {
		return checked.AddCore(e, c)
	}
	return checked
}

func (c *logCore) Write(e zapcore.Entry, fields []zapcore.Field) error {
	values := zapcore.NewMapObjectEncoder()
	for _, f := range c.with {
		f.AddTo(values)
	}
	for _, f := range fields {
		f.AddTo(values)
	}
	pairs := make([]any, 0, 2*len(values.Fields))
	for key, value := range values.Fields {
		pairs = append(pairs, key, value)
	}
	switch {
	case !c.started.Load(), newborn(e.Message):
		c.log.V(2).Info(e.Message, pairs...)
	case e.Level >= zapcore.ErrorLevel:
		c.log.Error(nil, e.Message, pairs...)
	default:
		c.log.Info(e.Message, pairs...)
	}
	return nil
}

// newborn tells whether a message is only about an etcd that has not written its first snapshot yet: until then it does
// not know the version of its own files, and tries again every few seconds.
func newborn(message string) bool {
	return message == "failed to update storage version" || message == "Failed to detect schema version"
}

func (c *logCore) Sync() error { return nil }
