package main

import (
	"fmt"
	"io"
	"log/slog"
	"math"
	"path/filepath"
	"strconv"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/klog/v2"
)

// The values of --logging-format.
const (
	logText = "text"
	logJSON = "json"
)

func (o *options) validateLogs() error {
	if o.logFormat != logText && o.logFormat != logJSON {
		return fmt.Errorf("--logging-format %q is unknown: choose %s or %s", o.logFormat, logText, logJSON)
	}
	return nil
}

// useLogFormat has everything that is logged from now on written to out in the given form. Text is klog's own way.
func useLogFormat(format string, out io.Writer) {
	if format == logJSON {
		// Without klog's option for contextual loggers: so it is klog that asks for the verbosity, which can change at run time.
		klog.SetLogger(logr.FromSlogHandler(newJSONLog(out)))
	}
}

// newJSONLog writes an object on each line, with the names that kube-apiserver's logs have: ts in milliseconds, caller, msg, v, and err. An
// entry without v is an error.
func newJSONLog(out io.Writer) slog.Handler {
	return slog.NewJSONHandler(out, &slog.HandlerOptions{
		AddSource: true,
		Level:     slog.Level(math.MinInt),
		ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
			if len(groups) == 0 {
				a = asKubeLogs(a)
			}
			if a.Value.Kind() == slog.KindDuration {
				a.Value = slog.StringValue(a.Value.Duration().String())
			}
			return a
		},
	})
}

func asKubeLogs(a slog.Attr) slog.Attr {
	switch a.Key {
	case slog.TimeKey:
		if a.Value.Kind() == slog.KindTime {
			return slog.Float64("ts", float64(a.Value.Time().UnixNano())/float64(time.Millisecond))
		}
	case slog.LevelKey:
		if level, ok := a.Value.Any().(slog.Level); ok {
			if level >= slog.LevelError {
				return slog.Attr{}
			}
			return slog.Int("v", -int(level))
		}
	case slog.SourceKey:
		if at, ok := a.Value.Any().(*slog.Source); ok {
			return slog.String("caller", filepath.Base(at.File)+":"+strconv.Itoa(at.Line))
		}
	}
	return a
}
