package discovery

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	apidiscoveryv2 "k8s.io/api/apidiscovery/v2"
)

// NewAPIVersions is what /api answers: the versions of the core group and where the server is.
func NewAPIVersions(serverAddress string, versions ...string) *metav1.APIVersions {
	return &metav1.APIVersions{
		TypeMeta: metav1.TypeMeta{Kind: "APIVersions", APIVersion: "v1"},
		Versions: versions,
		ServerAddressByClientCIDRs: []metav1.ServerAddressByClientCIDR{
			{ClientCIDR: "0.0.0.0/0", ServerAddress: serverAddress},
		},
	}
}

// NewAPIGroup is what /apis/<group> answers. The first version is the preferred one.
func NewAPIGroup(group string, versions ...string) *metav1.APIGroup {
	g := newAPIGroup(group, versions)
	g.TypeMeta = metav1.TypeMeta{Kind: "APIGroup", APIVersion: "v1"}
	return &g
}

// NewAPIGroupList is what /apis answers to a client that does not ask for the aggregated form.
func NewAPIGroupList(groups []metav1.APIGroup) *metav1.APIGroupList {
	list := &metav1.APIGroupList{
		TypeMeta: metav1.TypeMeta{Kind: "APIGroupList", APIVersion: "v1"},
		Groups:   make([]metav1.APIGroup, len(groups)),
	}
	for i, g := range groups {
		list.Groups[i] = g
		list.Groups[i].TypeMeta = metav1.TypeMeta{} // the list says it for all
	}
	return list
}

// APIGroups are all groups but the core group in the older form, in the order clients are shown.
func (m *Manager) APIGroups() []metav1.APIGroup {
	groups := m.Groups()
	out := make([]metav1.APIGroup, len(groups))
	for i, g := range groups {
		versions := make([]string, len(g.Versions))
		for j, v := range g.Versions {
			versions[j] = v.Version
		}
		out[i] = newAPIGroup(g.Name, versions)
	}
	return out
}

func newAPIGroup(group string, versions []string) metav1.APIGroup {
	g := metav1.APIGroup{Name: group, Versions: make([]metav1.GroupVersionForDiscovery, len(versions))}
	for i, v := range versions {
		g.Versions[i] = metav1.GroupVersionForDiscovery{
			GroupVersion: metav1.GroupVersion{Group: group, Version: v}.String(),
			Version:      v,
		}
	}
	if len(versions) > 0 {
		g.PreferredVersion = g.Versions[0]
	}
	return g
}

// NewAPIResourceList is what /apis/<group>/<version> and /api/<version> answer: the resources of v
// in the older form, where a subresource is an entry of its own, named "<resource>/<subresource>".
func NewAPIResourceList(group string, v apidiscoveryv2.APIVersionDiscovery) *metav1.APIResourceList {
	gv := metav1.GroupVersion{Group: group, Version: v.Version}
	list := &metav1.APIResourceList{
		TypeMeta:     metav1.TypeMeta{Kind: "APIResourceList", APIVersion: "v1"},
		GroupVersion: gv.String(),
		APIResources: []metav1.APIResource{}, // "resources":[], never null
	}
	for _, r := range v.Resources {
		namespaced := r.Scope == apidiscoveryv2.ScopeNamespace
		if len(r.Verbs) > 0 {
			list.APIResources = append(list.APIResources, withKind(gv, r.ResponseKind, metav1.APIResource{
				Name:         r.Resource,
				SingularName: r.SingularResource,
				Namespaced:   namespaced,
				Verbs:        r.Verbs,
				ShortNames:   r.ShortNames,
				Categories:   r.Categories,
			}))
		}
		for _, s := range r.Subresources {
			list.APIResources = append(list.APIResources, withKind(gv, s.ResponseKind, metav1.APIResource{
				Name:       r.Resource + "/" + s.Subresource,
				Namespaced: namespaced,
				Verbs:      s.Verbs,
			}))
		}
	}
	return list
}

// withKind adds the kind, and its group and version where they are not the list's own.
func withKind(gv metav1.GroupVersion, kind *metav1.GroupVersionKind, r metav1.APIResource) metav1.APIResource {
	if kind == nil {
		return r
	}
	r.Kind = kind.Kind
	if kind.Group != gv.Group || kind.Version != gv.Version {
		r.Group, r.Version = kind.Group, kind.Version
	}
	return r
}
