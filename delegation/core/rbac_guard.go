package core

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/component-helpers/auth/rbac/validation"

	"github.com/portico-api/portico/delegation/registry"
	"github.com/portico-api/portico/handler"
	"github.com/portico-api/portico/handler/rest"
)

// GuardRBAC returns the four resources as clients may use them, instead of each store's Rest: nobody may
// grant what they do not hold themselves (contract 4.3). Controllers use the stores.
func GuardRBAC(stores RBACStores, authz authorizer.Authorizer, rules authorizer.RuleResolver) []*rest.Resource {
	g := &guard{stores: stores, authz: authz, rules: rules}
	return []*rest.Resource{
		guardResource(stores.Roles, func(ctx context.Context, at target, r, _ *rbacv1.Role) error {
			return g.checkRole(ctx, at, r.Rules, nil, nil)
		}),
		guardResource(stores.RoleBindings, func(ctx context.Context, at target, b, _ *rbacv1.RoleBinding) error {
			return g.checkBinding(ctx, at, b.RoleRef)
		}),
		guardResource(stores.ClusterRoles, func(ctx context.Context, at target, r, old *rbacv1.ClusterRole) error {
			var before *rbacv1.AggregationRule
			if old != nil {
				before = old.AggregationRule
			}
			return g.checkRole(ctx, at, r.Rules, r.AggregationRule, before)
		}),
		guardResource(stores.ClusterRoleBindings, func(ctx context.Context, at target, b, _ *rbacv1.ClusterRoleBinding) error {
			return g.checkBinding(ctx, at, b.RoleRef)
		}),
	}
}

// target is what a write is aimed at, by its path: what the body says of it is compared later.
type target struct{ resource, namespace, name string }

// guarded is a store whose writes are checked first; old is nil for what does not exist yet.
type guarded struct {
	*registry.Store
	check func(ctx context.Context, namespace, name string, obj, old runtime.Object) error
}

func guardResource[T bootstrapObject](store *registry.Store, check func(ctx context.Context, at target, obj, old T) error) *rest.Resource {
	resource := *store.Rest()
	resource.Storage = &guarded{Store: store, check: func(ctx context.Context, namespace, name string, obj, old runtime.Object) error {
		typed, ok := obj.(T)
		if !ok {
			return apierrors.NewBadRequest(fmt.Sprintf("a %T is no %s", obj, resource.Kind))
		}
		before, exists := old.(T)
		if exists && onlyCollectable(typed, before) {
			return nil
		}
		if name == "" {
			name = typed.GetName()
		}
		return check(ctx, target{resource.Name, namespace, name}, typed, before)
	}}
	return &resource
}

func (s *guarded) Create(ctx context.Context, namespace, name string, obj runtime.Object, opts *metav1.CreateOptions) (runtime.Object, error) {
	if err := s.check(ctx, namespace, name, obj, nil); err != nil {
		return nil, err
	}
	return s.Store.Create(ctx, namespace, name, obj, opts)
}

func (s *guarded) Update(ctx context.Context, namespace, name string, transform rest.Transform, opts *rest.UpdateOptions) (runtime.Object, bool, error) {
	return s.Store.Update(ctx, namespace, name, func(ctx context.Context, current runtime.Object) (runtime.Object, error) {
		var old runtime.Object
		if current != nil {
			old = current.DeepCopyObject() // the transform may change what it is given
		}
		obj, err := transform(ctx, current)
		if err != nil {
			return nil, err
		}
		if err := s.check(ctx, namespace, name, obj, old); err != nil {
			return nil, err
		}
		return obj, nil
	}, opts)
}

// onlyCollectable tells whether a change is one that a garbage collector makes, which grants nothing.
func onlyCollectable[T bootstrapObject](obj, old T) bool {
	same := obj.DeepCopyObject().(T)
	same.SetOwnerReferences(old.GetOwnerReferences())
	same.SetFinalizers(old.GetFinalizers())
	same.SetManagedFields(old.GetManagedFields())
	same.SetResourceVersion(old.GetResourceVersion())
	return equality.Semantic.DeepEqual(same, old)
}

// guard holds writers to what they hold.
type guard struct {
	stores RBACStores
	authz  authorizer.Authorizer
	rules  authorizer.RuleResolver
}

func (g *guard) checkRole(ctx context.Context, at target, rules []rbacv1.PolicyRule, aggregation, before *rbacv1.AggregationRule) error {
	u, err := requester(ctx)
	if err != nil {
		return err
	}
	if privileged(u) || g.may(ctx, u, "escalate", at) {
		return nil
	}
	if err := g.holds(ctx, u, at.namespace, rules); err != nil {
		return apierrors.NewForbidden(rbacv1.Resource(at.resource), at.name, err)
	}
	if !equality.Semantic.DeepEqual(aggregation, before) {
		everything := []rbacv1.PolicyRule{allow("*", "*", "*"), allowPaths("*", "*")}
		if err := g.holds(ctx, u, "", everything); err != nil {
			return apierrors.NewForbidden(rbacv1.Resource(at.resource), at.name, errors.New("must have cluster-admin privileges to use the aggregationRule"))
		}
	}
	return nil
}

