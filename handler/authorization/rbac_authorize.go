package authorization

import (
	"context"

	utilerrors "k8s.io/apimachinery/pkg/util/errors"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
)

// Authorize allows what some rule of some role bound to the user or one of its groups allows, and has no
// opinion on the rest: RBAC never denies. The reason of a refusal names the roles that are bound but do
// not exist, because that is what its reader will want to know.
func (x *RBAC) Authorize(_ context.Context, a authorizer.Attributes) (authorizer.Decision, string, error) {
	u := a.GetUser()
	if u == nil {
		return authorizer.DecisionNoOpinion, "", nil
	}
	q := queryOf(a)
	g := x.find(&q, u, "")
	if namespace := a.GetNamespace(); g == nil && namespace != "" {
		g = x.find(&q, u, namespace)
	}
	switch {
	case g != nil:
		return authorizer.DecisionAllow, g.reason(), nil
	case q.missing:
		if err := x.missingRoles(u, a.GetNamespace()); err != nil { // nil: the role has come meanwhile
			return authorizer.DecisionNoOpinion, "RBAC: " + err.Error(), nil
		}
	}
	return authorizer.DecisionNoOpinion, "", nil
}

// find returns a grant that allows q in namespace, or everywhere when that is empty.
func (x *RBAC) find(q *query, u user.Info, namespace string) *grant {
	if g := q.allowedBy(x.users.get(place{namespace, u.GetName()})); g != nil {
		return g
	}
	for _, group := range u.GetGroups() {
		if g := q.allowedBy(x.groups.get(place{namespace, group})); g != nil {
			return g
		}
	}
	return nil
}

// RulesFor lists the rules that u has everywhere and in namespace. The error names bound roles that do
// not exist; the lists are right in spite of it.
func (x *RBAC) RulesFor(_ context.Context, u user.Info, namespace string) ([]authorizer.ResourceRuleInfo, []authorizer.NonResourceRuleInfo, bool, error) {
	var resources []authorizer.ResourceRuleInfo
	var urls []authorizer.NonResourceRuleInfo
	x.each(u, namespace, func(g *grant) {
		rules := g.binding.role.rules.Load()
		if rules == nil {
			return
		}
		for i := range rules.written {
			r := &rules.written[i]
			if len(r.Resources) > 0 {
				resources = append(resources, &authorizer.DefaultResourceRuleInfo{
					Verbs: r.Verbs, APIGroups: r.APIGroups, Resources: r.Resources, ResourceNames: r.ResourceNames,
				})
			}
			if len(r.NonResourceURLs) > 0 && g.binding.key.namespace == "" {
				urls = append(urls, &authorizer.DefaultNonResourceRuleInfo{Verbs: r.Verbs, NonResourceURLs: r.NonResourceURLs})
			}
		}
	})
	return resources, urls, false, x.missingRoles(u, namespace)
}

func (x *RBAC) missingRoles(u user.Info, namespace string) error {
	var errs []error
	x.each(u, namespace, func(g *grant) {
		if g.binding.role.rules.Load() == nil {
			errs = append(errs, g.binding.role.missing())
		}
	})
	if len(errs) == 0 {
		return nil
	}
	return utilerrors.NewAggregate(errs)
}

// each visits all grants of u, first those that hold everywhere and then those of namespace.
func (x *RBAC) each(u user.Info, namespace string, visit func(*grant)) {
	scopes := []string{""}
	if namespace != "" {
		scopes = append(scopes, namespace)
	}
	for _, scope := range scopes {
		for _, g := range x.users.get(place{scope, u.GetName()}) {
			visit(g)
		}
		for _, group := range u.GetGroups() {
			for _, g := range x.groups.get(place{scope, group}) {
				visit(g)
			}
		}
	}
}
