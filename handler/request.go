package handler

import (
	"context"
	"time"

	"k8s.io/apiserver/pkg/authentication/user"
)

// Request is what the filters know of one request. One value travels with the request in its
// context, so that a filter adds a field and not another context.
type Request struct {
	// Info tells what is asked for.
	Info RequestInfo
	// User is who asks: nil before authentication, the impersonated user after impersonation.
	User user.Info
	// ReceivedAt is the arrival time; every deadline and latency counts from it.
	ReceivedAt time.Time
	// AuditID is the Audit-ID header of the request, or a new UUID.
	AuditID string
	// MuxIncomplete is true when the request arrived before every mux-completeness signal was
	// closed: a path nobody claims is then 503, never 404 (contract 1.1).
	MuxIncomplete bool
	// LongRunning requests have no deadline and are not counted in flight.
	LongRunning bool

	warnings warnings
}

type requestKey struct{}

// WithRequest returns a context that carries r.
func WithRequest(ctx context.Context, r *Request) context.Context {
	return context.WithValue(ctx, requestKey{}, r)
}

// RequestFrom returns the Request of ctx and whether there is one.
func RequestFrom(ctx context.Context) (*Request, bool) {
	r, ok := ctx.Value(requestKey{}).(*Request)
	return r, ok
}
