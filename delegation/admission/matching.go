package admission

import (
	"context"
	"slices"
	"strings"

	registrationv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// matcher tells which writes a hook is about.
type matcher struct {
	rules, except       []registrationv1.NamedRuleWithOperations
	equivalent          bool // a rule that names another form of the resource matches, too
	namespaces, objects labels.Selector
}

func newMatcher(rules, except []registrationv1.NamedRuleWithOperations, policy *registrationv1.MatchPolicyType, namespaces, objects *metav1.LabelSelector) (*matcher, error) {
	m := &matcher{rules: rules, except: except, equivalent: policy == nil || *policy == registrationv1.Equivalent}
	var err error
	if m.namespaces, err = selectorOf(namespaces); err != nil {
		return nil, err
	}
	m.objects, err = selectorOf(objects)
	return m, err
}

// newResourcesMatcher returns the matcher of a policy or binding. Without resources, everything matches.
func newResourcesMatcher(m *registrationv1.MatchResources) (*matcher, error) {
	if m == nil {
		return nil, nil
	}
	return newMatcher(m.ResourceRules, m.ExcludeResourceRules, m.MatchPolicy, m.NamespaceSelector, m.ObjectSelector)
}

// selectorOf is a selector of everything where there is none.
func selectorOf(s *metav1.LabelSelector) (labels.Selector, error) {
	if s == nil {
		return labels.Everything(), nil
	}
	return metav1.LabelSelectorAsSelector(s)
}

// matches tells in which form of the write the hook wants to see it. Selectors are only asked when a rule matches: a
// namespace that cannot be read is no concern of who does not care.
func (m *matcher) matches(ctx context.Context, rv *review) (form int, ok bool, err error) {
	if m == nil {
		return 0, true, nil
	}
	if _, excepted := m.form(m.except, rv); excepted {
		return 0, false, nil
	}
	if form, ok = m.form(m.rules, rv); !ok && len(m.rules) > 0 {
		return 0, false, nil
	}
	if !m.objects.Empty() && !hasLabels(m.objects, rv.Object) && !hasLabels(m.objects, rv.Old) {
		return 0, false, nil
	}
	if m.namespaces.Empty() {
		return form, true, nil
	}
	found, all, err := rv.namespaceLabels(ctx)
	if err != nil {
		return 0, false, err
	}
	return form, !found || m.namespaces.Matches(all), nil
}

// form is the first form of the write that a rule matches: that of the client before all others.
func (m *matcher) form(rules []registrationv1.NamedRuleWithOperations, rv *review) (int, bool) {
	for form := range rv.forms {
		for i := range rules {
			if ruleMatches(&rules[i], rv, rv.forms[form].Resource) {
				return form, true
			}
		}
		if !m.equivalent {
			break
		}
	}
	return 0, false
}

func ruleMatches(r *registrationv1.NamedRuleWithOperations, rv *review, resource schema.GroupVersionResource) bool {
	return anyOf(r.APIGroups, resource.Group) &&
		anyOf(r.APIVersions, resource.Version) &&
		anyOf(r.Operations, registrationv1.OperationType(rv.Operation)) &&
		scopeMatches(r.Scope, rv) &&
		resourceMatches(r.Resources, resource.Resource, rv.Subresource) &&
		(len(r.ResourceNames) == 0 || slices.Contains(r.ResourceNames, rv.Name))
}

func anyOf[S ~string](patterns []S, value S) bool {
	return slices.ContainsFunc(patterns, func(p S) bool { return p == "*" || p == value })
}

func scopeMatches(scope *registrationv1.ScopeType, rv *review) bool {
	if scope == nil || *scope == registrationv1.AllScopes {
		return true
	}
	namespaced := rv.namespace != "" && !isNamespace(rv.Request)
	return namespaced == (*scope == registrationv1.NamespacedScope)
}

func resourceMatches(patterns []string, resource, subresource string) bool {
	for _, pattern := range patterns {
		r, sub, _ := strings.Cut(pattern, "/")
		if (r == "*" || r == resource) && (sub == "*" || sub == subresource) {
			return true
		}
	}
	return false
}

func hasLabels(selector labels.Selector, obj runtime.Object) bool {
	if obj == nil {
		return false
	}
	m, err := meta.Accessor(obj)
	return err == nil && selector.Matches(labels.Set(m.GetLabels()))
}
