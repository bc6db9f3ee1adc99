package core

import (
	"context"

	"github.com/portico-api/portico/delegation/registry"
	"github.com/portico-api/portico/handler/authorization"
)

// RBACStores are the registries of the four RBAC resources.
type RBACStores struct {
	Roles, RoleBindings, ClusterRoles, ClusterRoleBindings *registry.Store
}

// FeedRBAC keeps rbac equal to what is stored until ctx ends. It calls synced once, when rbac holds
// everything that was stored at the start.
func FeedRBAC(ctx context.Context, rbac *authorization.RBAC, stores RBACStores, synced func()) error {
	panic("written in the next commit")
}
