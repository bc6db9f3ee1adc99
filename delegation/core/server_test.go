package core_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
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

func start(t *testing.T, extra ...core.NamespacedContent) *unit {
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
		NamespacedContent: func() []core.NamespacedContent { return extra },
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
	want := []string{"authentication.k8s.io", "authorization.k8s.io", "coordination.k8s.io", "rbac.authorization.k8s.io",
		"flowcontrol.apiserver.k8s.io", "admissionregistration.k8s.io", "discovery.k8s.io"}
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

func TestCreatingNeedsALivingNamespace(t *testing.T) {
	u := start(t)
	missing := expect[metav1.Status](t, u, http.StatusNotFound, http.MethodPost, "/api/v1/namespaces/nowhere/configmaps", `{"metadata":{"name":"a"}}`)
	if want := `namespaces "nowhere" not found`; missing.Message != want {
		t.Errorf("message %q, want %q", missing.Message, want)
	}

	expect[corev1.Namespace](t, u, http.StatusCreated, http.MethodPost, "/api/v1/namespaces", `{"metadata":{"name":"ending"}}`)
	expect[corev1.ConfigMap](t, u, http.StatusCreated, http.MethodPost, "/api/v1/namespaces/ending/configmaps",
		`{"metadata":{"name":"held","finalizers":["example.com/hold"]},"data":{"a":"b"}}`)
	gone := expect[corev1.Namespace](t, u, http.StatusOK, http.MethodDelete, "/api/v1/namespaces/ending", "")
	if gone.Status.Phase != corev1.NamespaceTerminating || gone.DeletionTimestamp == nil {
		t.Errorf("a namespace that was deleted: %+v", gone)
	}
	refused := expect[metav1.Status](t, u, http.StatusForbidden, http.MethodPost, "/api/v1/namespaces/ending/configmaps", `{"metadata":{"name":"late"}}`)
	if want := "unable to create new content in namespace ending because it is being terminated"; !strings.Contains(refused.Message, want) {
		t.Errorf("message %q, want %q in it", refused.Message, want)
	}
	if c := refused.Details.Causes; len(c) != 1 || c[0].Type != corev1.NamespaceTerminatingCause || c[0].Field != "metadata.namespace" {
		t.Errorf("causes %+v", c)
	}
	// What is there may still be changed and deleted.
	expect[corev1.ConfigMap](t, u, http.StatusOK, http.MethodPatch, "/api/v1/namespaces/ending/configmaps/held", `{"data":{"a":"c"}}`)
}

func TestSystemNamespacesAreNotDeleted(t *testing.T) {
	u := start(t)
	for _, name := range []string{"default", "kube-system", "kube-public"} {
		refused := expect[metav1.Status](t, u, http.StatusForbidden, http.MethodDelete, "/api/v1/namespaces/"+name, "")
		if want := fmt.Sprintf(`namespaces %q is forbidden: this namespace may not be deleted`, name); refused.Message != want {
			t.Errorf("message %q, want %q", refused.Message, want)
		}
	}
}

func TestANamespaceGoesWithItsContent(t *testing.T) {
	u := start(t)
	expect[corev1.Namespace](t, u, http.StatusCreated, http.MethodPost, "/api/v1/namespaces", `{"metadata":{"name":"demo"}}`)
	for path, object := range map[string]string{
		"/api/v1/namespaces/demo/configmaps":                       `{"metadata":{"name":"a"}}`,
		"/api/v1/namespaces/demo/secrets":                          `{"metadata":{"name":"a"}}`,
		"/apis/coordination.k8s.io/v1/namespaces/demo/leases":      `{"metadata":{"name":"a"}}`,
		"/apis/rbac.authorization.k8s.io/v1/namespaces/demo/roles": `{"metadata":{"name":"a"}}`,
		"/apis/discovery.k8s.io/v1/namespaces/demo/endpointslices": `{"metadata":{"name":"a"},"addressType":"IPv4"}`,
	} {
		expect[metav1.PartialObjectMetadata](t, u, http.StatusCreated, http.MethodPost, path, object)
	}
	expect[corev1.Namespace](t, u, http.StatusOK, http.MethodDelete, "/api/v1/namespaces/demo", "")
	u.until(t, "the namespace to go", func() bool { return !u.exists(t, "/api/v1/namespaces/demo") })
	for _, path := range []string{
		"/api/v1/namespaces/demo/configmaps/a", "/api/v1/namespaces/demo/secrets/a", "/api/v1/namespaces/demo/serviceaccounts/default",
		"/apis/coordination.k8s.io/v1/namespaces/demo/leases/a", "/apis/rbac.authorization.k8s.io/v1/namespaces/demo/roles/a",
		"/apis/discovery.k8s.io/v1/namespaces/demo/endpointslices/a",
	} {
		if u.exists(t, path) {
			t.Errorf("%s is still there", path)
		}
	}
	// The name is free again.
	expect[corev1.Namespace](t, u, http.StatusCreated, http.MethodPost, "/api/v1/namespaces", `{"metadata":{"name":"demo"}}`)
	expect[corev1.ConfigMap](t, u, http.StatusCreated, http.MethodPost, "/api/v1/namespaces/demo/configmaps", `{"metadata":{"name":"a"}}`)
}

func TestANamespaceTellsWhatKeepsIt(t *testing.T) {
	u := start(t)
	expect[corev1.Namespace](t, u, http.StatusCreated, http.MethodPost, "/api/v1/namespaces", `{"metadata":{"name":"kept"}}`)
	expect[corev1.ConfigMap](t, u, http.StatusCreated, http.MethodPost, "/api/v1/namespaces/kept/configmaps",
		`{"metadata":{"name":"held","finalizers":["example.com/hold"]}}`)
	expect[corev1.Namespace](t, u, http.StatusOK, http.MethodDelete, "/api/v1/namespaces/kept", "")
	var conditions []corev1.NamespaceCondition
	u.until(t, "conditions", func() bool {
		conditions = expect[corev1.Namespace](t, u, http.StatusOK, http.MethodGet, "/api/v1/namespaces/kept", "").Status.Conditions
		return len(conditions) == 5
	})
	for _, want := range []struct {
		kind    corev1.NamespaceConditionType
		status  corev1.ConditionStatus
		reason  string
		message string
	}{
		{corev1.NamespaceDeletionDiscoveryFailure, corev1.ConditionFalse, "ResourcesDiscovered", ""},
		{corev1.NamespaceDeletionContentFailure, corev1.ConditionFalse, "ContentDeleted", ""},
		{corev1.NamespaceContentRemaining, corev1.ConditionTrue, "SomeResourcesRemain", "Some resources are remaining: configmaps. has 1 resource instances"},
		{corev1.NamespaceFinalizersRemaining, corev1.ConditionTrue, "SomeFinalizersRemain", "Some content in the namespace has finalizers remaining: example.com/hold in 1 resource instances"},
	} {
		i := slices.IndexFunc(conditions, func(c corev1.NamespaceCondition) bool { return c.Type == want.kind })
		if i < 0 {
			t.Errorf("no condition %s in %+v", want.kind, conditions)
			continue
		}
		if c := conditions[i]; c.Status != want.status || c.Reason != want.reason || want.message != "" && c.Message != want.message {
			t.Errorf("condition\n got %+v\nwant %+v", c, want)
		}
	}
	expect[corev1.ConfigMap](t, u, http.StatusOK, http.MethodPatch, "/api/v1/namespaces/kept/configmaps/held", `{"metadata":{"finalizers":null}}`)
	u.until(t, "the namespace to go", func() bool { return !u.exists(t, "/api/v1/namespaces/kept") })
}

// elsewhere is the content of a unit that cannot be emptied for a while.
type elsewhere struct{ broken atomic.Bool }

func (e *elsewhere) Empty(context.Context, string) (core.Remaining, error) {
	if e.broken.Load() {
		return core.Remaining{}, errors.New("widgets are out of reach")
	}
	return core.Remaining{}, nil
}

func TestContentOutOfReachKeepsTheNamespaceAndNothingElse(t *testing.T) {
	content := new(elsewhere)
	content.broken.Store(true)
	u := start(t, content)
	expect[corev1.Namespace](t, u, http.StatusCreated, http.MethodPost, "/api/v1/namespaces", `{"metadata":{"name":"stuck"}}`)
	expect[corev1.ConfigMap](t, u, http.StatusCreated, http.MethodPost, "/api/v1/namespaces/stuck/configmaps", `{"metadata":{"name":"a"}}`)
	expect[corev1.Namespace](t, u, http.StatusOK, http.MethodDelete, "/api/v1/namespaces/stuck", "")
	u.until(t, "the condition that names the failure", func() bool {
		for _, c := range expect[corev1.Namespace](t, u, http.StatusOK, http.MethodGet, "/api/v1/namespaces/stuck", "").Status.Conditions {
			if c.Type == corev1.NamespaceDeletionContentFailure && c.Status == corev1.ConditionTrue {
				return c.Reason == "ContentDeletionFailed" && strings.Contains(c.Message, "widgets are out of reach")
			}
		}
		return false
	})
	if u.exists(t, "/api/v1/namespaces/stuck/configmaps/a") {
		t.Error("what is within reach is still there")
	}
	content.broken.Store(false)
	u.until(t, "the namespace to go", func() bool { return !u.exists(t, "/api/v1/namespaces/stuck") })
}

func TestFinalizeTakesFinalizersAndUpdateDoesNot(t *testing.T) {
	u := start(t)
	made := expect[corev1.Namespace](t, u, http.StatusCreated, http.MethodPost, "/api/v1/namespaces",
		`{"metadata":{"name":"f","labels":{"kubernetes.io/metadata.name":"other"}},"spec":{"finalizers":["example.com/mine"]},"status":{"phase":"Terminating"}}`)
	if got := fmt.Sprintf("%v %v %v", made.Spec.Finalizers, made.Status.Phase, made.Labels); got != "[example.com/mine kubernetes] Active map[kubernetes.io/metadata.name:f]" {
		t.Errorf("created as %s", got)
	}
	changed := made.DeepCopy()
	changed.Spec.Finalizers, changed.Labels = nil, nil
	updated := expect[corev1.Namespace](t, u, http.StatusOK, http.MethodPut, "/api/v1/namespaces/f", encode(t, changed))
	if len(updated.Spec.Finalizers) != 2 || updated.Labels["kubernetes.io/metadata.name"] != "f" {
		t.Errorf("updated to %+v", updated)
	}
	changed = updated.DeepCopy()
	changed.Spec.Finalizers, changed.Labels, changed.Status.Phase = []corev1.FinalizerName{"kubernetes"}, map[string]string{"a": "b"}, corev1.NamespaceTerminating
	finalized := expect[corev1.Namespace](t, u, http.StatusOK, http.MethodPut, "/api/v1/namespaces/f/finalize", encode(t, changed))
	if got := fmt.Sprintf("%v %v %v", finalized.Spec.Finalizers, finalized.Status.Phase, finalized.Labels); got != "[kubernetes] Active map[a:b kubernetes.io/metadata.name:f]" {
		t.Errorf("finalized to %s", got)
	}
}

func TestAGeneratedNameIsInTheLabel(t *testing.T) {
	u := start(t)
	made := expect[corev1.Namespace](t, u, http.StatusCreated, http.MethodPost, "/api/v1/namespaces", `{"metadata":{"generateName":"run-"}}`)
	if !strings.HasPrefix(made.Name, "run-") || made.Labels["kubernetes.io/metadata.name"] != made.Name {
		t.Errorf("name %q, labels %v", made.Name, made.Labels)
	}
	expect[metav1.Status](t, u, http.StatusUnprocessableEntity, http.MethodPost, "/api/v1/namespaces", `{"metadata":{"name":"a.b"}}`)
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

func TestPoliciesThatAreNotEvaluatedWarn(t *testing.T) {
	u := start(t)
	body := `{"metadata":{"name":"w"},"webhooks":[{"name":"a.example.com","sideEffects":"None","admissionReviewVersions":["v1"],"clientConfig":{"url":"https://example.com"}}]}`
	response, err := http.Post(u.url+"/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations", "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if got := response.Header.Get("Warning"); response.StatusCode != http.StatusCreated || !strings.Contains(got, "does not call the webhooks") {
		t.Errorf("status %d, warning %q", response.StatusCode, got)
	}
}
