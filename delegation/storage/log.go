package storage

import (
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"k8s.io/klog/v2"
)

// quietLogger passes on what the etcd library warns of. What it calls fatal becomes a panic, so that it can
// be told as one line by whoever started it, instead of ending the process here.
func quietLogger(log klog.Logger) *zap.Logger {
	return zap.New(&logCore{log: log.WithName("etcd")}, zap.WithFatalHook(zapcore.WriteThenPanic))
}

// logCore is a zap core that writes to klog.
type logCore struct {
	log  klog.Logger
	with []zapcore.Field
}

func (c *logCore) Enabled(level zapcore.Level) bool { return level >= zapcore.WarnLevel }

func (c *logCore) With(fields []zapcore.Field) zapcore.Core {
	return &logCore{log: c.log, with: append(c.with[:len(c.with):len(c.with)], fields...)}
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
	case e.Level >= zapcore.DPanicLevel:
		// It is followed by a panic that says the same.
		c.log.V(2).Info(e.Message, pairs...)
	case e.Level >= zapcore.ErrorLevel:
		c.log.Error(nil, e.Message, pairs...)
	default:
		c.log.V(1).Info(e.Message, pairs...)
	}
	return nil
}

func (c *logCore) Sync() error { return nil }
