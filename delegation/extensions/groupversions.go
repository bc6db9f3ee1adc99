package extensions

import (
	"crypto/sha256"
	"encoding/base64"
	"slices"
	"strings"
	"sync"

	apidiscoveryv2 "k8s.io/api/apidiscovery/v2"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	"k8s.io/apiextensions-apiserver/pkg/apihelpers"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	apiversion "k8s.io/apimachinery/pkg/version"

	"github.com/portico-api/portico/handler/discovery"
)

// groupVersions tells clients which custom resources there are (contract 7.2).
type groupVersions struct {
	manager *discovery.Manager
	openapi *documents

	mu      sync.Mutex
	known   map[schema.GroupVersion]apidiscoveryv2.APIVersionDiscovery
	storage map[string]map[string]string // in what version a resource is stored, if that is served, by group and name
}

func newGroupVersions(manager *discovery.Manager, openapi *documents) *groupVersions {
	return &groupVersions{manager: manager, openapi: openapi, known: map[schema.GroupVersion]apidiscoveryv2.APIVersionDiscovery{}, storage: map[string]map[string]string{}}
}

// changed tells of a group that all of definitions belong to.
func (g *groupVersions) changed(definitions []*definition, group string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	versions, storage := map[string][]apidiscoveryv2.APIResourceDiscovery{}, map[string]string{}
	for _, d := range definitions {
		if !isTrue(d, apiextensionsv1.Established) {
			continue
		}
		for i := range d.Spec.Versions {
			v := &d.Spec.Versions[i]
			if !v.Served {
				continue
			}
			versions[v.Name] = append(versions[v.Name], describe(d, v))
			if v.Storage {
				storage[d.Status.AcceptedNames.Plural] = v.Name
			}
		}
	}
	if g.storage[group] = storage; len(storage) == 0 {
		delete(g.storage, group)
	}
	for name, resources := range versions {
		gv := schema.GroupVersion{Group: group, Version: name}
		described := apidiscoveryv2.APIVersionDiscovery{Version: name, Freshness: apidiscoveryv2.DiscoveryFreshnessCurrent, Resources: resources}
		g.known[gv] = described
		g.manager.AddGroupVersion(discovery.SourceCustomResources, group, described)
		g.openapi.add(gv, definitions)
	}
	for gv := range g.known {
		if gv.Group == group && versions[gv.Version] == nil {
			delete(g.known, gv)
			g.manager.RemoveGroupVersion(discovery.SourceCustomResources, metav1.GroupVersion{Group: gv.Group, Version: gv.Version})
			g.openapi.remove(gv)
		}
	}
}

// all are the group-versions in which there are custom resources.
func (g *groupVersions) all() []schema.GroupVersion {
	g.mu.Lock()
	defer g.mu.Unlock()
	var all []schema.GroupVersion
	for gv := range g.known {
		all = append(all, gv)
	}
	slices.SortFunc(all, func(a, b schema.GroupVersion) int {
		if a.String() < b.String() {
			return -1
		}
		return 1
	})
	return all
}

// document is the older form of discovery at a path, of a group or of a version of one; nil when there is nothing of it. It is made when
// a client asks: few do.
func (g *groupVersions) document(path string) *discovery.Document {
	rest, ok := strings.CutPrefix(path, "/apis/")
	if !ok {
		return nil
	}
	group, name, versioned := strings.Cut(strings.TrimSuffix(rest, "/"), "/")
	g.mu.Lock()
	defer g.mu.Unlock()
	if versioned {
		described, ok := g.known[schema.GroupVersion{Group: group, Version: name}]
		if !ok {
			return nil
		}
		list := discovery.NewAPIResourceList(group, described)
		for i := range list.APIResources {
			if r := &list.APIResources[i]; g.storage[group][r.Name] != "" { // and no subresource
				r.StorageVersionHash = storageVersionHash(group, g.storage[group][r.Name], r.Kind)
			}
		}
		return discovery.NewDocument(list)
	}
	var versions []string
	for gv := range g.known {
		if gv.Group == group {
			versions = append(versions, gv.Version)
		}
	}
	if len(versions) == 0 {
		return nil
	}
	slices.SortFunc(versions, func(a, b string) int { return apiversion.CompareKubeAwareVersionStrings(b, a) })
	return discovery.NewDocument(discovery.NewAPIGroup(group, versions...))
}

// storageVersionHash changes when a resource is stored in another version, for those who migrate objects then.
func storageVersionHash(group, version, kind string) string {
	sum := sha256.Sum256([]byte(group + "/" + version + "/" + kind))
	return base64.StdEncoding.EncodeToString(sum[:8])
}

// describe is a custom resource as discovery lists it in one version.
func describe(d *definition, v *apiextensionsv1.CustomResourceDefinitionVersion) apidiscoveryv2.APIResourceDiscovery {
	names := &d.Status.AcceptedNames
	kind := &metav1.GroupVersionKind{Group: d.Spec.Group, Version: v.Name, Kind: names.Kind}
	r := apidiscoveryv2.APIResourceDiscovery{
		Resource: names.Plural, ResponseKind: kind, Scope: apidiscoveryv2.ScopeCluster, SingularResource: names.Singular,
		ShortNames: names.ShortNames, Categories: names.Categories, Verbs: verbs(d),
	}
	if isNamespaced(d) {
		r.Scope = apidiscoveryv2.ScopeNamespace
	}
	if v.Subresources == nil {
		return r
	}
	if v.Subresources.Status != nil {
		r.Subresources = append(r.Subresources, apidiscoveryv2.APISubresourceDiscovery{Subresource: "status", ResponseKind: kind, Verbs: []string{"get", "patch", "update"}})
	}
	if v.Subresources.Scale != nil {
		scale := autoscalingv1.SchemeGroupVersion.WithKind("Scale")
		r.Subresources = append(r.Subresources, apidiscoveryv2.APISubresourceDiscovery{
			Subresource: "scale", ResponseKind: &metav1.GroupVersionKind{Group: scale.Group, Version: scale.Version, Kind: scale.Kind}, Verbs: []string{"get", "patch", "update"},
		})
	}
	return r
}

// verbs are what can be done: with what is going, nothing that would make more of it.
func verbs(d *definition) []string {
	if isTrue(d, apiextensionsv1.Terminating) {
		return []string{"delete", "deletecollection", "get", "list", "watch"}
	}
	return []string{"delete", "deletecollection", "get", "list", "patch", "create", "update", "watch"}
}

func isTrue(d *definition, typ apiextensionsv1.CustomResourceDefinitionConditionType) bool {
	return apihelpers.IsCRDConditionTrue(d, typ)
}
