package audit

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"

	"gopkg.in/natefinch/lumberjack.v2"
)

// Format is how an event is written into a log.
type Format string

const (
	// JSON is an Event of audit.k8s.io/v1 on each line.
	JSON Format = "json"
	// Legacy is the main things of an event on each line, in plain text.
	Legacy Format = "legacy"
)

// Rotation is when a new log file begins, and how long the old ones stay.
type Rotation struct {
	MaxMegabytes int // 0 for lumberjack's 100
	MaxDays      int // 0 for ever
	MaxBackups   int // 0 for all
	Compress     bool
}

// NewFile returns a backend that writes into a file, which nobody else may read, and makes sure that it can.
func NewFile(file string, rotation Rotation, format Format, cfg Config) (*Backend, error) {
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return nil, fmt.Errorf("making the directory of the audit log: %w", err)
	}
	f, err := os.OpenFile(file, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening the audit log: %w", err)
	}
	if err := f.Close(); err != nil {
		return nil, fmt.Errorf("opening the audit log: %w", err)
	}
	// lumberjack refuses what no file has room for.
	if whole := cmp.Or(rotation.MaxMegabytes, 100) << 20; cfg.MaxEventSize == 0 || cfg.MaxEventSize > whole {
		cfg.MaxEventSize = whole
	}
	return newLog(&lumberjack.Logger{
		Filename: file, MaxSize: rotation.MaxMegabytes, MaxAge: rotation.MaxDays, MaxBackups: rotation.MaxBackups, Compress: rotation.Compress,
	}, format, cfg), nil
}

// NewStream returns a backend that writes to out, such as standard output.
func NewStream(out io.Writer, format Format, cfg Config) *Backend { return newLog(out, format, cfg) }

func newLog(out io.Writer, format Format, cfg Config) *Backend {
	encode := func(dst []byte, e *event) []byte { return append(e.appendJSON(dst), '\n') }
	if format == Legacy {
		encode = func(dst []byte, e *event) []byte { return append(e.appendLegacy(dst), '\n') }
	}
	return newBackend(nameLog, cfg, 1, &log{out: out}, encode)
}

// log writes events one after another. Each is one write, so that a process that is killed leaves whole lines.
type log struct {
	mu  sync.Mutex
	out io.Writer
}

// Deliver implements destination.
func (l *log) Deliver(_ context.Context, events [][]byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	var errs []error
	for _, event := range events {
		if _, err := l.out.Write(event); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// Close implements destination. A stream is not ours to close.
func (l *log) Close() error {
	if file, ok := l.out.(*lumberjack.Logger); ok {
		return file.Close()
	}
	return nil
}
