package discovery_test

import (
	"encoding/json"
	"testing"

	apidiscoveryv2 "k8s.io/api/apidiscovery/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/portico-api/portico/handler/discovery"
)

func TestResourceListSurvivesBothConversions(t *testing.T) {
	list := &metav1.APIResourceList{
		TypeMeta:     metav1.TypeMeta{Kind: "APIResourceList", APIVersion: "v1"},
		GroupVersion: "wardle.example.com/v1alpha1",
		APIResources: []metav1.APIResource{
			{Name: "fischers", SingularName: "fischer", Kind: "Fischer", Verbs: metav1.Verbs{"get"}, ShortNames: []string{"fs"}},
			{Name: "flunders", SingularName: "flunder", Namespaced: true, Kind: "Flunder", Verbs: metav1.Verbs{"get", "list"}, Categories: []string{"all"}},
			{Name: "flunders/scale", Namespaced: true, Kind: "Scale", Group: "autoscaling", Version: "v1", Verbs: metav1.Verbs{"get", "update"}},
			{Name: "flunders/status", Namespaced: true, Kind: "Flunder", Verbs: metav1.Verbs{"update"}},
		},
	}
	version, err := discovery.FromAPIResourceList(list)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range version.Resources {
		if r.ResponseKind == nil || r.ResponseKind.Group == "" || r.ResponseKind.Version == "" {
			t.Errorf("responseKind of %s: got %v, want group, version and kind", r.Resource, r.ResponseKind)
		}
	}
	got, _ := json.Marshal(discovery.NewAPIResourceList("wardle.example.com", version))
	want, _ := json.Marshal(list)
	if string(got) != string(want) {
		t.Errorf("list after both conversions\n got %s\nwant %s", got, want)
	}
}

func TestFromAPIResourceListPutsEverythingInItsPlace(t *testing.T) {
	for name, tc := range map[string]struct {
		resources []metav1.APIResource
		want      string // resource[subresource …] …
	}{
		"a subresource may come before its resource": {
			resources: []metav1.APIResource{{Name: "a/status", Kind: "A"}, {Name: "a", Kind: "A", Verbs: metav1.Verbs{"get"}}},
			want:      "a[status]",
		},
		"a subresource may have no resource": {
			resources: []metav1.APIResource{{Name: "a/scale", Kind: "Scale"}},
			want:      "a[scale]",
		},
		"what has no kind is left out": {
			resources: []metav1.APIResource{{Name: "a"}, {Name: "b", Kind: "B"}},
			want:      "b",
		},
	} {
		t.Run(name, func(t *testing.T) {
			v, err := discovery.FromAPIResourceList(&metav1.APIResourceList{GroupVersion: "g/v1", APIResources: tc.resources})
			if err != nil {
				t.Fatal(err)
			}
			if got := listed(v); got != tc.want {
				t.Errorf("resources: got %q, want %q", got, tc.want)
			}
		})
	}
	if _, err := discovery.FromAPIResourceList(&metav1.APIResourceList{GroupVersion: "a/b/c"}); err == nil {
		t.Error("group-version a/b/c: got no error")
	}
}

func listed(v apidiscoveryv2.APIVersionDiscovery) string {
	text := ""
	for _, r := range v.Resources {
		text += r.Resource
		for _, s := range r.Subresources {
			text += "[" + s.Subresource + "]"
		}
	}
	return text
}
