package core

import (
	"context"
)

// BootstrapRBAC creates the roles and bindings that every server has, and adds to stored ones what they lack. It is
// the post-start hook rbac/bootstrap-roles; the namespace kube-system need not exist.
func BootstrapRBAC(ctx context.Context, stores RBACStores) error {
	panic("written in the next commit")
}
