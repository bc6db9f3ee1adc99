package extensions_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"
	"sigs.k8s.io/yaml"

	"github.com/portico-api/portico/delegation"
	"github.com/portico-api/portico/delegation/extensions"
	"github.com/portico-api/portico/delegation/registry"
	"github.com/portico-api/portico/delegation/storage"
	"github.com/portico-api/portico/metrics"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// rig is the unit alone, on a store of its own.
type rig struct {
	t     testing.TB
	unit  *extensions.Server
	store *storage.Store
	url   string
	http  *http.Client
	stop  func()

	metrics *metrics.Metrics
}

// openConfig lets everybody do everything.
func openConfig(m *metrics.Metrics) *delegation.Config {
	config := delegation.NewConfig(m)
	config.Authenticator = authenticator.RequestFunc(func(*http.Request) (*authenticator.Response, bool, error) {
		return &authenticator.Response{User: &user.DefaultInfo{Name: "alice"}}, true, nil
	})
	config.Authorizer = authorizer.AuthorizerFunc(func(context.Context, authorizer.Attributes) (authorizer.Decision, string, error) {
		return authorizer.DecisionAllow, "", nil
	})
	return config
}

func newRig(t testing.TB, dir string) *rig {
	t.Helper()
	store, err := storage.Open(context.Background(), storage.Config{DataDir: dir})
	if err != nil {
		t.Fatal(err)
	}
	scheme := runtime.NewScheme()
	if err := extensions.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, store: store, metrics: metrics.New()}
	r.unit, err = extensions.New(context.Background(), extensions.Config{Registry: registry.Config{Store: store, Scheme: scheme}}, openConfig(r.metrics), delegation.NewEmptyDelegate())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	running, err := r.unit.PrepareRun().NonBlockingRun(ctx)
	if err != nil {
		t.Fatal(err)
	}
	front := httptest.NewServer(r.unit.Handler.FullHandlerChain)
	r.url, r.http = front.URL, &http.Client{Transport: &http.Transport{}}
	stopped := false
	r.stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		r.http.CloseIdleConnections()
		front.Close()
		if err := running.Wait(); err != nil {
			t.Error(err)
		}
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(r.stop)
	r.until("it is ready", func() bool {
		return r.get("/readyz").code == 200
	})
	return r
}

// shows tells whether /metrics has a line that begins so.
func (r *rig) shows(line string) bool {
	w := httptest.NewRecorder()
	r.metrics.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	return strings.Contains(w.Body.String(), "\n"+line)
}

func (r *rig) until(what string, is func() bool) {
	r.t.Helper()
	for begin := time.Now(); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Since(begin) > 20*time.Second {
			r.t.Fatalf("waited in vain: %s", what)
		}
	}
}

// answer is what the server said.
type answer struct {
	code     int
	body     []byte
	object   map[string]any
	warnings []string
}

// at is what is found by field names; nil for nothing.
func (a *answer) at(path ...string) any {
	found, _, _ := unstructured.NestedFieldNoCopy(a.object, path...)
	return found
}

func (r *rig) get(path string, header ...string) *answer {
	return r.do(http.MethodGet, path, nil, header...)
}

// do sends body, which is YAML when it is text, and sent as it is when it is bytes.
func (r *rig) do(method, path string, body any, header ...string) *answer {
	r.t.Helper()
	var sent []byte
	var err error
	switch body := body.(type) {
	case nil:
	case string:
		sent, err = yaml.YAMLToJSON([]byte(body))
	case []byte:
		sent = body
	default:
		sent, err = json.Marshal(body)
	}
	if err != nil {
		r.t.Fatal(err)
	}
	request, err := http.NewRequest(method, r.url+path, bytes.NewReader(sent))
	if err != nil {
		r.t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	if method == http.MethodPatch {
		request.Header.Set("Content-Type", "application/merge-patch+json")
	}
	for i := 0; i+1 < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	response, err := r.http.Do(request)
	if err != nil {
		r.t.Fatal(err)
	}
	defer response.Body.Close()
	a := &answer{code: response.StatusCode, warnings: response.Header.Values("Warning")}
	if a.body, err = io.ReadAll(response.Body); err != nil {
		r.t.Fatal(err)
	}
	_ = json.Unmarshal(a.body, &a.object) // not everything is an object
	return a
}

const crds = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"

// widgets is a definition of widgets.example.com with versions as given, in YAML.
func widgets(versions string) string {
	return `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.example.com}
spec:
  group: example.com
  scope: Namespaced
  names: {plural: widgets, kind: Widget, shortNames: [wd], categories: [all]}
  versions:
` + versions
}

const simpleVersion = `
  - name: v1
    served: true
    storage: true
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec: {type: object, x-kubernetes-preserve-unknown-fields: true}
`

// define stores a definition and waits until it is served.
func (r *rig) define(manifest string) string {
	r.t.Helper()
	a := r.do(http.MethodPost, crds, manifest)
	if a.code != http.StatusCreated {
		r.t.Fatalf("defining: %d %s", a.code, a.body)
	}
	name, _ := a.at("metadata", "name").(string)
	r.until(name+" is established", func() bool { return r.condition(name, "Established") == "True" })
	return name
}

// redefine changes a definition, as a merge patch in YAML.
func (r *rig) redefine(name, patch string) {
	r.t.Helper()
	if a := r.do(http.MethodPatch, crds+"/"+name, patch); a.code != http.StatusOK {
		r.t.Fatalf("changing %s: %d %s", name, a.code, a.body)
	}
}

// condition is the status of a condition of a definition; empty when it has none.
func (r *rig) condition(name, typ string) string {
	status, _ := r.conditionOf(name, typ)
	return status
}

func (r *rig) conditionOf(name, typ string) (status, reason string) {
	all, _ := r.get(crds+"/"+name).at("status", "conditions").([]any)
	for _, c := range all {
		if c := c.(map[string]any); c["type"] == typ {
			return fmt.Sprint(c["status"]), fmt.Sprint(c["reason"])
		}
	}
	return "", ""
}

func refused(t *testing.T, a *answer, code int, texts ...string) {
	t.Helper()
	if a.code != code {
		t.Errorf("got %d %s, want %d", a.code, a.body, code)
		return
	}
	for _, text := range texts {
		if !strings.Contains(string(a.body), text) {
			t.Errorf("got %s, want in it %s", a.body, text)
		}
	}
}
