package storage

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

// startSpan begins a request to the store as part of what ctx is in, if that is traced. It is asked for only where a disk or a network is waited for.
func (c *Cache) startSpan(ctx context.Context, operation string) (context.Context, func(error)) {
	parent := trace.SpanFromContext(ctx)
	if !parent.IsRecording() {
		return ctx, func(error) {}
	}
	ctx, span := parent.TracerProvider().Tracer("storage").Start(ctx, "store",
		trace.WithSpanKind(trace.SpanKindClient),
		trace.WithAttributes(attribute.String("operation", operation), attribute.String("group", c.cfg.Group), attribute.String("resource", c.cfg.Resource)))
	return ctx, func(err error) {
		if err != nil {
			span.SetStatus(codes.Error, err.Error())
		}
		span.End()
	}
}
