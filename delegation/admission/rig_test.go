package admission_test

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	admissionv1 "k8s.io/api/admission/v1"
	registrationv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"

	"github.com/portico-api/portico/delegation"
	"github.com/portico-api/portico/delegation/core"
	"github.com/portico-api/portico/delegation/registry"
	"github.com/portico-api/portico/delegation/storage"
	"github.com/portico-api/portico/metrics"
)

// patience bounds what a test waits for; nothing is expected to take this long.
const patience = 20 * time.Second

// server is one core unit for all tests; each works in a namespace of its own.
var server struct {
	url     string
	store   *storage.Store
	metrics *metrics.Metrics
	// services are the addresses of services, by namespace/name:port.
	services sync.Map
	// notes are what hooks have to say of requests.
	notes notes
}

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "admission")
		if err != nil {
			panic(err)
		}
		defer os.RemoveAll(dir)
		stop := serve(dir)
		code := m.Run()
		stop()
		if err := goleak.Find(); err != nil && code == 0 {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
		return code
	}())
}

type by struct{}

func (by) AuthenticateRequest(r *http.Request) (*authenticator.Response, bool, error) {
	name := r.Header.Get("X-Name")
	if name == "" {
		name = "admin"
	}
	return &authenticator.Response{User: &user.DefaultInfo{Name: name, Groups: []string{"system:authenticated"}}}, true, nil
}

// rules allow everything, but for a user called nobody to whom nothing is allowed beyond config maps.
type rules struct{}

func (rules) Authorize(_ context.Context, a authorizer.Attributes) (authorizer.Decision, string, error) {
	if a.GetUser().GetName() == "nobody" && a.GetResource() != "configmaps" && a.GetAPIGroup() != registrationv1.GroupName {
		return authorizer.DecisionDeny, "", nil
	}
	return authorizer.DecisionAllow, "", nil
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

// serve runs the unit of all tests.
func serve(dir string) (stop func()) {
	var err error
	server.store, err = storage.Open(context.Background(), storage.Config{DataDir: dir})
	must(err)
	server.metrics = metrics.New()
	var end func()
	server.url, end = run(newUnit(server.metrics))
	return func() {
		http.DefaultClient.CloseIdleConnections()
		end()
		must(server.store.Close())
	}
}

// newUnit makes a unit that does not run yet.
func newUnit(m *metrics.Metrics) *core.Server {
	scheme, err := core.NewScheme()
	must(err)
	generic := delegation.NewConfig(m)
	generic.Authenticator, generic.Authorizer = by{}, rules{}
	generic.Auditor = &server.notes
	unit, err := core.New(context.Background(), core.Config{
		Registry: registry.Config{Store: server.store, Scheme: scheme},
		ServiceAddresses: func(_ context.Context, namespace, name string, port int32) ([]string, error) {
			found, ok := server.services.Load(fmt.Sprintf("%s/%s:%d", namespace, name, port))
			if !ok {
				return nil, errors.New("there is no such service")
			}
			return found.([]string), nil
		},
	}, generic, delegation.NewEmptyDelegate())
	must(err)
	return unit
}

func run(unit *core.Server) (url string, stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	running, err := unit.PrepareRun().NonBlockingRun(ctx)
	must(err)
	front := httptest.NewServer(unit.Handler.FullHandlerChain)
	return front.URL, func() {
		front.Close()
		cancel()
		must(running.Wait())
	}
}

// answered is what the server said.
type answered struct {
	code     int
	object   *unstructured.Unstructured
	warnings []string
}

func (a *answered) status() metav1.Status {
	var status metav1.Status
	body, _ := json.Marshal(a.object.Object)
	_ = json.Unmarshal(body, &status)
	return status
}

func (a *answered) message() string {
	message, _, _ := unstructured.NestedString(a.object.Object, "message")
	return message
}

func (a *answered) data() map[string]string {
	data, _, _ := unstructured.NestedStringMap(a.object.Object, "data")
	return data
}

func do(t *testing.T, method, path string, body any, header ...string) *answered {
	t.Helper()
	return doAt(t, server.url, method, path, body, header...)
}

func doAt(t *testing.T, url, method, path string, body any, header ...string) *answered {
	t.Helper()
	var sent io.Reader
	switch body := body.(type) {
	case nil:
	case string:
		sent = strings.NewReader(body)
	default:
		text, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		sent = bytes.NewReader(text)
	}
	request, err := http.NewRequestWithContext(t.Context(), method, url+path, sent)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	if method == http.MethodPatch {
		request.Header.Set("Content-Type", "application/merge-patch+json")
	}
	for i := 0; i+1 < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	a := &answered{code: response.StatusCode, object: &unstructured.Unstructured{}, warnings: response.Header.Values("Warning")}
	text, err := io.ReadAll(response.Body)
	if err == nil {
		err = utiljson.Unmarshal(text, &a.object.Object)
	}
	if err != nil {
		t.Fatal(err)
	}
	return a
}

const (
	configurations = "/apis/admissionregistration.k8s.io/v1/"
	mutatingHooks  = "mutatingwebhookconfigurations"
	askingHooks    = "validatingwebhookconfigurations"
)

// create stores a hook, and takes it away when the test ends.
func create(t *testing.T, resource, name string, object any) {
	t.Helper()
	if a := do(t, http.MethodPost, configurations+resource, object); a.code != http.StatusCreated {
		t.Fatalf("creating %s %s: %d %s", resource, name, a.code, a.message())
	}
	t.Cleanup(func() {
		request, err := http.NewRequest(http.MethodDelete, server.url+configurations+resource+"/"+name, nil)
		if err != nil {
			t.Fatal(err)
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
	})
}

// namespace makes one for the test, with the label by which its hooks know it.
func namespace(t *testing.T) string {
	t.Helper()
	name := strings.ToLower(strings.NewReplacer("/", "-", "_", "-", " ", "-", ",", "", "'", "").Replace(t.Name()))
	name = strings.Trim(name[max(0, len(name)-60):], "-")
	object := map[string]any{"metadata": map[string]any{"name": name, "labels": map[string]string{"test": name}}}
	if a := do(t, http.MethodPost, "/api/v1/namespaces", object); a.code != http.StatusCreated {
		t.Fatalf("creating the namespace: %d %s", a.code, a.message())
	}
	return name
}

func configMap(name string, data map[string]string) map[string]any {
	return map[string]any{"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": name}, "data": data}
}

func maps(namespace string) string { return "/api/v1/namespaces/" + namespace + "/configmaps" }

// selecting selects a test's namespace.
func selecting(namespace string) *metav1.LabelSelector {
	return &metav1.LabelSelector{MatchLabels: map[string]string{"test": namespace}}
}

// onConfigMaps is the rule of most tests.
func onConfigMaps(operations ...registrationv1.OperationType) []registrationv1.RuleWithOperations {
	if len(operations) == 0 {
		operations = []registrationv1.OperationType{registrationv1.OperationAll}
	}
	return []registrationv1.RuleWithOperations{{
		Operations: operations,
		Rule:       registrationv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"configmaps"}},
	}}
}

