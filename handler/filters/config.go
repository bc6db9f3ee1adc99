package filters

import (
	"net/http"
	"time"

	"go.opentelemetry.io/otel/trace"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authorization/authorizer"

	"github.com/portico-api/portico/handler"
	"github.com/portico-api/portico/metrics"
)

// Config is what the filters need. Only Authenticator and Authorizer have no default.
type Config struct {
	Authenticator authenticator.Request
	Authorizer    authorizer.Authorizer

	// IdentityHeaders and IdentityHeaderPrefixes are the headers by which the front proxy names the user, beside
	// the usual X-Remote-*. Nothing behind authentication sees them.
	IdentityHeaders        []string
	IdentityHeaderPrefixes []string

	// MuxComplete tells whether every unit has registered its paths; nil means always.
	MuxComplete func() bool
	// LongRunning tells which requests have no deadline and are not counted in flight; default DefaultLongRunning.
	LongRunning func(*http.Request, *handler.RequestInfo) bool
	// RequestTimeout is the longest that any other request may take; default 60 s.
	RequestTimeout time.Duration
	// MaxRequestsInFlight and MaxMutatingRequestsInFlight limit reads and writes; defaults 400 and 200,
	// negative for no limit.
	MaxRequestsInFlight         int
	MaxMutatingRequestsInFlight int
	// WaitGroup counts the requests that a shutdown waits for; nil counts none.
	WaitGroup WaitGroup
	// Auditor writes down what is asked; nil writes nothing.
	Auditor Auditor
	// Tracer makes spans of requests; nil makes none.
	Tracer trace.Tracer
	// Metrics may be nil.
	Metrics *metrics.Metrics
}

// WaitGroup counts requests in flight. Add returns an error once the server waits for them to end.
type WaitGroup interface {
	Add() error
	Done()
}

// withDefaults returns c with its defaults filled in.
func (c *Config) withDefaults() *Config {
	filled := *c
	if c.Authenticator == nil || c.Authorizer == nil {
		panic("building the handler chain: an authenticator and an authorizer are needed")
	}
	if c.MuxComplete == nil {
		filled.MuxComplete = func() bool { return true }
	}
	if c.LongRunning == nil {
		filled.LongRunning = DefaultLongRunning
	}
	if c.RequestTimeout == 0 {
		filled.RequestTimeout = time.Minute
	}
	if c.MaxRequestsInFlight == 0 {
		filled.MaxRequestsInFlight = 400
	}
	if c.MaxMutatingRequestsInFlight == 0 {
		filled.MaxMutatingRequestsInFlight = 200
	}
	if c.Metrics == nil {
		filled.Metrics = &metrics.Metrics{} // its instruments are nil and observe nothing
	}
	return &filled
}
