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
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/component-helpers/auth/rbac/validation"

	"github.com/portico-api/portico/delegation/registry"
	"github.com/portico-api/portico/handler"
)

// RBACGuard is the admission of roles and bindings: nobody may grant what they do not hold themselves (contract 4.3). It is asked last
// of those that may change a write, so that what another has added counts as asked for. What this server does by itself comes
// in no request of a client and is let through.
type RBACGuard struct {
	stores func() RBACStores
	authz  authorizer.Authorizer
	rules  authorizer.RuleResolver
}

// NewRBACGuard returns a guard that asks authz and rules. stores are asked for from the first request on.
func NewRBACGuard(stores func() RBACStores, authz authorizer.Authorizer, rules authorizer.RuleResolver) *RBACGuard {
	return &RBACGuard{stores: stores, authz: authz, rules: rules}
}

// target is what is granted, or granted by, as it is authorized.
type target struct{ resource, namespace, name string }

// Admit refuses what the client may not grant, and changes nothing.
func (g *RBACGuard) Admit(ctx context.Context, r *registry.Request) error {
	client, fromClient := handler.RequestFrom(ctx)
	if !fromClient || r.Object == nil || r.Resource.Group != rbacv1.GroupName {
		return nil
	}
	if client.User == nil {
		return apierrors.NewUnauthorized("Unauthorized") // without a user, nothing may be granted
	}
	at := target{r.Resource.Resource, r.Namespace, r.Name}
	switch obj := r.Object.(type) {
	case *rbacv1.Role:
		if changed(obj, r.Old) {
			return g.checkRole(ctx, client.User, at, obj.Rules, nil, nil)
		}
	case *rbacv1.ClusterRole:
		if changed(obj, r.Old) {
			var before *rbacv1.AggregationRule
			if old, ok := r.Old.(*rbacv1.ClusterRole); ok {
				before = old.AggregationRule
			}
			return g.checkRole(ctx, client.User, at, obj.Rules, obj.AggregationRule, before)
		}
	case *rbacv1.RoleBinding:
		if changed(obj, r.Old) {
			return g.checkBinding(ctx, client.User, at, obj.RoleRef)
		}
	case *rbacv1.ClusterRoleBinding:
		if changed(obj, r.Old) {
			return g.checkBinding(ctx, client.User, at, obj.RoleRef)
		}
	}
	return nil
}

// Validate has refused already.
func (g *RBACGuard) Validate(context.Context, *registry.Request) error { return nil }

// changed tells whether a write does more than what a garbage collector does, which grants nothing.
func changed[T bootstrapObject](obj T, old runtime.Object) bool {
	before, exists := old.(T)
	return !exists || !onlyCollectable(obj, before)
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

func (g *RBACGuard) checkRole(ctx context.Context, u user.Info, at target, rules []rbacv1.PolicyRule, aggregation, before *rbacv1.AggregationRule) error {
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

func (g *RBACGuard) checkBinding(ctx context.Context, u user.Info, at target, ref rbacv1.RoleRef) error {
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

func (g *RBACGuard) rulesOf(ctx context.Context, ref rbacv1.RoleRef, namespace string) ([]rbacv1.PolicyRule, error) {
	if ref.Kind == "Role" {
		r, err := registry.GetAs[*rbacv1.Role](ctx, g.stores().Roles, namespace, ref.Name)
		if err != nil {
			return nil, err
		}
		return r.Rules, nil
	}
	r, err := registry.GetAs[*rbacv1.ClusterRole](ctx, g.stores().ClusterRoles, "", ref.Name)
	if err != nil {
		return nil, err
	}
	return r.Rules, nil
}

func (g *RBACGuard) may(ctx context.Context, u user.Info, verb string, at target) bool {
	decision, _, err := g.authz.Authorize(ctx, authorizer.AttributesRecord{
		User: u, Verb: verb, APIGroup: rbacv1.GroupName, APIVersion: "*",
		Resource: at.resource, Namespace: at.namespace, Name: at.name, ResourceRequest: true,
	})
	return decision == authorizer.DecisionAllow && err == nil
}

// holds tells what of wanted u does not hold in namespace.
func (g *RBACGuard) holds(ctx context.Context, u user.Info, namespace string, wanted []rbacv1.PolicyRule) error {
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
