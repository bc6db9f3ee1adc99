package filters

import (
	"context"
	"net/http"
	"slices"

	"go.opentelemetry.io/otel/trace"
	"k8s.io/apiserver/pkg/authentication/user"

	"github.com/portico-api/portico/handler"
)

// withTracing makes a span of every request that is sampled. Whether it is, a client decides that may look at everything anyway; what others say of a trace
// is not believed, or anybody could have the server trace all that they ask for (contract 2.1). The span of a watch or stream lasts as long as it does, like
// upstream's; so that something is seen of it before it ends, what it takes to open is a span of its own. Without a tracer the filter is not there.
func withTracing(tracer trace.Tracer) filter {
	return func(next http.Handler) http.Handler {
		if tracer == nil {
			return next
		}
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			rq, rw := requestOf(r), writerOf(w)
			ctx, t := handler.BeginTrace(r.Context(), tracer, r, rq, maySample(rq.User))
			rw.exchange.context.traced = trace.ContextWithSpan(nowhere{}, trace.SpanFromContext(ctx))
			rq.TraceID = t.ID()
			if rq.LongRunning {
				defer traceOpening(ctx, rw)()
			}
			code := http.StatusInternalServerError // what a panic is answered with
			defer func() { t.End(code, rw.size, rq.Unit) }()
			next.ServeHTTP(w, r)
			if code = rw.status; code == 0 {
				code = http.StatusOK // an empty answer
			}
		})
	}
}

// traceOpening makes a span of the time until the answer begins. What it returns ends it, if nothing else has.
func traceOpening(ctx context.Context, rw *responseWriter) (end func()) {
	_, opening := handler.StartSpan(ctx, "opening")
	if !opening.Recording() {
		return func() {}
	}
	before := rw.onCommit
	rw.onCommit = func(code int) {
		if before != nil {
			before(code)
		}
		opening.End(nil)
	}
	return func() { opening.End(nil) } // a second time it does nothing
}

func maySample(u user.Info) bool {
	groups := u.GetGroups()
	return slices.Contains(groups, user.SystemPrivilegedGroup) || slices.Contains(groups, user.MonitoringGroup)
}
