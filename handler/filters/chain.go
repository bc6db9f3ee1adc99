package filters

import "net/http"

// filter is one step that a request takes on its way to the director.
type filter func(next http.Handler) http.Handler

// DefaultBuildHandlerChain puts the filters around the director of the first unit (contract 2.1).
func DefaultBuildHandlerChain(director http.Handler, c *Config) http.Handler {
	c = c.withDefaults()
	return chain(director, list(c))
}

// list is the filters in the order in which a request meets them.
func list(c *Config) []filter {
	return []filter{
		withAuditID(),                  // first: every answer carries the ID, an answer to a panic too
		withPanicRecovery(c.Metrics),   // nothing below may take the process down
		withMuxComplete(c.MuxComplete), // as early as possible: what counts is the moment of arrival
		withRequestInfo(c.LongRunning), // before anything that asks what is requested
		withMetrics(c.Metrics),         // outside all that may refuse a request
		withAccessLog(),
		withCacheControl(),
		withWaitGroup(c.WaitGroup, c.Metrics),      // a shutdown waits for all that is below
		withDeadline(c.RequestTimeout, c.Auditor),  // counts from the arrival
		withTimeout(c.Metrics),                     // enforces the deadline; below it, writes may be refused
		withAuthentication(c),                      // everything below may trust the user
		withTracing(c.Tracer),                      // who asks decides whether to believe what the client says of a trace
		withAudit(c.Auditor, c.Metrics),            // says who really asks, and what becomes of it below
		withImpersonation(c.Authorizer, c.Metrics), // limits and authorization are for the impersonated user
		withMaxInFlight(c),                         // after authentication: system:masters pass a full server
		withAuthorization(c.Authorizer, c.Metrics), // last: the director sees permitted requests only
	}
}

// chain folds the filters around h, from the back.
func chain(h http.Handler, filters []filter) http.Handler {
	for i := len(filters) - 1; i >= 0; i-- {
		h = filters[i](h)
	}
	return h
}
