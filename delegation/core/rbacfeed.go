package core

import (
	"context"
	"fmt"
	"sync/atomic"

	rbacv1 "k8s.io/api/rbac/v1"

	"github.com/portico-api/portico/delegation/controller"
	"github.com/portico-api/portico/delegation/registry"
	"github.com/portico-api/portico/handler/authorization"
)

// RBACStores are the registries of the four RBAC resources.
type RBACStores struct {
	Roles, RoleBindings, ClusterRoles, ClusterRoleBindings *registry.Store
}

// FeedRBAC keeps rbac equal to what is stored until ctx ends. It calls synced once, when rbac holds
// everything that was stored at the start; until then rbac allows less than is stored, never more.
func FeedRBAC(ctx context.Context, rbac *authorization.RBAC, stores RBACStores, synced func()) error {
	feeds := []struct {
		store *registry.Store
		name  string
		apply func(b *authorization.Batch, c registry.Change)
	}{
		{stores.ClusterRoles, "clusterroles", applyClusterRole},
		{stores.Roles, "roles", applyRole},
		{stores.ClusterRoleBindings, "clusterrolebindings", applyClusterRoleBinding},
		{stores.RoleBindings, "rolebindings", applyRoleBinding},
	}
	var waiting atomic.Int32
	waiting.Store(int32(len(feeds)))
	parts := make([]func(context.Context) error, 0, len(feeds))
	for _, f := range feeds {
		parts = append(parts, func(ctx context.Context) error {
			err := feed(ctx, rbac, f.store, f.apply, func() {
				if waiting.Add(-1) == 0 {
					synced()
				}
			})
			if err != nil {
				return fmt.Errorf("following %s: %w", f.name, err)
			}
			return nil
		})
	}
	return controller.RunAll(ctx, parts...)
}

// feed gives the first state to rbac in one batch and every later change by itself.
func feed(ctx context.Context, rbac *authorization.RBAC, store *registry.Store, apply func(*authorization.Batch, registry.Change), synced func()) error {
	var first []registry.Change
	started := false
	return store.Follow(ctx, func(c registry.Change) {
		if !started {
			first = append(first, c)
			return
		}
		rbac.Update(func(b *authorization.Batch) { apply(b, c) })
	}, func() {
		rbac.Update(func(b *authorization.Batch) {
			for _, c := range first {
				apply(b, c)
			}
		})
		first, started = nil, true
		synced()
	})
}

func applyClusterRole(b *authorization.Batch, c registry.Change) {
	r := c.Object.(*rbacv1.ClusterRole)
	if c.Deleted {
		b.DeleteClusterRole(r.Name)
		return
	}
	b.SetClusterRole(r)
}

func applyRole(b *authorization.Batch, c registry.Change) {
	r := c.Object.(*rbacv1.Role)
	if c.Deleted {
		b.DeleteRole(r.Namespace, r.Name)
		return
	}
	b.SetRole(r)
}

func applyClusterRoleBinding(b *authorization.Batch, c registry.Change) {
	o := c.Object.(*rbacv1.ClusterRoleBinding)
	if c.Deleted {
		b.DeleteClusterRoleBinding(o.Name)
		return
	}
	b.SetClusterRoleBinding(o)
}

func applyRoleBinding(b *authorization.Batch, c registry.Change) {
	o := c.Object.(*rbacv1.RoleBinding)
	if c.Deleted {
		b.DeleteRoleBinding(o.Namespace, o.Name)
		return
	}
	b.SetRoleBinding(o)
}