// webhookServer answers reviews and remembers them.
type webhookServer struct {
	*httptest.Server
	mu      sync.Mutex
	reviews []admissionv1.AdmissionRequest
	raw     []json.RawMessage
}

// answers runs a webhook that answers with what respond makes of a request.
func answers(t *testing.T, respond func(*admissionv1.AdmissionRequest) *admissionv1.AdmissionResponse) *webhookServer {
	t.Helper()
	s := &webhookServer{}
	s.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		var review admissionv1.AdmissionReview
		if err == nil {
			err = json.Unmarshal(body, &review)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		s.mu.Lock()
		s.reviews, s.raw = append(s.reviews, *review.Request), append(s.raw, body)
		s.mu.Unlock()
		review.Response = respond(review.Request)
		if review.Response != nil && review.Response.UID == "" {
			review.Response.UID = review.Request.UID
		}
		review.Request = nil
		_ = json.NewEncoder(w).Encode(review)
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *webhookServer) asked() []admissionv1.AdmissionRequest {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]admissionv1.AdmissionRequest(nil), s.reviews...)
}

func (s *webhookServer) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reviews, s.raw = nil, nil
}

// at is how a hook reaches the server.
func at(s *httptest.Server) registrationv1.WebhookClientConfig {
	return registrationv1.WebhookClientConfig{
		URL:      &s.URL,
		CABundle: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}),
	}
}

// httptestTLS runs a server that may do anything.
func httptestTLS(t *testing.T, handler http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewUnstartedServer(handler)
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

func allowed() *admissionv1.AdmissionResponse { return &admissionv1.AdmissionResponse{Allowed: true} }

// patched allows and patches.
func patched(patch string) *admissionv1.AdmissionResponse {
	json := admissionv1.PatchTypeJSONPatch
	return &admissionv1.AdmissionResponse{Allowed: true, Patch: []byte(patch), PatchType: &json}
}

func ptr[T any](v T) *T { return &v }

// mutatingHook stores a configuration of one webhook. edit may change it.
func mutatingHook(t *testing.T, namespace, name string, client registrationv1.WebhookClientConfig, edit func(*registrationv1.MutatingWebhook)) {
	t.Helper()
	hook := registrationv1.MutatingWebhook{
		Name: name + ".example.com", ClientConfig: client, Rules: onConfigMaps(registrationv1.Create, registrationv1.Update),
		SideEffects: ptr(registrationv1.SideEffectClassNone), AdmissionReviewVersions: []string{"v1"}, NamespaceSelector: selecting(namespace),
	}
	if edit != nil {
		edit(&hook)
	}
	create(t, mutatingHooks, name+"-"+namespace, registrationv1.MutatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: name + "-" + namespace}, Webhooks: []registrationv1.MutatingWebhook{hook},
	})
}

// validatingHook stores a configuration of one webhook. edit may change it.
func validatingHook(t *testing.T, namespace, name string, client registrationv1.WebhookClientConfig, edit func(*registrationv1.ValidatingWebhook)) {
	t.Helper()
	hook := registrationv1.ValidatingWebhook{
		Name: name + ".example.com", ClientConfig: client, Rules: onConfigMaps(),
		SideEffects: ptr(registrationv1.SideEffectClassNone), AdmissionReviewVersions: []string{"v1"}, NamespaceSelector: selecting(namespace),
	}
	if edit != nil {
		edit(&hook)
	}
	create(t, askingHooks, name+"-"+namespace, registrationv1.ValidatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: name + "-" + namespace}, Webhooks: []registrationv1.ValidatingWebhook{hook},
	})
}

// eventually tries until done says so: hooks come into force a moment after they were stored.
func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if done() {
			return
		}
	}
	t.Fatalf("waited %s in vain for %s", patience, what)
}
