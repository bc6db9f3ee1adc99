package core_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"

	"github.com/portico-api/portico/delegation"
	"github.com/portico-api/portico/delegation/core"
	"github.com/portico-api/portico/delegation/registry"
	"github.com/portico-api/portico/delegation/storage"
	"github.com/portico-api/portico/handler/authorization"
)

// patience bounds what a test waits for; nothing is expected to take this long.
const patience = 30 * time.Second

type everyone struct{}

func (everyone) AuthenticateRequest(*http.Request) (*authenticator.Response, bool, error) {
	return &authenticator.Response{User: &user.DefaultInfo{Name: "admin", Groups: []string{user.SystemPrivilegedGroup}}}, true, nil
}

type anything struct{}

func (anything) Authorize(context.Context, authorizer.Attributes) (authorizer.Decision, string, error) {
	return authorizer.DecisionAllow, "", nil
}

// trust is a source that a test can change.
type trust struct {
	mu      sync.Mutex
	current core.Trust
	notify  []func()
}

func (s *trust) Trust() core.Trust {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.current
}

func (s *trust) OnTrustChange(notify func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.notify = append(s.notify, notify)
}

func (s *trust) set(t core.Trust) {
	s.mu.Lock()
	s.current = t
	notify := slices.Clone(s.notify)
	s.mu.Unlock()
	for _, f := range notify {
		f()
	}
}

// unit is a core unit that is served, on a store in a directory of its own.
type unit struct {
	*core.Server
	url   string
	trust *trust
}

