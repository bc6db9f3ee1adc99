package discovery

import (
	"fmt"
	"strings"

	apidiscoveryv2 "k8s.io/api/apidiscovery/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// FromAPIResourceList returns the version that list describes, for servers that know only the
// older form. Entries whose kind is unknown are left out: clients skip a resource without one.
func FromAPIResourceList(list *metav1.APIResourceList) (apidiscoveryv2.APIVersionDiscovery, error) {
	gv, err := schema.ParseGroupVersion(list.GroupVersion)
	if err != nil {
		return apidiscoveryv2.APIVersionDiscovery{}, fmt.Errorf("converting the resource list of %q: %w", list.GroupVersion, err)
	}
	c := converter{gv: gv, at: map[string]int{}}
	for _, r := range list.APIResources {
		c.add(r)
	}
	return apidiscoveryv2.APIVersionDiscovery{
		Version:   gv.Version,
		Freshness: apidiscoveryv2.DiscoveryFreshnessCurrent,
		Resources: c.resources,
	}, nil
}

// converter puts the flat entries of a resource list in their places.
type converter struct {
	gv        schema.GroupVersion
	resources []apidiscoveryv2.APIResourceDiscovery
	at        map[string]int // index in resources by name
}

func (c *converter) add(r metav1.APIResource) {
	if r.Kind == "" {
		return
	}
	name, subresource, isSubresource := strings.Cut(r.Name, "/")
	parent := c.resource(name, r.Namespaced)
	if isSubresource {
		parent.Subresources = append(parent.Subresources, apidiscoveryv2.APISubresourceDiscovery{
			Subresource:  subresource,
			ResponseKind: c.kindOf(r),
			Verbs:        r.Verbs,
		})
		if parent.ResponseKind == nil {
			// A subresource without its resource: an empty kind keeps clients from skipping both.
			parent.ResponseKind = &metav1.GroupVersionKind{}
		}
		return
	}
	parent.ResponseKind = c.kindOf(r)
	parent.SingularResource = r.SingularName
	parent.Verbs = r.Verbs
	parent.ShortNames = r.ShortNames
	parent.Categories = r.Categories
}

// resource returns the entry named name, new or there already: a subresource may come first.
func (c *converter) resource(name string, namespaced bool) *apidiscoveryv2.APIResourceDiscovery {
	i, found := c.at[name]
	if !found {
		i = len(c.resources)
		c.at[name] = i
		c.resources = append(c.resources, apidiscoveryv2.APIResourceDiscovery{Resource: name, Scope: scopeOf(namespaced)})
	}
	return &c.resources[i]
}

// kindOf fills in the list's own group and version where the entry leaves them out.
func (c *converter) kindOf(r metav1.APIResource) *metav1.GroupVersionKind {
	kind := &metav1.GroupVersionKind{Group: r.Group, Version: r.Version, Kind: r.Kind}
	if kind.Version == "" {
		kind.Group, kind.Version = c.gv.Group, c.gv.Version
	}
	return kind
}

func scopeOf(namespaced bool) apidiscoveryv2.ResourceScope {
	if namespaced {
		return apidiscoveryv2.ScopeNamespace
	}
	return apidiscoveryv2.ScopeCluster
}
