package handler

import (
	"context"
	"net/http"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// Span is one station of a traced request. The zero Span is that of a request that is not traced, and does nothing.
type Span struct{ span trace.Span }

// StartSpan begins a station of the request of ctx as part of what ctx is in. When the request is not traced, which is nearly always, it returns ctx
// as it is and costs a look into the request.
func StartSpan(ctx context.Context, name string) (context.Context, Span) {
	r, ok := RequestFrom(ctx)
	if !ok || r.Tracer == nil {
		return ctx, Span{}
	}
	ctx, span := r.Tracer.Start(ctx, name)
	return ctx, Span{span}
}

// Recording tells whether there is anything to be set.
func (s Span) Recording() bool { return s.span != nil }

// Set says something about the station.
func (s Span) Set(key, value string) {
	if s.span != nil {
		s.span.SetAttributes(attribute.String(key, value))
	}
}

// End ends the station, with what went wrong if anything did.
func (s Span) End(err error) {
	if s.span == nil {
		return
	}
	if err != nil {
		s.span.SetStatus(codes.Error, err.Error())
	}
	s.span.End()
}

// InjectTrace tells whoever is sent h that it is part of what ctx is in, in W3C's words.
func InjectTrace(ctx context.Context, h http.Header) {
	propagation.TraceContext{}.Inject(ctx, propagation.HeaderCarrier(h))
}

// Trace is what a request's spans are told of it when it begins and when it has ended.
type Trace struct {
	span trace.Span
	id   string
}

// BeginTrace begins the span of a whole request, whose parts then follow. remote is the span of the client that it belongs to, if the client may decide that;
// one that may not is only mentioned.
func BeginTrace(ctx context.Context, tracer trace.Tracer, r *http.Request, rq *Request, trusted bool) (context.Context, *Trace) {
	propagator, carrier := propagation.TraceContext{}, propagation.HeaderCarrier(r.Header)
	remote := trace.SpanContextFromContext(propagator.Extract(ctx, carrier))
	options := []trace.SpanStartOption{trace.WithSpanKind(trace.SpanKindServer), trace.WithTimestamp(rq.ReceivedAt)}
	if trusted {
		ctx = trace.ContextWithRemoteSpanContext(ctx, remote)
	} else {
		options = append(options, trace.WithNewRoot())
		if remote.IsValid() {
			options = append(options, trace.WithLinks(trace.Link{SpanContext: remote}))
		}
		for _, name := range []string{"Traceparent", "Tracestate", "Baggage"} {
			delete(r.Header, name) // nobody behind is to believe it either
		}
	}
	ctx, span := tracer.Start(ctx, spanName(r.Method, &rq.Info), options...)
	propagator.Inject(ctx, carrier) // for who gets the request as it is
	if !span.IsRecording() {
		return ctx, &Trace{span: span}
	}
	rq.Tracer = tracer
	span.SetAttributes(
		attribute.String("http.request.method", r.Method),
		attribute.String("url.path", r.URL.Path),
		attribute.String("user_agent.original", r.UserAgent()),
		attribute.String("audit-id", rq.AuditID),
	)
	_, before := tracer.Start(ctx, "filters until authentication", trace.WithTimestamp(rq.ReceivedAt))
	before.End()
	return ctx, &Trace{span, span.SpanContext().TraceID().String()}
}

// ID is by what the trace is found; empty when nothing is recorded.
func (t *Trace) ID() string { return t.id }

// End ends the span of the request, which was answered with the code and size.
func (t *Trace) End(code int, size int64, unit string) {
	t.span.SetAttributes(attribute.Int("http.response.status_code", code), attribute.Int64("http.response.body.size", size), attribute.String("unit", unit))
	if code >= http.StatusInternalServerError {
		t.span.SetStatus(codes.Error, "")
	}
	t.span.End(trace.WithTimestamp(time.Now()))
}

// spanName is the kind of request, without the names in it: there must not be many.
func spanName(method string, info *RequestInfo) string {
	if !info.IsResourceRequest {
		return method
	}
	name := method + " /" + info.APIPrefix
	if info.APIGroup != "" {
		name += "/" + info.APIGroup
	}
	name += "/" + info.APIVersion
	if info.Namespace != "" && info.Resource != "namespaces" {
		name += "/namespaces/{:namespace}"
	}
	name += "/" + info.Resource
	if info.Name != "" {
		name += "/{:name}"
	}
	if info.Subresource != "" {
		name += "/" + info.Subresource
	}
	return name
}