func start(t *testing.T, extra ...delegation.NamespacedContent) *unit {
	t.Helper()
	store, err := storage.Open(t.Context(), storage.Config{DataDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	scheme, err := core.NewScheme()
	if err != nil {
		t.Fatal(err)
	}
	generic := delegation.NewConfig(nil)
	generic.Authenticator, generic.Authorizer = everyone{}, anything{}
	rbac := authorization.NewRBAC()
	u := &unit{trust: &trust{current: core.Trust{ServingCA: []byte("serving"), UsernameHeaders: []string{"X-Remote-User"}}}}
	u.Server, err = core.New(t.Context(), core.Config{
		Registry:          registry.Config{Store: store, Scheme: scheme},
		RBAC:              rbac,
		Rules:             rbac,
		Trust:             u.trust,
		NamespacedContent: func() []delegation.NamespacedContent { return extra },
	}, generic, delegation.NewEmptyDelegate())
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	running, err := u.PrepareRun().NonBlockingRun(ctx)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(u.Handler.FullHandlerChain)
	u.url = server.URL
	t.Cleanup(func() {
		server.Close()
		stop()
		if err := running.Wait(); err != nil {
			t.Errorf("the chain ended with %v", err)
		}
		if err := store.Close(); err != nil {
			t.Errorf("closing the store: %v", err)
		}
	})
	u.until(t, "ready", func() bool { code, _ := u.do(t, http.MethodGet, "/readyz?verbose", ""); return code == http.StatusOK })
	return u
}

func (u *unit) do(t *testing.T, method, path, body string) (int, []byte) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, u.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	switch {
	case method == http.MethodPatch:
		request.Header.Set("Content-Type", "application/merge-patch+json")
	case body != "":
		request.Header.Set("Content-Type", "application/json")
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	data, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, data
}

// expect sends a request and decodes the answer, which must have the code.
func expect[T any](t *testing.T, u *unit, code int, method, path, body string) *T {
	t.Helper()
	got, data := u.do(t, method, path, body)
	if got != code {
		t.Fatalf("%s %s of %q: got %d %s, want %d", method, path, body, got, data, code)
	}
	answer := new(T)
	if err := json.Unmarshal(data, answer); err != nil {
		t.Fatalf("%s %s answers %q: %v", method, path, data, err)
	}
	return answer
}

// until polls; what it waits for has no signal a client could see.
func (u *unit) until(t *testing.T, what string, is func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !is() {
		if time.Now().After(deadline) {
			_, ready := u.do(t, http.MethodGet, "/readyz?verbose", "")
			t.Fatalf("waiting for: %s\n%s", what, ready)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func (u *unit) exists(t *testing.T, path string) bool {
	t.Helper()
	code, _ := u.do(t, http.MethodGet, path, "")
	return code == http.StatusOK
}

func TestAServerHasWhatEveryServerHas(t *testing.T) {
	u := start(t)
	for _, path := range []string{
		"/api/v1/namespaces/default", "/api/v1/namespaces/kube-system", "/api/v1/namespaces/kube-public",
		"/api/v1/namespaces/default/serviceaccounts/default",
		"/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication",
		"/apis/rbac.authorization.k8s.io/v1/clusterroles/cluster-admin",
	} {
		u.until(t, path, func() bool { return u.exists(t, path) })
	}
	u.until(t, "the root CA", func() bool {
		_, data := u.do(t, http.MethodGet, "/api/v1/namespaces/default/configmaps/kube-root-ca.crt", "")
		return bytes.Contains(data, []byte(`"ca.crt":"serving"`))
	})
}

func TestGroupsAreInTheOrderOfTheContract(t *testing.T) {
	u := start(t)
	groups := expect[metav1.APIGroupList](t, u, http.StatusOK, http.MethodGet, "/apis", "")
	var got []string
	for _, g := range groups.Groups {
		got = append(got, g.Name)
	}
	want := []string{"authentication.k8s.io", "authorization.k8s.io", "certificates.k8s.io", "coordination.k8s.io", "rbac.authorization.k8s.io",
		"flowcontrol.apiserver.k8s.io", "admissionregistration.k8s.io", "discovery.k8s.io", "events.k8s.io"}
	if !slices.Equal(got, want) {
		t.Errorf("groups\n got %q\nwant %q", got, want)
	}

	verbs := map[string]string{}
	for _, r := range expect[metav1.APIResourceList](t, u, http.StatusOK, http.MethodGet, "/api/v1", "").APIResources {
		verbs[r.Name] = strings.Join(r.Verbs, " ")
	}
	const standard = "create delete deletecollection get list patch update watch"
	for resource, want := range map[string]string{
		"namespaces":          "create delete get list patch update watch",
		"namespaces/finalize": "update",
		"namespaces/status":   "get patch update",
		"configmaps":          standard,
		"secrets":             standard,
		"serviceaccounts":     standard,
		"services":            standard,
		"services/status":     "get patch update",
		"endpoints":           standard,
		"events":              standard,
	} {
		if verbs[resource] != want {
			t.Errorf("verbs of %s\n got %q\nwant %q", resource, verbs[resource], want)
		}
	}
}

func encode(t *testing.T, object any) string {
	t.Helper()
	data, err := json.Marshal(object)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestTrustIsPublishedAndKeptCurrent(t *testing.T) {
	u := start(t)
	const path = "/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication"
	first, second := newCA(t, "first"), newCA(t, "second")
	u.trust.set(core.Trust{ServingCA: []byte("renewed"), ClientCA: first, RequestHeaderCA: second, UsernameHeaders: []string{"X-Remote-User"}})
	u.until(t, "both authorities", func() bool {
		data := expect[corev1.ConfigMap](t, u, http.StatusOK, http.MethodGet, path, "").Data
		return data["client-ca-file"] == string(first) && data["requestheader-client-ca-file"] == string(second) &&
			data["requestheader-username-headers"] == `["X-Remote-User"]` && data["requestheader-allowed-names"] == `[]`
	})
	u.until(t, "the root CA", func() bool {
		_, data := u.do(t, http.MethodGet, "/api/v1/namespaces/default/configmaps/kube-root-ca.crt", "")
		return bytes.Contains(data, []byte("renewed"))
	})
	u.do(t, http.MethodDelete, path, "")
	u.until(t, "the config map to come back", func() bool { return u.exists(t, path) })
	expect[corev1.ConfigMap](t, u, http.StatusOK, http.MethodPatch, path, `{"data":{"client-ca-file":"junk","mine":"kept"}}`)
	u.until(t, "the junk to be replaced", func() bool {
		data := expect[corev1.ConfigMap](t, u, http.StatusOK, http.MethodGet, path, "").Data
		return data["client-ca-file"] == string(first) && data["mine"] == "kept"
	})
}

func TestFurnitureComesBack(t *testing.T) {
	u := start(t)
	for _, path := range []string{"/api/v1/namespaces/default/serviceaccounts/default", "/api/v1/namespaces/default/configmaps/kube-root-ca.crt"} {
		uid := func() string {
			_, data := u.do(t, http.MethodGet, path, "")
			var object metav1.PartialObjectMetadata
			_ = json.Unmarshal(data, &object)
			return string(object.UID)
		}
		u.until(t, path, func() bool { return uid() != "" })
		was := uid()
		u.do(t, http.MethodDelete, path, "")
		u.until(t, path+" anew", func() bool { return uid() != "" && uid() != was })
	}
}

func TestServicesAreIndexed(t *testing.T) {
	u := start(t)
	changed := make(chan string, 100)
	u.Services().OnChange(func(namespace, service string) { changed <- namespace + "/" + service })
	expect[corev1.Service](t, u, http.StatusCreated, http.MethodPost, "/api/v1/namespaces/default/services", `{"metadata":{"name":"api"},"spec":{"ports":[{"port":443}]}}`)
	expect[metav1.PartialObjectMetadata](t, u, http.StatusCreated, http.MethodPost, "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices",
		`{"metadata":{"name":"api-1","labels":{"kubernetes.io/service-name":"api"}},"addressType":"IPv4","endpoints":[{"addresses":["127.0.0.1"]}],"ports":[{"port":4443}]}`)
	for range 2 {
		select {
		case got := <-changed:
			if got != "default/api" {
				t.Errorf("%s changed, want default/api", got)
			}
		case <-time.After(patience):
			t.Fatal("no change was told")
		}
	}
	if s, ok := u.Services().Service("default", "api"); !ok || s.Spec.ClusterIP != corev1.ClusterIPNone {
		t.Errorf("service %+v", s)
	}
	if slices := u.Services().EndpointSlices("default", "api"); len(slices) != 1 || slices[0].Endpoints[0].Addresses[0] != "127.0.0.1" {
		t.Errorf("slices %+v", slices)
	}
}
