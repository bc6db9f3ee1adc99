package core

import (
	"context"

	"github.com/portico-api/portico/delegation/registry"
)

// AggregateClusterRoles fills the rules of cluster roles that have an aggregation rule, until ctx ends.
func AggregateClusterRoles(ctx context.Context, clusterRoles *registry.Store) error {
	panic("written in the next commit")
}
