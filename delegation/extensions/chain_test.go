package extensions_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/runtime"
	clientdiscovery "k8s.io/client-go/discovery"
	restclient "k8s.io/client-go/rest"

	"github.com/portico-api/portico/delegation"
	"github.com/portico-api/portico/delegation/extensions"
	"github.com/portico-api/portico/delegation/registry"
	"github.com/portico-api/portico/delegation/storage"
)

// chain is front → core → extensions → end, of which core serves the group apps.
type chain struct {
	front  *delegation.GenericAPIServer
	passed []string
}

// entered is a delegation target that records being entered.
type entered struct {
	delegation.DelegationTarget
	name string
	in   *chain
}

func (e entered) UnprotectedHandler() http.Handler {
	next := e.DelegationTarget.UnprotectedHandler()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		e.in.passed = append(e.in.passed, e.name)
		next.ServeHTTP(w, r)
	})
}

func newChain(t *testing.T) *chain {
	t.Helper()
	store, err := storage.Open(t.Context(), storage.Config{DataDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	scheme := runtime.NewScheme()
	if err := extensions.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	c, config := &chain{}, openConfig(nil)
	unit, err := extensions.New(t.Context(), extensions.Config{Registry: registry.Config{Store: store, Scheme: scheme}}, config, entered{delegation.NewEmptyDelegate(), "end", c})
	if err != nil {
		t.Fatal(err)
	}
	core, err := config.New("kube-apiserver", entered{unit, "extensions", c})
	if err != nil {
		t.Fatal(err)
	}
	err = core.InstallAPIGroups(&delegation.APIGroupInfo{Group: "apps", Versions: []delegation.APIVersion{{Version: "v1"}}})
	if err != nil {
		t.Fatal(err)
	}
	if c.front, err = config.New("front", entered{core, "core", c}); err != nil {
		t.Fatal(err)
	}
	// The front has no /apis of its own, as the aggregator has none among its web services.
	c.front.Handler.Remove(c.front.Handler.WebServices()[0])
	return c
}

// run starts the chain and returns once its hooks are done.
func (c *chain) run(t *testing.T) {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	running, err := c.front.PrepareRun().NonBlockingRun(ctx)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stop()
		if err := running.Wait(); err != nil {
			t.Error(err)
		}
	})
	for c.get("/readyz").Code != http.StatusOK {
		if t.Context().Err() != nil {
			t.Fatal("never ready")
		}
	}
}

func (c *chain) get(path string) *httptest.ResponseRecorder { return c.do(http.MethodGet, path, "") }

func (c *chain) do(method, path, body string) *httptest.ResponseRecorder {
	c.passed = nil
	w := httptest.NewRecorder()
	request := httptest.NewRequest(method, path, strings.NewReader(body))
	request.Header.Set("Content-Type", "application/yaml")
	c.front.Handler.ServeHTTP(w, request)
	return w
}

func TestRequestReachesTheUnitThatOwnsItsPath(t *testing.T) {
	c := newChain(t)
	c.run(t)
	if w := c.do(http.MethodPost, crds, widgets(simpleVersion)); w.Code != http.StatusCreated {
		t.Fatalf("defining: %d %s", w.Code, w.Body)
	}
	for c.get("/apis/example.com/v1/widgets").Code != http.StatusOK || c.get("/apis/example.com/v1").Code != http.StatusOK {
		if t.Context().Err() != nil {
			t.Fatal("never served")
		}
	}
	for path, tc := range map[string]struct {
		want []string
		code int
	}{
		"/unknown":                                  {[]string{"core", "extensions", "end"}, 404},
		"/apis":                                     {[]string{"core"}, 200},
		"/apis/apps/v1":                             {[]string{"core"}, 200},
		"/apis/apps/v1/unknown":                     {[]string{"core"}, 404},
		"/apis/apiextensions.k8s.io":                {[]string{"core", "extensions"}, 200},
		"/apis/apiextensions.k8s.io/v1":             {[]string{"core", "extensions"}, 200},
		"/apis/apiextensions.k8s.io/v1/x":           {[]string{"core", "extensions"}, 404}, // claimed
		"/apis/example.com/v1/widgets":              {[]string{"core", "extensions"}, 200},
		"/apis/example.com/v1/namespaces/a/widgets": {[]string{"core", "extensions"}, 200},
		"/apis/example.com/v1":                      {[]string{"core", "extensions"}, 200},
		"/apis/example.com/v2/widgets":              {[]string{"core", "extensions", "end"}, 404},
		"/apis/example.com/v1/fischers":             {[]string{"core", "extensions", "end"}, 404},
		"/apis/example.com/v2":                      {[]string{"core", "extensions", "end"}, 404},
		"/apis/other.example.com/v1/thing":          {[]string{"core", "extensions", "end"}, 404},
	} {
		w := c.get(path)
		if !slices.Equal(c.passed, tc.want) || w.Code != tc.code {
			t.Errorf("GET %s: got %d through %v, want %d through %v: %s", path, w.Code, c.passed, tc.code, tc.want, w.Body)
		}
	}
}

func TestNoCustomResourceIsCalledUnknownBeforeAllAreServed(t *testing.T) {
	c := newChain(t)
	c.front.PrepareRun()
	if w := c.get("/apis/example.com/v1/widgets"); w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") != "5" {
		t.Errorf("before the start: got %d, Retry-After %q, want 503 and 5", w.Code, w.Header().Get("Retry-After"))
	}
	c.run(t)
	if w := c.get("/apis/example.com/v1/widgets"); w.Code != http.StatusNotFound {
		t.Errorf("after the start: got %d, want 404", w.Code)
	}
}

func TestClientsDiscoverTheGroupOfDefinitions(t *testing.T) {
	c := newChain(t)
	c.run(t)
	server := httptest.NewServer(c.front.Handler)
	defer server.Close()
	client := clientdiscovery.NewDiscoveryClientForConfigOrDie(&restclient.Config{Host: server.URL})
	list, err := client.ServerResourcesForGroupVersion("apiextensions.k8s.io/v1")
	if err != nil || len(list.APIResources) != 2 || list.APIResources[0].Name != "customresourcedefinitions" {
		t.Errorf("resources: got %v (%v), want definitions and their status", list, err)
	}
	groups, err := client.ServerGroups()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, g := range groups.Groups {
		names = append(names, g.Name)
	}
	if !slices.Contains(names, "apiextensions.k8s.io") {
		t.Errorf("groups: got %q, want apiextensions.k8s.io among them", names)
	}
	if body := c.get("/").Body.String(); !strings.Contains(body, `"/apis/apiextensions.k8s.io/v1"`) {
		t.Errorf("GET /: got %s, want the group's paths", body)
	}
}

// A definition that is made anew under a name that went a moment ago is served, whoever still looked at the objects of the other.
func TestADefinitionIsMadeAnew(t *testing.T) {
	r := newRig(t, t.TempDir())
	for range 5 {
		name := r.define(widgets(simpleVersion))
		if a := r.do(http.MethodPost, ones, widget("one", `{}`)); a.code != 201 {
			t.Fatalf("got %d %s", a.code, a.body)
		}
		if a := r.do(http.MethodDelete, crds+"/"+name, nil); a.code != 200 {
			t.Fatalf("got %d %s", a.code, a.body)
		}
		r.until("it is gone", func() bool { return r.get(crds+"/"+name).code == 404 })
	}
}
