package delegation

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"go.opentelemetry.io/otel/trace"
	"k8s.io/apimachinery/pkg/version"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	restclient "k8s.io/client-go/rest"

	"github.com/portico-api/portico/handler"
	"github.com/portico-api/portico/handler/discovery"
	"github.com/portico-api/portico/handler/filters"
	"github.com/portico-api/portico/handler/openapi"
	"github.com/portico-api/portico/metrics"
	"github.com/portico-api/portico/serving"
)

// Config is what the units of one chain share. Each unit works on a copy, so one may differ from
// the others in a field; what the pointers in it point to is the chain's.
type Config struct {
	// BuildHandlerChainFunc puts the filters around a unit's director. Only the front's are met.
	BuildHandlerChainFunc func(director http.Handler, c *Config) http.Handler
	// HandlerChainWaitGroup counts the short requests in flight.
	HandlerChainWaitGroup *RequestWaitGroup
	// Lifecycle tells everything in the chain when to end.
	Lifecycle *Lifecycle
	// LegacyAPIGroupPrefixes are where InstallLegacyAPIGroup may install: "/api".
	LegacyAPIGroupPrefixes []string

	// Serving is the front's listener. Without one, Run serves nothing and the handlers are used
	// in-process.
	Serving       *serving.SecureServingInfo
	Authenticator authenticator.Request
	Authorizer    authorizer.Authorizer
	// IdentityHeaders and IdentityHeaderPrefixes are what a front proxy names users by, beside the
	// usual X-Remote-*: nothing behind authentication sees them.
	IdentityHeaders        []string
	IdentityHeaderPrefixes []string
	// LoopbackClientConfig is for clients of the chain inside the process.
	LoopbackClientConfig *restclient.Config
	// ExternalAddress is the host and port that discovery tells clients; the listener's when empty.
	ExternalAddress string

	// LongRunning tells which requests have no deadline and are not counted in flight; nil is kube-apiserver's choice.
	LongRunning func(*http.Request, *handler.RequestInfo) bool
	// RequestTimeout bounds every request that is not long-running.
	RequestTimeout time.Duration
	// MinRequestTimeout bounds the life of a watch from below: it ends after once to twice of it.
	MinRequestTimeout time.Duration
	// MaxRequestsInFlight and MaxMutatingRequestsInFlight limit reads and writes; 0 does not.
	MaxRequestsInFlight         int
	MaxMutatingRequestsInFlight int

	// ShutdownDelayDuration lies between readyz failing and the first refused request.
	ShutdownDelayDuration time.Duration
	// ShutdownWatchTerminationGracePeriod is how long watches may take to end once they were told,
	// beyond RequestTimeout, before their connections are cut. Zero means 15 s.
	ShutdownWatchTerminationGracePeriod time.Duration
	// LivezGracePeriod is how long /livez ignores what is still starting.
	LivezGracePeriod time.Duration

	// EnableDiscovery makes the unit answer /apis itself.
	EnableDiscovery bool
	// SkipOpenAPIInstallation leaves the OpenAPI paths to the unit.
	SkipOpenAPIInstallation bool
	// EnableProfiling adds /debug/pprof and /debug/flags/v.
	EnableProfiling bool

	// Auditor writes down what is asked; nil writes nothing.
	Auditor filters.Auditor
	// Tracer makes spans of requests; nil makes none.
	Tracer trace.Tracer
	// Flags are what /flagz shows; without them it is not there.
	Flags map[string]string

	Metrics *metrics.Metrics
	Version version.Info
	// UserAgent is what requests of the server itself say that sends them; empty for what Go says.
	UserAgent string
	Discovery *discovery.Manager
	OpenAPI   *openapi.Service
	// HealthChecks are made by every unit, on all three endpoints.
	HealthChecks []HealthCheck

	// MuxComplete tells the filters whether a path that nobody claims is known to exist nowhere.
	// New sets it.
	MuxComplete func() bool

	logs *logFlusher
}

// NewConfig returns the defaults of a chain that is observed by m; nil makes instruments nobody
// else observes with.
func NewConfig(m *metrics.Metrics) *Config {
	if m == nil {
		m = metrics.New()
	}
	logs := newLogFlusher()
	return &Config{
		BuildHandlerChainFunc:       DefaultBuildHandlerChain,
		HandlerChainWaitGroup:       NewRequestWaitGroup(),
		Lifecycle:                   NewLifecycle(),
		LegacyAPIGroupPrefixes:      []string{"/api"},
		RequestTimeout:              time.Minute,
		MinRequestTimeout:           30 * time.Minute,
		MaxRequestsInFlight:         400,
		MaxMutatingRequestsInFlight: 200,
		EnableDiscovery:             true,
		EnableProfiling:             true,
		Metrics:                     m,
		Version:                     DefaultVersion(),
		Discovery:                   discovery.NewManager(m.Aggregator),
		OpenAPI:                     openapi.NewService(m.OpenAPI),
		HealthChecks:                []HealthCheck{pingHealthCheck(), logs.healthCheck()},
		logs:                        logs,
	}
}

// New returns the unit name in front of delegate: its mux falls through to the delegate's
// unprotected handler, and what the delegate contributes is the unit's from now on. The unit is on
// a copy of c and starts nothing.
func (c *Config) New(name string, delegate DelegationTarget) (*GenericAPIServer, error) {
	if err := c.validate(name, delegate); err != nil {
		return nil, fmt.Errorf("creating unit %q: %w", name, err)
	}
	s := &GenericAPIServer{
		Name:     name,
		config:   *c,
		delegate: delegate,
		created:  time.Now(),
		groups:   newGroupIndex(),
	}
	s.config.MuxComplete = s.muxComplete
	s.Handler = handler.NewAPIServerHandler(name, s.config.chain, delegate.UnprotectedHandler())

	if err := s.AddHealthChecks(c.HealthChecks...); err != nil {
		return nil, fmt.Errorf("creating unit %q: %w", name, err)
	}
	s.takeOver(delegate.Contributions())
	if err := s.installBasicPaths(); err != nil {
		return nil, fmt.Errorf("creating unit %q: %w", name, err)
	}
	return s, nil
}

// chain puts the filters around director.
func (c *Config) chain(director http.Handler) http.Handler {
	return c.BuildHandlerChainFunc(director, c)
}

func (c *Config) validate(name string, delegate DelegationTarget) error {
	switch {
	case name == "":
		return errors.New("a unit needs a name")
	case delegate == nil:
		return errors.New("the next delegate is missing: a chain ends with NewEmptyDelegate")
	case c.logs == nil || c.BuildHandlerChainFunc == nil:
		return errors.New("the configuration was not made with NewConfig")
	case c.RequestTimeout <= 0:
		return fmt.Errorf("the request timeout must be positive, not %s", c.RequestTimeout)
	case c.MaxRequestsInFlight < 0 || c.MaxMutatingRequestsInFlight < 0:
		return errors.New("the limits of requests in flight must not be negative")
	case c.ShutdownDelayDuration < 0 || c.ShutdownWatchTerminationGracePeriod < 0:
		return errors.New("the durations of the shutdown must not be negative")
	}
	return nil
}
