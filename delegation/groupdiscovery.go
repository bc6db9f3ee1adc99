package delegation

import (
	"cmp"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/emicklei/go-restful/v3"
	apidiscoveryv2 "k8s.io/api/apidiscovery/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/portico-api/portico/handler/discovery"
	"github.com/portico-api/portico/handler/rest"
)

// groupIndex is what /apis answers in a unit that has discovery of its own: its groups in the order
// they were installed.
type groupIndex struct {
	document atomic.Pointer[discovery.Document]

	mu      sync.Mutex
	claimed map[string]bool
	groups  []metav1.APIGroup
}

func newGroupIndex() *groupIndex {
	g := &groupIndex{claimed: map[string]bool{}}
	g.publish()
	return g
}

// claim reserves a group's name, "" included, and tells whether it was free.
func (g *groupIndex) claim(group string) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.claimed[group] {
		return false
	}
	g.claimed[group] = true
	return true
}

func (g *groupIndex) add(group metav1.APIGroup) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.groups = append(g.groups, group)
	g.publish()
}

func (g *groupIndex) publish() {
	g.document.Store(discovery.NewDocument(discovery.NewAPIGroupList(g.groups)))
}

// webService answers /apis, aggregated when the client asks for it.
func (g *groupIndex) webService(m *discovery.Manager) *restful.WebService {
	legacy := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g.document.Load().ServeHTTP(w, r)
	})
	return documentWebService("/apis", "get available API groups", m.GroupsHandler(legacy))
}

// describe is v as discovery tells it. Resources are sorted, so that the document, and with it its
// ETag, does not depend on the order of installation.
func describe(v APIVersion) apidiscoveryv2.APIVersionDiscovery {
	out := apidiscoveryv2.APIVersionDiscovery{
		Version:   v.Version,
		Freshness: apidiscoveryv2.DiscoveryFreshnessCurrent,
		Resources: make([]apidiscoveryv2.APIResourceDiscovery, len(v.Resources)),
	}
	for i, r := range v.Resources {
		out.Resources[i] = describeResource(r)
	}
	slices.SortFunc(out.Resources, func(a, b apidiscoveryv2.APIResourceDiscovery) int {
		return cmp.Compare(a.Resource, b.Resource)
	})
	return out
}

func describeResource(r *rest.Resource) apidiscoveryv2.APIResourceDiscovery {
	out := apidiscoveryv2.APIResourceDiscovery{
		Resource:         r.Name,
		ResponseKind:     responseKind(r),
		Scope:            apidiscoveryv2.ScopeCluster,
		SingularResource: r.SingularName,
		Verbs:            r.Verbs(),
		ShortNames:       r.ShortNames,
		Categories:       r.Categories,
	}
	if r.Namespaced {
		out.Scope = apidiscoveryv2.ScopeNamespace
	}
	for _, sub := range r.Subresources {
		out.Subresources = append(out.Subresources, apidiscoveryv2.APISubresourceDiscovery{
			Subresource:  sub.Name,
			ResponseKind: responseKind(sub),
			Verbs:        sub.Verbs(),
		})
	}
	slices.SortFunc(out.Subresources, func(a, b apidiscoveryv2.APISubresourceDiscovery) int {
		return cmp.Compare(a.Subresource, b.Subresource)
	})
	return out
}

// responseKind is what a request to r is answered with. It is never nil: clients skip what has none.
func responseKind(r *rest.Resource) *metav1.GroupVersionKind {
	gv := r.GroupVersion
	if r.KindGroupVersion.Version != "" {
		gv = r.KindGroupVersion
	}
	return &metav1.GroupVersionKind{Group: gv.Group, Version: gv.Version, Kind: r.Kind}
}
