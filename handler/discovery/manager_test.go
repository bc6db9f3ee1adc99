package discovery_test

import (
	"slices"
	"strings"
	"testing"

	apidiscoveryv2 "k8s.io/api/apidiscovery/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/portico-api/portico/handler/discovery"
)

func version(name string, resources ...string) apidiscoveryv2.APIVersionDiscovery {
	v := apidiscoveryv2.APIVersionDiscovery{Version: name}
	for _, r := range resources {
		v.Resources = append(v.Resources, apidiscoveryv2.APIResourceDiscovery{
			Resource:     r,
			ResponseKind: &metav1.GroupVersionKind{Version: name, Kind: strings.ToUpper(r[:1]) + r[1:]},
			Scope:        apidiscoveryv2.ScopeNamespace,
			Verbs:        []string{"get"},
		})
	}
	return v
}

// shown is a manager's document in one line: group(version[resource …] …) …
func shown(m *discovery.Manager) string {
	var groups []string
	for _, g := range m.Groups() {
		var versions []string
		for _, v := range g.Versions {
			text := v.Version
			for _, r := range v.Resources {
				text += "[" + r.Resource + "]"
			}
			if v.Freshness == apidiscoveryv2.DiscoveryFreshnessStale {
				text += "~"
			}
			versions = append(versions, text)
		}
		groups = append(groups, g.Name+"("+strings.Join(versions, " ")+")")
	}
	return strings.Join(groups, " ")
}

func TestManagerOrdersAndMerges(t *testing.T) {
	gv := func(g, v string) metav1.GroupVersion { return metav1.GroupVersion{Group: g, Version: v} }
	for name, tc := range map[string]struct {
		change func(m *discovery.Manager)
		want   string
	}{
		"nothing is reported at first": {
			change: func(*discovery.Manager) {},
			want:   "",
		},
		"groups of one priority are in the order of their names": {
			change: func(m *discovery.Manager) {
				m.AddGroupVersion(discovery.SourceBuiltIn, "b", version("v1"))
				m.AddGroupVersion(discovery.SourceBuiltIn, "a", version("v1"))
			},
			want: "a(v1) b(v1)",
		},
		"versions of one priority are in the order of their stability and age": {
			change: func(m *discovery.Manager) {
				for _, v := range []string{"v1alpha1", "v1", "v2beta1", "v10", "v2"} {
					m.AddGroupVersion(discovery.SourceBuiltIn, "a", version(v))
				}
			},
			want: "a(v10 v2 v1 v2beta1 v1alpha1)",
		},
		"a higher priority comes first, and a group has the highest of its versions": {
			change: func(m *discovery.Manager) {
				m.AddGroupVersion(discovery.SourceBuiltIn, "a", version("v1"))
				m.AddGroupVersion(discovery.SourceBuiltIn, "z", version("v1"))
				m.AddGroupVersion(discovery.SourceBuiltIn, "z", version("v1beta1"))
				m.SetGroupVersionPriority(gv("z", "v1"), 10, 15)
				m.SetGroupVersionPriority(gv("z", "v1beta1"), 2000, 100)
			},
			want: "z(v1beta1 v1) a(v1)",
		},
		"apiregistration.k8s.io is first, whatever the others ask for": {
			change: func(m *discovery.Manager) {
				m.AddGroupVersion(discovery.SourceBuiltIn, "a", version("v1"))
				m.AddGroupVersion(discovery.SourceBuiltIn, "apiregistration.k8s.io", version("v1"))
				m.SetGroupVersionPriority(gv("a", "v1"), 20000, 1000)
			},
			want: "apiregistration.k8s.io(v1) a(v1)",
		},
		"of several reports the lowest source wins, for each version": {
			change: func(m *discovery.Manager) {
				m.AddGroupVersion(discovery.SourceCustomResources, "a", version("v1", "custom"))
				m.AddGroupVersion(discovery.SourceCustomResources, "a", version("v2", "custom"))
				m.AddGroupVersion(discovery.SourceBuiltIn, "a", version("v1", "builtin"))
				m.AddGroupVersion(discovery.SourceAggregator, "a", version("v1", "remote"))
			},
			want: "a(v2[custom] v1[remote])",
		},
		"the next source appears when the lowest takes its report back": {
			change: func(m *discovery.Manager) {
				m.AddGroupVersion(discovery.SourceAggregator, "a", version("v1", "remote"))
				m.AddGroupVersion(discovery.SourceBuiltIn, "a", version("v1", "builtin"))
				m.RemoveGroupVersion(discovery.SourceAggregator, gv("a", "v1"))
			},
			want: "a(v1[builtin])",
		},
		"a source's later report replaces its earlier one": {
			change: func(m *discovery.Manager) {
				m.AddGroupVersion(discovery.SourceBuiltIn, "a", version("v1", "old"))
				stale := version("v1", "new")
				stale.Freshness = apidiscoveryv2.DiscoveryFreshnessStale
				m.AddGroupVersion(discovery.SourceBuiltIn, "a", stale)
			},
			want: "a(v1[new]~)",
		},
		"a group goes with its last version": {
			change: func(m *discovery.Manager) {
				m.AddGroupVersion(discovery.SourceBuiltIn, "a", version("v1"))
				m.AddGroupVersion(discovery.SourceBuiltIn, "a", version("v2"))
				m.AddGroupVersion(discovery.SourceBuiltIn, "b", version("v1"))
				m.RemoveGroup(discovery.SourceBuiltIn, "a")
			},
			want: "b(v1)",
		},
		"taking back what was never reported changes nothing": {
			change: func(m *discovery.Manager) {
				m.AddGroupVersion(discovery.SourceBuiltIn, "a", version("v1"))
				m.RemoveGroupVersion(discovery.SourceAggregator, gv("a", "v1"))
				m.RemoveGroupVersion(discovery.SourceBuiltIn, gv("a", "v2"))
				m.RemoveGroup(discovery.SourceCustomResources, "a")
			},
			want: "a(v1)",
		},
		"the core group is not among the named ones": {
			change: func(m *discovery.Manager) {
				m.AddGroupVersion(discovery.SourceBuiltIn, "", version("v1", "pods"))
				m.AddGroupVersion(discovery.SourceBuiltIn, "a", version("v1"))
			},
			want: "a(v1)",
		},
	} {
		t.Run(name, func(t *testing.T) {
			m := discovery.NewManager(nil)
			tc.change(m)
			if got := shown(m); got != tc.want {
				t.Errorf("groups\n got %s\nwant %s", got, tc.want)
			}
		})
	}
}

