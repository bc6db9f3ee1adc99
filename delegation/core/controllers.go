package core

import (
	"context"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/portico-api/portico/delegation"
	"github.com/portico-api/portico/delegation/core/bootstraptokens"
	"github.com/portico-api/portico/delegation/core/certificates"
	"github.com/portico-api/portico/delegation/core/quota"
	"github.com/portico-api/portico/delegation/registry"
)

// Leadership is held by one replica at a time.
type Leadership interface {
	// While does lead whenever this replica leads, until ctx ends or lead fails. The context of lead ends with
	// the leadership.
	While(ctx context.Context, lead func(ctx context.Context) error) error
}

// runner is one thing the unit keeps doing; started is called when the server may be called ready.
type runner struct {
	name string
	run  func(ctx context.Context, started func()) error
	// informer tells that started is called when all is known that was stored.
	informer bool
}

// elected makes a runner that works in the replica that leads, and in the others waits to. A replica is ready without it.
func elected(by Leadership, r runner) runner {
	if by == nil {
		return r
	}
	return runner{name: r.name, run: func(ctx context.Context, started func()) error {
		started()
		return by.While(ctx, func(ctx context.Context) error { return r.run(ctx, func() {}) })
	}}
}

// countedElsewhere finds resources that quotas count and that are not this unit's; nil finds none.
func (cfg *Config) countedElsewhere() func(context.Context, schema.GroupResource) (*registry.Store, bool) {
	if cfg.CustomResources == nil {
		return nil
	}
	return cfg.CustomResources.OfResource
}

// addControllers adds what runs behind the API. Each reads the caches in this process; those that
// write go through the registry like any client.
func (s *Server) addControllers(cfg Config, generic *delegation.Config) error {
	runners := append(s.everywhere(cfg), s.once(cfg, generic)...)
	for _, r := range runners {
		add := s.AddController
		if r.informer {
			add = s.AddInformer
		}
		if err := add(r.name, r.run); err != nil {
			return err
		}
	}
	if s.stores.priorityClasses != nil {
		err := s.AddPostStartHook("scheduling/bootstrap-system-priority-classes", func(ctx context.Context) error {
			return bootstrapPriorityClasses(ctx, s.stores.priorityClasses)
		})
		if err != nil {
			return err
		}
	}
	return s.AddPostStartHook("rbac/bootstrap-roles", func(ctx context.Context) error {
		if err := s.namespaces.wait(ctx); err != nil {
			return err
		}
		return BootstrapRBAC(ctx, s.stores.rbac)
	})
}

// everywhere is what each replica runs: indexes of what is stored, and what replicas make the same of.
func (s *Server) everywhere(cfg Config) []runner {
	runners := []runner{
		{name: "start-namespace-lifecycle-index", run: s.admissions.lifecycle.Run, informer: true},
		{name: "start-service-index", run: s.services.Run, informer: true},
		{name: "start-admission-hooks-index", run: func(ctx context.Context, started func()) error {
			return s.admissions.hooks.Run(ctx, s.stores.hookStores(), started)
		}, informer: true},
		{name: "start-resource-quota-index", run: s.admissions.quotas.Run, informer: true},
		{name: "start-system-namespaces-controller", run: s.namespaces.Run},
	}
	if cfg.Trust != nil { // each replica adds the authorities that it trusts
		runners = append(runners, runner{name: "start-cluster-authentication-info-controller", run: newTrustPublisher(s.stores.configMaps, cfg.Trust, s.namespaces.wait).Run})
	}
	if cfg.Replica != (Replica{}) {
		runners = append(runners, runner{name: "start-kube-apiserver-identity-lease-controller", run: newIdentityLease(s.stores.leases, cfg.Replica, s.namespaces.wait).Run})
	}
	if cfg.RBAC != nil {
		runners = append(runners, runner{name: "start-rbac-index", run: func(ctx context.Context, started func()) error {
			return FeedRBAC(ctx, cfg.RBAC, s.stores.rbac, started)
		}, informer: true})
	}
	return runners
}

// once is what one replica runs for all.
func (s *Server) once(cfg Config, generic *delegation.Config) []runner {
	runners := []runner{
		{name: "start-namespace-deletion-controller", run: newNamespaceDeletion(s.stores, cfg).Run},
		{name: "start-service-account-controller", run: newDefaultServiceAccounts(s.stores.namespaces, s.stores.serviceAccounts).Run},
		{name: "start-cluster-role-aggregation-controller", run: s.aggregateClusterRoles},
		{name: "start-resource-quota-controller", run: quota.NewUsage(s.admissions.quotas, s.stores.quotas, s.stores.namespaced(), cfg.countedElsewhere()).Run},
		{name: "start-validating-admission-policy-status-controller", run: (&policyTypes{s.stores.validatingPolicies, s.admissions.hooks, &kinds{s.stores, generic.OpenAPI.Document}}).Run},
		{name: "start-kube-apiserver-identity-lease-garbage-collector", run: (&identityLeaseCleaner{s.stores.leases, time.Now}).Run},
		{name: "start-certificate-approver", run: certificates.NewApprover(s.stores.certificates, generic.Authorizer).Run},
		{name: "start-certificate-cleaner", run: certificates.NewCleaner(s.stores.certificates).Run},
	}
	if cfg.SigningAuthority != nil {
		runners = append(runners, runner{name: "start-certificate-signer", run: certificates.NewSigner(s.stores.certificates, cfg.SigningAuthority).Run})
	}
	if cfg.Tokens != nil {
		secrets := &tokenSecrets{accounts: s.stores.serviceAccounts, secrets: s.stores.secrets, issuer: cfg.Tokens.Issuer, trust: cfg.Trust}
		runners = append(runners, runner{name: "start-service-account-token-controller", run: secrets.Run})
	}
	if cfg.BootstrapTokens {
		runners = append(runners, runner{name: "start-bootstrap-token-cleaner", run: bootstraptokens.NewCleaner(s.stores.secrets).Run})
	}
	if !cfg.DisableGarbageCollection {
		runners = append(runners, runner{name: "start-garbage-collector", run: func(ctx context.Context, started func()) error {
			return newGarbageCollector(s.stores, cfg).Run(ctx, started) // each term begins with an empty memory
		}})
	}
	if cfg.Trust != nil {
		runners = append(runners, runner{name: "start-root-ca-publisher", run: newRootCAs(s.stores.namespaces, s.stores.configMaps, cfg.Trust).Run})
	}
	for i, r := range runners {
		runners[i] = elected(cfg.Leadership, r)
	}
	return runners
}

func (s *Server) aggregateClusterRoles(ctx context.Context, started func()) error {
	started()
	return AggregateClusterRoles(ctx, s.stores.rbac.ClusterRoles)
}
