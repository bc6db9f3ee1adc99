package core

import (
	"context"
	"fmt"
	"maps"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/component-helpers/auth/rbac/validation"

	"github.com/portico-api/portico/delegation/registry"
)

const (
	// bootstrapTimeout is how long a server may be up without its own roles before it gives up: without
	// them nobody but system:masters can do anything, and a restart may help.
	bootstrapTimeout  = 30 * time.Second
	bootstrapRetry    = 10 * time.Millisecond // first; kube-system may be a moment away
	bootstrapMaxRetry = time.Second
)

// BootstrapRBAC creates the roles and bindings that every server has, and adds to stored ones what they lack;
// it never takes anything away, and leaves alone what is annotated not to be updated. It tries again for 30
// seconds, because namespace kube-system may yet have to be created. It is the post-start hook
// rbac/bootstrap-roles.
func BootstrapRBAC(ctx context.Context, stores RBACStores) error {
	limited, cancel := context.WithTimeout(ctx, bootstrapTimeout)
	defer cancel()
	for wait := bootstrapRetry; ; wait = min(2*wait, bootstrapMaxRetry) {
		err := bootstrapOnce(limited, stores)
		if err == nil {
			return nil
		}
		select {
		case <-limited.Done():
			if ctx.Err() != nil {
				return ctx.Err() // the server ends
			}
			return fmt.Errorf("creating the bootstrap roles for %v: %w", bootstrapTimeout, err)
		case <-time.After(wait):
		}
	}
}

// bootstrapOnce tries every object, so that one that cannot be written does not keep the others from being
// there, and returns the first error.
func bootstrapOnce(ctx context.Context, stores RBACStores) error {
	var first error
	keep := func(err error) {
		if first == nil {
			first = err
		}
	}
	for _, r := range bootstrapClusterRoles() {
		keep(ensure(ctx, stores.ClusterRoles, r, completeClusterRole))
	}
	for _, b := range bootstrapClusterRoleBindings() {
		keep(ensure(ctx, stores.ClusterRoleBindings, b, completeClusterRoleBinding))
	}
	for _, r := range bootstrapRoles() {
		keep(ensure(ctx, stores.Roles, r, completeRole))
	}
	for _, b := range bootstrapRoleBindings() {
		keep(ensure(ctx, stores.RoleBindings, b, completeRoleBinding))
	}
	return first
}

// bootstrapObject is a pointer to one of the four RBAC types.
type bootstrapObject interface {
	runtime.Object
	metav1.Object
}

// ensure creates wanted, or lets complete add to the stored object what it lacks. A binding whose role is another
// one is replaced, because roleRef cannot be changed.
func ensure[T bootstrapObject](ctx context.Context, store *registry.Store, wanted T, complete func(stored, wanted T) (replace bool)) error {
	namespace, name := wanted.GetNamespace(), wanted.GetName()
	stored, err := registry.GetAs[T](ctx, store, namespace, name)
	if apierrors.IsNotFound(err) {
		_, err = registry.CreateAs(ctx, store, namespace, wanted)
		if apierrors.IsAlreadyExists(err) {
			return nil // another replica has been faster
		}
		return err
	}
	if err != nil {
		return err
	}
	if stored.GetAnnotations()[autoUpdateAnnotation] == "false" {
		return nil
	}
	completed := stored.DeepCopyObject().(T)
	replace := completeMeta(completed, wanted, complete)
	switch {
	case replace:
		if _, _, err := store.Delete(ctx, namespace, name, &metav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
			return err
		}
		if _, err = registry.CreateAs(ctx, store, namespace, wanted); apierrors.IsAlreadyExists(err) {
			return nil // a finalizer keeps the old one: nothing to wait for
		}
		return err
	case equality.Semantic.DeepEqual(stored, completed):
		return nil
	}
	_, err = registry.UpdateAs(ctx, store, namespace, name, func(latest T) error {
		completeMeta(latest, wanted, complete)
		return nil
	})
	return err
}

func completeMeta[T bootstrapObject](stored, wanted T, complete func(stored, wanted T) bool) (replace bool) {
	stored.SetLabels(completeMap(stored.GetLabels(), wanted.GetLabels()))
	stored.SetAnnotations(completeMap(stored.GetAnnotations(), wanted.GetAnnotations()))
	return complete(stored, wanted)
}

// completeMap keeps what an operator has set.
func completeMap(stored, wanted map[string]string) map[string]string {
	all := maps.Clone(wanted)
	maps.Copy(all, stored)
	return all
}

func completeRole(stored, wanted *rbacv1.Role) bool {
	stored.Rules = completeRules(stored.Rules, wanted.Rules)
	return false
}

func completeClusterRole(stored, wanted *rbacv1.ClusterRole) bool {
	if wanted.AggregationRule == nil {
		stored.Rules = completeRules(stored.Rules, wanted.Rules)
		return false
	}
	if stored.AggregationRule == nil {
		stored.AggregationRule = &rbacv1.AggregationRule{}
	}
	for _, selector := range wanted.AggregationRule.ClusterRoleSelectors {
		stored.AggregationRule.ClusterRoleSelectors = appendNew(stored.AggregationRule.ClusterRoleSelectors, selector)
	}
	return false
}

// completeRules adds the rules of which something is not covered by those there are.
func completeRules(stored, wanted []rbacv1.PolicyRule) []rbacv1.PolicyRule {
	_, missing := validation.Covers(stored, wanted)
	return append(stored, missing...)
}

func completeRoleBinding(stored, wanted *rbacv1.RoleBinding) (replace bool) {
	stored.Subjects = completeSubjects(stored.Subjects, wanted.Subjects)
	return stored.RoleRef != wanted.RoleRef
}

func completeClusterRoleBinding(stored, wanted *rbacv1.ClusterRoleBinding) (replace bool) {
	stored.Subjects = completeSubjects(stored.Subjects, wanted.Subjects)
	return stored.RoleRef != wanted.RoleRef
}

func completeSubjects(stored, wanted []rbacv1.Subject) []rbacv1.Subject {
	for _, s := range wanted {
		stored = appendNew(stored, s)
	}
	return stored
}

// appendNew appends v unless it is there.
func appendNew[V any](all []V, v V) []V {
	for i := range all {
		if equality.Semantic.DeepEqual(all[i], v) {
			return all
		}
	}
	return append(all, v)
}
