package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/runtime"

	"github.com/portico-api/portico/aggregator"
	"github.com/portico-api/portico/delegation"
	"github.com/portico-api/portico/delegation/core"
	"github.com/portico-api/portico/delegation/core/certificates"
	"github.com/portico-api/portico/delegation/core/workload"
	"github.com/portico-api/portico/delegation/extensions"
	"github.com/portico-api/portico/delegation/registry"
	"github.com/portico-api/portico/delegation/storage"
	"github.com/portico-api/portico/delegation/stored"
	"github.com/portico-api/portico/handler/authorization"
)

// parts are what single units need beside what all of them share.
type parts struct {
	store    *storage.Store
	rbac     *authorization.RBAC
	rules    *authorization.Authorizer
	identity *identity
	accounts *accounts
	signs    func() (*certificates.Authority, error) // nil when this server has no key to sign with
	leads    *storage.Leadership                     // nil when nobody else can
	replica  core.Replica
	eventTTL time.Duration
	collect  bool // garbage
	workload bool // serve the kinds of pods and what they need
}

// CreateServerChain builds the units back to front, because each needs its delegate, and returns the
// front. A request meets them in the opposite order: aggregator → core → extensions → not found.
func CreateServerChain(ctx context.Context, generic *delegation.Config, p parts) (*aggregator.Server, error) {
	scheme, err := newScheme(p.workload)
	if err != nil {
		return nil, err
	}
	shared := registry.Config{Store: p.store, Scheme: scheme}

	end := delegation.NewEmptyDelegate()

	// One interface in the words of each unit: a nil pointer would not be a nil interface.
	var leadership core.Leadership
	var frontLeadership aggregator.Leadership
	if p.leads != nil {
		leadership, frontLeadership = p.leads, p.leads
	}
	// Made after those who ask them, which they do only when all run.
	var front *aggregator.Server
	var mid *core.Server
	addresses := func(ctx context.Context, namespace, name string, port int32) ([]string, error) {
		return front.ServiceAddresses(ctx, namespace, name, port)
	}
	ext, err := extensions.New(ctx, extensions.Config{
		Registry:         shared,
		Admission:        func() registry.Admission { return mid.Admission() },
		ServiceAddresses: addresses,
		Leadership:       leadership,
	}, generic, end)
	if err != nil {
		return nil, err
	}

	mid, err = core.New(ctx, core.Config{
		Registry: shared,
		RBAC:     p.rbac,
		Rules:    p.rules,
		Trust:    p.identity,

		Leadership:       leadership,
		Tokens:           p.accounts.tokens,
		SigningAuthority: p.signs,
		BootstrapTokens:  p.accounts.joining != nil,
		Replica:          p.replica,
		EventTTL:         p.eventTTL,

		ServiceAddresses:         addresses,
		WorkloadAPIs:             p.workload,
		DisableGarbageCollection: !p.collect,

		CustomResources: ext,
		NamespacedContent: func() []delegation.NamespacedContent {
			return append(ext.NamespacedContent(), front.NamespacedContent()...)
		},
		SubscribeNamespacedContent: func(on func()) (stop func()) { return front.OnNamespacedContentChange(on) },
		OwnedResources: func() []delegation.OwnedResource {
			own := []delegation.OwnedResource{stored.NewOwnedResource(front.APIServices()), stored.NewOwnedResource(ext.Definitions())}
			return slices.Concat(own, ext.OwnedResources(context.WithoutCancel(ctx)), front.OwnedResources())
		},
		SubscribeOwnedResources: func(on func()) (stop func()) {
			custom, remote := ext.OnChange(on), front.OnOwnedResourcesChange(on)
			return func() {
				custom()
				remote()
			}
		},
	}, generic, ext)
	if err != nil {
		return nil, err
	}

	p.accounts.objects.Objects = mid.TokenObjects()
	if p.accounts.joining != nil {
		p.accounts.joining.Token = mid.BootstrapTokens()
	}
	services := mid.Services()
	shared.Admission = mid.Admission()
	front, err = aggregator.New(ctx, aggregator.Config{
		Registry:                 shared,
		Services:                 services,
		ServicesSynced:           services.Synced(),
		SubscribeServices:        services.OnChange,
		SelfAddress:              reachable(generic.Serving.Listener.Addr()),
		ProxyClientCert:          p.identity.proxyClientCert,
		SubscribeProxyClientCert: p.identity.OnTrustChange,
		CustomResources:          ext,
		Leadership:               frontLeadership,
		Metrics:                  generic.Metrics.Aggregator,
		BackendMetrics:           generic.Metrics.Backend,
		BackendPeers:             generic.Metrics.BackendPeers,
	}, generic, mid)
	return front, err
}

// newScheme knows the types of the groups that the units serve, and no others.
func newScheme(workloads bool) (*runtime.Scheme, error) {
	scheme, err := core.NewScheme()
	if err != nil {
		return nil, err
	}
	if workloads {
		if err := workload.AddToScheme(scheme); err != nil {
			return nil, err
		}
	}
	if err := extensions.AddToScheme(scheme); err != nil {
		return nil, err
	}
	if err := aggregator.AddToScheme(scheme); err != nil {
		return nil, fmt.Errorf("adding the types of APIServices: %w", err)
	}
	return scheme, nil
}
