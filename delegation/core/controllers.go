package core

import (
	"context"
)

// runner is one thing the unit keeps doing; started is called when the server may be called ready.
type runner struct {
	name string
	run  func(ctx context.Context, started func()) error
}

// addControllers adds what runs behind the API. Each reads the caches in this process; those that
// write go through the registry like any client.
func (s *Server) addControllers(cfg Config) error {
	runners := []runner{
		{"start-namespace-lifecycle-index", s.lifecycle.Run},
		{"start-service-index", s.services.Run},
		{"start-system-namespaces-controller", s.namespaces.Run},
		{"start-namespace-deletion-controller", newNamespaceDeletion(s.stores, cfg).Run},
		{"start-service-account-controller", newDefaultServiceAccounts(s.stores.namespaces, s.stores.serviceAccounts).Run},
		{"start-cluster-role-aggregation-controller", s.aggregateClusterRoles},
	}
	if cfg.Tokens != nil {
		secrets := &tokenSecrets{accounts: s.stores.serviceAccounts, secrets: s.stores.secrets, issuer: cfg.Tokens.Issuer, trust: cfg.Trust}
		runners = append(runners, runner{"start-service-account-token-controller", secrets.Run})
	}
	if !cfg.DisableGarbageCollection {
		runners = append(runners, runner{"start-garbage-collector", newGarbageCollector(s.stores, cfg).Run})
	}
	if cfg.Trust != nil {
		runners = append(runners,
			runner{"start-cluster-authentication-info-controller", newTrustPublisher(s.stores.configMaps, cfg.Trust, s.namespaces.wait).Run},
			runner{"start-root-ca-publisher", newRootCAs(s.stores.namespaces, s.stores.configMaps, cfg.Trust).Run})
	}
	if cfg.RBAC != nil {
		runners = append(runners, runner{"start-rbac-index", func(ctx context.Context, started func()) error {
			return FeedRBAC(ctx, cfg.RBAC, s.stores.rbac, started)
		}})
	}
	for _, r := range runners {
		if err := s.AddController(r.name, r.run); err != nil {
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

func (s *Server) aggregateClusterRoles(ctx context.Context, started func()) error {
	started()
	return AggregateClusterRoles(ctx, s.stores.rbac.ClusterRoles)
}
