package authorization

import (
	"slices"
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apiserver/pkg/authorization/authorizer"
)

// ruleSet is the rules of one role: as written, for reviews, and prepared for matching.
type ruleSet struct {
	written  []rbacv1.PolicyRule
	resource []resourceRule
	url      []urlRule
}

// resourceRule allows verbs on resources.
type resourceRule struct {
	verbs     verbs
	anyGroup  bool
	groups    []string
	anything  bool // resources has "*"
	resources []resourcePattern
	names     []string // empty: every name, and requests without one
}

// urlRule allows verbs on paths outside the resources.
type urlRule struct {
	verbs verbs
	paths []pathPattern
}

// resourcePattern is "res", "res/sub" or, with anyParent, "*/sub".
type resourcePattern struct {
	full      string
	parent    string
	sub       string
	anyParent bool
}

func compile(rules []rbacv1.PolicyRule) *ruleSet {
	set := &ruleSet{written: rules}
	for i := range rules {
		r := &rules[i]
		v := verbsOf(r.Verbs)
		if len(r.Resources) > 0 {
			set.resource = append(set.resource, resourceRule{
				verbs:     v,
				anyGroup:  slices.Contains(r.APIGroups, rbacv1.APIGroupAll),
				groups:    r.APIGroups,
				anything:  slices.Contains(r.Resources, rbacv1.ResourceAll),
				resources: resourcePatterns(r.Resources),
				names:     r.ResourceNames,
			})
		}
		if len(r.NonResourceURLs) > 0 {
			set.url = append(set.url, urlRule{verbs: v, paths: pathPatterns(r.NonResourceURLs)})
		}
	}
	return set
}

func resourcePatterns(resources []string) []resourcePattern {
	patterns := make([]resourcePattern, 0, len(resources))
	for _, full := range resources {
		parent, sub, _ := strings.Cut(full, "/")
		patterns = append(patterns, resourcePattern{full: full, parent: parent, sub: sub, anyParent: parent == rbacv1.ResourceAll && sub != ""})
	}
	return patterns
}

// query is one request, taken apart once for all the rules it meets.
type query struct {
	isResource  bool
	verb        string
	bit         verbBits
	group       string
	resource    string
	subresource string
	name        string
	path        string

	missing bool // some binding named a role that does not exist
}

func queryOf(a authorizer.Attributes) query {
	verb := a.GetVerb()
	q := query{isResource: a.IsResourceRequest(), verb: verb, bit: bitOf(verb)}
	if q.isResource {
		q.group, q.resource, q.subresource, q.name = a.GetAPIGroup(), a.GetResource(), a.GetSubresource(), a.GetName()
	} else {
		q.path = a.GetPath()
	}
	return q
}

// allowedBy returns the first of gs that allows the request.
func (q *query) allowedBy(gs []*grant) *grant {
	for _, g := range gs {
		rules := g.binding.role.rules.Load()
		if rules == nil {
			q.missing = true
			continue
		}
		if rules.allow(q) {
			return g
		}
	}
	return nil
}

func (s *ruleSet) allow(q *query) bool {
	if !q.isResource {
		for i := range s.url {
			if s.url[i].allows(q) {
				return true
			}
		}
		return false
	}
	for i := range s.resource {
		if s.resource[i].allows(q) {
			return true
		}
	}
	return false
}

func (r *resourceRule) allows(q *query) bool {
	return r.verbs.have(q) &&
		(r.anyGroup || slices.Contains(r.groups, q.group)) &&
		(r.anything || r.covers(q)) &&
		(len(r.names) == 0 || slices.Contains(r.names, q.name))
}

func (r *resourceRule) covers(q *query) bool {
	for i := range r.resources {
		p := &r.resources[i]
		if q.subresource == "" {
			if p.full == q.resource {
				return true
			}
		} else if p.sub == q.subresource && (p.anyParent || p.parent == q.resource) {
			return true
		}
	}
	return false
}

func (r *urlRule) allows(q *query) bool {
	if !r.verbs.have(q) {
		return false
	}
	for i := range r.paths {
		if r.paths[i].matches(q.path) {
			return true
		}
	}
	return false
}
