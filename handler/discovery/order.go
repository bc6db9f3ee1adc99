package discovery

import (
	"cmp"
	"slices"

	apidiscoveryv2 "k8s.io/api/apidiscovery/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/version"
)

// priority is where a group-version stands among the others.
type priority struct {
	group, version int
}

// unprioritized is the priority of a group-version for which none was set.
var unprioritized = priority{group: 1000, version: 15}

// apiRegistrationGroup always comes first: 20001 is one more than an APIService may ask for.
const (
	apiRegistrationGroup         = "apiregistration.k8s.io"
	apiRegistrationGroupPriority = 20001
)

// sorted are all groups in the order of the contract (5.3, 5.5): groups by priority, then name;
// versions by priority, then from the most stable to the least, and the newer before the older.
// mu is held.
func (m *Manager) sorted() []apidiscoveryv2.APIGroupDiscovery {
	groups := map[string]*prioritizedGroup{}
	for gv, reports := range m.reports {
		g := groups[gv.Group]
		if g == nil {
			g = &prioritizedGroup{name: gv.Group}
			groups[gv.Group] = g
		}
		p := m.priorityOf(gv)
		g.priority = max(g.priority, p.group)
		g.versions = append(g.versions, prioritizedVersion{APIVersionDiscovery: reports[0].version, priority: p.version})
	}

	ordered := make([]*prioritizedGroup, 0, len(groups))
	for _, g := range groups {
		ordered = append(ordered, g)
	}
	slices.SortFunc(ordered, func(a, b *prioritizedGroup) int {
		return cmp.Or(cmp.Compare(b.priority, a.priority), cmp.Compare(a.name, b.name))
	})

	out := make([]apidiscoveryv2.APIGroupDiscovery, len(ordered))
	for i, g := range ordered {
		out[i] = g.discovery()
	}
	return out
}

func (m *Manager) priorityOf(gv metav1.GroupVersion) priority {
	p, set := m.priorities[gv]
	if !set {
		p = unprioritized
	}
	if gv.Group == apiRegistrationGroup {
		p.group = apiRegistrationGroupPriority
	}
	return p
}

type prioritizedGroup struct {
	name     string
	priority int
	versions []prioritizedVersion
}

type prioritizedVersion struct {
	apidiscoveryv2.APIVersionDiscovery
	priority int
}

func (g *prioritizedGroup) discovery() apidiscoveryv2.APIGroupDiscovery {
	slices.SortFunc(g.versions, func(a, b prioritizedVersion) int {
		return cmp.Or(cmp.Compare(b.priority, a.priority), version.CompareKubeAwareVersionStrings(b.Version, a.Version))
	})
	out := apidiscoveryv2.APIGroupDiscovery{
		ObjectMeta: metav1.ObjectMeta{Name: g.name},
		Versions:   make([]apidiscoveryv2.APIVersionDiscovery, len(g.versions)),
	}
	for i, v := range g.versions {
		out.Versions[i] = v.APIVersionDiscovery
	}
	return out
}