func (g *guard) checkBinding(ctx context.Context, at target, ref rbacv1.RoleRef) error {
	u, err := requester(ctx)
	if err != nil {
		return err
	}
	role := target{namespace: at.namespace, name: ref.Name}
	switch {
	case ref.Kind == "ClusterRole":
		role.resource = "clusterroles"
	case ref.Kind == "Role" && at.namespace != "":
		role.resource = "roles"
	default:
		return nil // validation refuses to bind to it, in better words
	}
	if privileged(u) || g.may(ctx, u, "bind", role) {
		return nil
	}
	rules, err := g.rulesOf(ctx, ref, at.namespace)
	if err != nil {
		return err
	}
	if err := g.holds(ctx, u, at.namespace, rules); err != nil {
		return apierrors.NewForbidden(rbacv1.Resource(at.resource), at.name, err)
	}
	return nil
}

func (g *guard) rulesOf(ctx context.Context, ref rbacv1.RoleRef, namespace string) ([]rbacv1.PolicyRule, error) {
	if ref.Kind == "Role" {
		r, err := registry.GetAs[*rbacv1.Role](ctx, g.stores.Roles, namespace, ref.Name)
		if err != nil {
			return nil, err
		}
		return r.Rules, nil
	}
	r, err := registry.GetAs[*rbacv1.ClusterRole](ctx, g.stores.ClusterRoles, "", ref.Name)
	if err != nil {
		return nil, err
	}
	return r.Rules, nil
}

func (g *guard) may(ctx context.Context, u user.Info, verb string, at target) bool {
	decision, _, err := g.authz.Authorize(ctx, authorizer.AttributesRecord{
		User: u, Verb: verb, APIGroup: rbacv1.GroupName, APIVersion: "*",
		Resource: at.resource, Namespace: at.namespace, Name: at.name, ResourceRequest: true,
	})
	return decision == authorizer.DecisionAllow && err == nil
}

// holds tells what of wanted u does not hold in namespace.
func (g *guard) holds(ctx context.Context, u user.Info, namespace string, wanted []rbacv1.PolicyRule) error {
	resources, urls, _, resolveErr := g.rules.RulesFor(ctx, u, namespace)
	held := make([]rbacv1.PolicyRule, 0, len(resources)+len(urls))
	for _, r := range resources {
		held = append(held, rbacv1.PolicyRule{Verbs: r.GetVerbs(), APIGroups: r.GetAPIGroups(), Resources: r.GetResources(), ResourceNames: r.GetResourceNames()})
	}
	for _, r := range urls {
		held = append(held, rbacv1.PolicyRule{Verbs: r.GetVerbs(), NonResourceURLs: r.GetNonResourceURLs()})
	}
	covered, missing := validation.Covers(held, wanted)
	if covered {
		return nil
	}
	lines := make([]string, 0, len(missing))
	for i := range missing {
		lines = append(lines, describeRule(&missing[i]))
	}
	slices.Sort(lines)
	err := fmt.Errorf("user %q (groups=%q) is attempting to grant RBAC permissions not currently held:\n%s", u.GetName(), u.GetGroups(), strings.Join(lines, "\n"))
	if resolveErr != nil {
		err = fmt.Errorf("%w; resolution errors: %v", err, resolveErr)
	}
	return err
}

func describeRule(r *rbacv1.PolicyRule) string {
	var parts []string
	for _, part := range []struct {
		name   string
		values []string
	}{
		{"APIGroups", r.APIGroups},
		{"Resources", r.Resources},
		{"ResourceNames", r.ResourceNames},
		{"NonResourceURLs", r.NonResourceURLs},
		{"Verbs", r.Verbs},
	} {
		if len(part.values) > 0 {
			parts = append(parts, fmt.Sprintf("%s:%q", part.name, part.values))
		}
	}
	return "{" + strings.Join(parts, ", ") + "}"
}

func privileged(u user.Info) bool {
	return slices.Contains(u.GetGroups(), user.SystemPrivilegedGroup)
}

// requester is who sent the request; without one, nothing may be granted.
func requester(ctx context.Context) (user.Info, error) {
	r, ok := handler.RequestFrom(ctx)
	if !ok || r.User == nil {
		return nil, apierrors.NewUnauthorized("Unauthorized")
	}
	return r.User, nil
}