type countingObserver int

func (o *countingObserver) DiscoveryAggregated() { *o++ }

func TestManagerAggregatesOncePerChangeAndOnlyWhenRead(t *testing.T) {
	var made countingObserver
	m := discovery.NewManager(&made)
	for _, g := range []string{"a", "b", "c"} {
		m.AddGroupVersion(discovery.SourceBuiltIn, g, version("v1"))
	}
	if made != 0 {
		t.Errorf("documents made before anybody reads: got %d, want 0", made)
	}
	m.Groups()
	m.Groups()
	if made != 1 {
		t.Errorf("documents made for two reads: got %d, want 1", made)
	}
	m.SetGroupVersionPriority(metav1.GroupVersion{Group: "a", Version: "v1"}, 1, 1)
	m.SetGroupVersionPriority(metav1.GroupVersion{Group: "a", Version: "v1"}, 1, 1)
	m.Groups()
	if made != 2 {
		t.Errorf("documents made after a change: got %d, want 2", made)
	}
}

func TestAPIGroupsPreferTheFirstVersion(t *testing.T) {
	m := discovery.NewManager(nil)
	m.AddGroupVersion(discovery.SourceBuiltIn, "a", version("v1beta1"))
	m.AddGroupVersion(discovery.SourceBuiltIn, "a", version("v1"))
	groups := m.APIGroups()
	if len(groups) != 1 {
		t.Fatalf("groups: got %d, want 1", len(groups))
	}
	var versions []string
	for _, v := range groups[0].Versions {
		versions = append(versions, v.GroupVersion)
	}
	if want := []string{"a/v1", "a/v1beta1"}; !slices.Equal(versions, want) {
		t.Errorf("versions: got %q, want %q", versions, want)
	}
	if got, want := groups[0].PreferredVersion.GroupVersion, "a/v1"; got != want {
		t.Errorf("preferred version: got %q, want %q", got, want)
	}
}
