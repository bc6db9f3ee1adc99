package handler

import (
	"context"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/trace"
	"k8s.io/apiserver/pkg/authentication/user"
)

// Request is what the filters know of one request. One value travels with the request in its
// context, so that a filter adds a field and not another context. Filters write its fields on the request's own
// goroutine; below the filters it is read only.
type Request struct {
	// Info tells what is asked for.
	Info RequestInfo
	// User is who asks: nil before authentication, the impersonated user after impersonation.
	User user.Info
	// Impersonator is who really asks when User is impersonated, else nil.
	Impersonator user.Info
	// ReceivedAt is the arrival time; every deadline and latency counts from it.
	ReceivedAt time.Time
	// Record is what is written down of the request; nil when nothing is.
	Record *Record
	// AuditID is the Audit-ID header of the request, or a new UUID.
	AuditID string
	// MuxIncomplete is true when the request arrived before every mux-completeness signal was
	// closed: a path nobody claims is then 503, never 404 (contract 1.1).
	MuxIncomplete bool
	// LongRunning requests have no deadline and are not counted in flight.
	LongRunning bool
	// Routed is set when something registered was found to serve the request, so that its resource is not
	// an invention of the client. The director sets it; who routes by a table of its own may set it too.
	Routed bool

	// Tracer makes the parts of the request's span; nil when it is not traced. TraceID is by what the trace is found.
	Tracer  trace.Tracer
	TraceID string
	// Unit is the name of the unit that the request has come to: in the end of the one that answers it, and empty when none
	// does. Directors set it.
	Unit string

	// Deprecated is set when clients should not use any more what is asked for; RemovedRelease is the one that will be without it, if that is known.
	Deprecated     bool
	RemovedRelease string

	waited    atomic.Int64 // nanoseconds
	warnings  warnings
	selectors selectors
	// claim is the web service that the director found, for the router of the same unit.
	claim *serviceRoutes
}

// Waited is how long the request has waited for others that this server is not to be judged by, such as webhooks.
func (r *Request) Waited() time.Duration { return time.Duration(r.waited.Load()) }

// AddWait adds to what the request of ctx, if there is one, has waited for others.
func AddWait(ctx context.Context, d time.Duration) {
	if r, ok := RequestFrom(ctx); ok {
		r.waited.Add(int64(d))
	}
}

// UsesDeprecated notes that the request of ctx is for something that clients should not use any more, for metrics and for the audit trail. Whoever
// serves it says so, on the request's own goroutine.
func UsesDeprecated(ctx context.Context, removedRelease string) {
	if r, ok := RequestFrom(ctx); ok {
		r.Deprecated, r.RemovedRelease = true, removedRelease
		r.Record.Annotate("k8s.io/deprecated", "true")
		if removedRelease != "" {
			r.Record.Annotate("k8s.io/removed-release", removedRelease)
		}
	}
}

type requestKey struct{}

// WithRequest returns a context that carries r.
func WithRequest(ctx context.Context, r *Request) context.Context {
	return context.WithValue(ctx, requestKey{}, r)
}

// RequestFrom returns the Request of ctx and whether there is one.
func RequestFrom(ctx context.Context) (*Request, bool) {
	r, ok := ctx.Value(requestKey{}).(*Request)
	return r, ok && r != nil
}

// WithoutRequest returns ctx for what the server does by itself while it serves a request: with its deadline, but not as its user.
func WithoutRequest(ctx context.Context) context.Context {
	return context.WithValue(ctx, requestKey{}, (*Request)(nil))
}
