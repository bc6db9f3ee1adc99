package aggregator

import (
	"context"
	"crypto/tls"
	"errors"
	"time"

	"github.com/portico-api/portico/aggregator/backend"
	"github.com/portico-api/portico/delegation/registry"
	"github.com/portico-api/portico/metrics"
)

// Config is what the aggregator needs beyond what all units share.
type Config struct {
	// Registry says where APIServices are stored. Its scheme must know their types: AddToScheme.
	Registry registry.Config
	// Services tells where remote servers are.
	Services backend.Services
	// ServicesSynced is closed when Services knows everything that was stored at the start. Nothing is
	// checked before: a service that is only not known yet would be called missing. Nil means now.
	ServicesSynced <-chan struct{}
	// SubscribeServices has on called after the named service, its slices or its endpoints changed, so
	// that what is behind it is checked at once. Nil leaves it to the periodic check.
	SubscribeServices func(on func(namespace, service string))
	// SelfAddress is the host:port under which this server is default/kubernetes:443; empty leaves
	// that service to its endpoints.
	SelfAddress string
	// ProxyClientCert is the certificate by which remote servers know this front door, asked from
	// memory on every request. Nil shows them none, and they then take every user for anonymous.
	ProxyClientCert func() (*tls.Certificate, error)
	// SubscribeProxyClientCert has on called after that certificate has changed, so that every remote
	// server is asked at once whether it believes the new one. Nil leaves it to the periodic check.
	SubscribeProxyClientCert func(on func())
	// CustomResources are registered like what is built in; nil means that there are none.
	CustomResources CustomGroupVersions
	// Leadership lets one of several replicas register them; nil means that there is one replica.
	Leadership Leadership
	Metrics    *metrics.Aggregator
	// BackendMetrics observes the endpoints that requests are proxied to; nil means nobody does.
	BackendMetrics *metrics.Backend
	// BackendPeers observes their certificates; nil means that nobody does.
	BackendPeers *metrics.Peers
	// Now is the clock of conditions and ages; nil means time.Now.
	Now func() time.Time
}

// Leadership lets one of several replicas work.
type Leadership interface {
	While(ctx context.Context, lead func(ctx context.Context) error) error
}

func (c *Config) validate() error {
	switch {
	case c.Registry.Store == nil || c.Registry.Scheme == nil:
		return errors.New("a store and a scheme for APIServices are needed")
	case c.Services == nil:
		return errors.New("where services are is not known")
	}
	return nil
}
