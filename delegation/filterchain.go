package delegation

import (
	"errors"
	"net/http"

	"github.com/portico-api/portico/handler"
	"github.com/portico-api/portico/handler/filters"
)

// DefaultBuildHandlerChain puts the filters of handler/filters around director, as c says.
func DefaultBuildHandlerChain(director http.Handler, c *Config) http.Handler {
	if c.Authenticator == nil || c.Authorizer == nil {
		return unguarded{}
	}
	return filters.DefaultBuildHandlerChain(director, c.filters())
}

func (c *Config) filters() *filters.Config {
	return &filters.Config{
		Authenticator:               c.Authenticator,
		Authorizer:                  c.Authorizer,
		IdentityHeaders:             c.IdentityHeaders,
		IdentityHeaderPrefixes:      c.IdentityHeaderPrefixes,
		MuxComplete:                 c.MuxComplete,
		LongRunning:                 c.LongRunning,
		RequestTimeout:              c.RequestTimeout,
		MaxRequestsInFlight:         limitOrNone(c.MaxRequestsInFlight),
		MaxMutatingRequestsInFlight: limitOrNone(c.MaxMutatingRequestsInFlight),
		WaitGroup:                   c.HandlerChainWaitGroup,
		Metrics:                     c.Metrics,
		Auditor:                     c.Auditor,
		Tracer:                      c.Tracer,
	}
}

// limitOrNone translates the flags' "0 is no limit" for the filters, where 0 is the default.
func limitOrNone(n int) int {
	if n == 0 {
		return -1
	}
	return n
}

var errUnguarded = errors.New("the configuration has no authenticator or no authorizer")

// unguarded is in the place of the filters where nobody can tell who asks or what they may. That
// is well in a unit that is only ever entered through its unprotected handler; as a front it lets
// nobody in.
type unguarded struct{}

func (unguarded) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	handler.WriteError(w, r, errUnguarded)
}
