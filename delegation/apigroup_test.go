package delegation_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	clientdiscovery "k8s.io/client-go/discovery"
	restclient "k8s.io/client-go/rest"

	"github.com/portico-api/portico/delegation"
	"github.com/portico-api/portico/handler/rest"
)

// noneStorage answers every get with not found.
type noneStorage struct{}

func (noneStorage) Get(context.Context, string, string, *metav1.GetOptions) (rest.Object, error) {
	return nil, apierrors.NewNotFound(schema.GroupResource{}, "none")
}

func resource(gv schema.GroupVersion, name, kind string, subresources ...*rest.Resource) *rest.Resource {
	scheme := runtime.NewScheme()
	_ = corev1.AddToScheme(scheme)
	return &rest.Resource{
		GroupVersion: gv,
		Kind:         kind,
		Name:         name,
		SingularName: strings.ToLower(kind),
		Namespaced:   true,
		Storage:      noneStorage{},
		New:          func() runtime.Object { return &corev1.ConfigMap{} },
		Scheme:       scheme,
		Subresources: subresources,
	}
}

func installGroups(t *testing.T, unit *delegation.GenericAPIServer) {
	t.Helper()
	v1, apps := schema.GroupVersion{Version: "v1"}, schema.GroupVersion{Group: "apps", Version: "v1"}
	scale := resource(apps, "scale", "Scale")
	scale.KindGroupVersion = schema.GroupVersion{Group: "autoscaling", Version: "v1"}
	err := unit.InstallLegacyAPIGroup("/api", &delegation.APIGroupInfo{
		Versions: []delegation.APIVersion{{Version: "v1", Resources: []*rest.Resource{
			resource(v1, "secrets", "Secret"),
			resource(v1, "configmaps", "ConfigMap"),
		}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	err = unit.InstallAPIGroups(
		&delegation.APIGroupInfo{Group: "apps", Versions: []delegation.APIVersion{
			{Version: "v1", Resources: []*rest.Resource{resource(apps, "deployments", "Deployment", scale)}},
			{Version: "v1beta1"},
		}},
		&delegation.APIGroupInfo{Group: "batch", Versions: []delegation.APIVersion{{Version: "v1"}}},
	)
	if err != nil {
		t.Fatal(err)
	}
}

func TestInstalledGroupsAreDiscovered(t *testing.T) {
	unit := newUnit(t, openConfig(), "core", delegation.NewEmptyDelegate())
	installGroups(t, unit)
	server := httptest.NewServer(unit.Handler)
	defer server.Close()

	for name, legacy := range map[string]bool{"aggregated": false, "legacy": true} {
		t.Run(name, func(t *testing.T) {
			client := clientdiscovery.NewDiscoveryClientForConfigOrDie(&restclient.Config{Host: server.URL})
			client.UseLegacyDiscovery = legacy
			groups, lists, err := client.ServerGroupsAndResources()
			if err != nil {
				t.Fatal(err)
			}
			var names []string
			for _, g := range groups {
				names = append(names, g.Name+":"+g.PreferredVersion.Version)
			}
			if want := []string{":v1", "apps:v1", "batch:v1"}; !slices.Equal(names, want) {
				t.Errorf("groups and their preferred versions: got %q, want %q", names, want)
			}
			var resources []string
			for _, l := range lists {
				for _, r := range l.APIResources {
					kind := schema.GroupVersionKind{Group: r.Group, Version: r.Version, Kind: r.Kind}
					if r.Version == "" {
						kind = schema.FromAPIVersionAndKind(l.GroupVersion, r.Kind)
					}
					resources = append(resources, l.GroupVersion+" "+r.Name+" "+kind.String()+" "+strings.Join(r.Verbs, ","))
				}
			}
			slices.Sort(resources) // the client keeps group-versions in no order
			want := []string{
				"apps/v1 deployments apps/v1, Kind=Deployment get",
				"apps/v1 deployments/scale autoscaling/v1, Kind=Scale get",
				"v1 configmaps /v1, Kind=ConfigMap get",
				"v1 secrets /v1, Kind=Secret get",
			}
			if !slices.Equal(resources, want) {
				t.Errorf("resources\n got %q\nwant %q", resources, want)
			}
		})
	}
}

func TestDiscoveryOfUnknownPathsInAClaimedGroupIsAStatus(t *testing.T) {
	unit := newUnit(t, openConfig(), "core", delegation.NewEmptyDelegate())
	installGroups(t, unit)
	for _, path := range []string{"/apis/apps/v9", "/apis/apps/v1/unknown", "/api/v1/unknown"} {
		w := request(unit.Handler, http.MethodGet, path)
		var status metav1.Status
		if err := json.Unmarshal(w.Body.Bytes(), &status); err != nil || status.Message != "the server could not find the requested resource" {
			t.Errorf("GET %s: got %d %s, want the Status of an unknown resource", path, w.Code, w.Body)
		}
	}
}

func TestLegacyDiscoveryTellsWhereTheServerIs(t *testing.T) {
	config := openConfig()
	config.ExternalAddress = "portico.example.com:443"
	unit := newUnit(t, config, "core", delegation.NewEmptyDelegate())
	installGroups(t, unit)
	got := request(unit.Handler, http.MethodGet, "/api").Body.String()
	want := `{"kind":"APIVersions","apiVersion":"v1","versions":["v1"],"serverAddressByClientCIDRs":[{"clientCIDR":"0.0.0.0/0","serverAddress":"portico.example.com:443"}]}` + "\n"
	if got != want {
		t.Errorf("GET /api\n got %s\nwant %s", got, want)
	}
}

func TestGroupsThatCannotBeInstalledAreRefused(t *testing.T) {
	apps := schema.GroupVersion{Group: "apps", Version: "v1"}
	v1 := []delegation.APIVersion{{Version: "v1"}}
	for name, tc := range map[string]struct {
		group  delegation.APIGroupInfo
		prefix string // of the core group
		want   string
	}{
		"without a name":                  {delegation.APIGroupInfo{Versions: v1}, "", "InstallLegacyAPIGroup"},
		"without a version":               {delegation.APIGroupInfo{Group: "new"}, "", "no version"},
		"installed before":                {delegation.APIGroupInfo{Group: "apps", Versions: v1}, "", "installed already"},
		"a version twice":                 {delegation.APIGroupInfo{Group: "new", Versions: append(v1, v1...)}, "", "twice"},
		"another group's resource":        {delegation.APIGroupInfo{Group: "new", Versions: []delegation.APIVersion{{Version: "v1", Resources: []*rest.Resource{resource(apps, "a", "A")}}}}, "", "is of apps/v1"},
		"core at a prefix of another":     {delegation.APIGroupInfo{Versions: v1}, "/apis", "prefixes"},
		"a named group at the prefix":     {delegation.APIGroupInfo{Group: "new", Versions: v1}, "/api", "belongs below /apis"},
		"the core group installed before": {delegation.APIGroupInfo{Versions: v1}, "/api", "installed already"},
	} {
		t.Run(name, func(t *testing.T) {
			unit := newUnit(t, openConfig(), "core", delegation.NewEmptyDelegate())
			installGroups(t, unit)
			var err error
			if tc.prefix != "" {
				err = unit.InstallLegacyAPIGroup(tc.prefix, &tc.group)
			} else {
				err = unit.InstallAPIGroups(&tc.group)
			}
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got error %v, want one with %q", err, tc.want)
			}
		})
	}
}
