package aggregator_test

import (
	"context"
	"encoding/json"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/authentication/user"
	apiregistrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"

	"github.com/portico-api/portico/aggregator"
	"github.com/portico-api/portico/delegation"
	"github.com/portico-api/portico/delegation/registry"
	"github.com/portico-api/portico/delegation/storage"
	"github.com/portico-api/portico/handler"
	"github.com/portico-api/portico/metrics"
)

// house is an aggregator in front of a unit with some built-in groups, on a store of its own, with
// clients that are all the user alice.
type house struct {
	t        *testing.T
	url      string
	services *services
	customs  *customs
	metrics  *metrics.Metrics
	server   *aggregator.Server
	stop     func()

	certificateChanged func()
}

// newHouse starts a house on the store in dir, or on an empty one.
func newHouse(t *testing.T, dir string) *house {
	t.Helper()
	if dir == "" {
		dir = t.TempDir()
	}
	store, err := storage.Open(t.Context(), storage.Config{DataDir: dir})
	if err != nil {
		t.Fatal(err)
	}
	scheme := runtime.NewScheme()
	if err := aggregator.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	m := metrics.New()
	generic := delegation.NewConfig(m)
	generic.BuildHandlerChainFunc = asAlice
	middleConfig := *generic
	middleConfig.SkipOpenAPIInstallation = true // its documents are made up below
	middle, err := middleConfig.New("middle", delegation.NewEmptyDelegate())
	if err != nil {
		t.Fatal(err)
	}
	for _, group := range []string{"rbac.authorization.k8s.io", "without.priority.example.com"} {
		err := middle.InstallAPIGroups(&delegation.APIGroupInfo{Group: group, Versions: []delegation.APIVersion{{Version: "v1"}}})
		if err != nil {
			t.Fatal(err)
		}
	}
	middle.Handler.NonGoRestfulMux.HandleFunc("/openapi/v3", func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, `{"paths":{"version":{"serverRelativeURL":"/openapi/v3/version?hash=1"}}}`)
	})
	middle.Handler.NonGoRestfulMux.HandleFunc("/openapi/v3/version", func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, `"local"`)
	})

	middle.Handler.NonGoRestfulMux.Handle("/openapi/v2", generic.OpenAPI.V2Handler())

	h := &house{t: t, services: newServices(), customs: newCustoms(), metrics: m}
	h.server, err = aggregator.New(t.Context(), aggregator.Config{
		Registry:          registry.Config{Store: store, Scheme: scheme},
		Services:          h.services,
		SubscribeServices: h.services.subscribe,
		CustomResources:   h.customs,
		Metrics:           m.Aggregator,
		BackendMetrics:    m.Backend,

		SubscribeProxyClientCert: func(on func()) { h.certificateChanged = on },
	}, generic, middle)
	if err != nil {
		t.Fatal(err)
	}
	prepared := h.server.PrepareRun()
	ctx, cancel := context.WithCancel(t.Context())
	running, err := prepared.NonBlockingRun(ctx)
	if err != nil {
		t.Fatal(err)
	}
	front := httptest.NewServer(h.server.Handler)
	h.url = front.URL
	h.stop = sync.OnceFunc(func() {
		front.Close()
		cancel()
		if err := running.Wait(); err != nil {
			t.Errorf("running: %v", err)
		}
		if err := store.Close(); err != nil {
			t.Errorf("closing the store: %v", err)
		}
	})
	t.Cleanup(h.stop)
	h.eventually("the house to be ready", func() bool { return h.get("/readyz").code == http.StatusOK })
	return h
}

func asAlice(director http.Handler, _ *delegation.Config) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		req := &handler.Request{
			User:    &user.DefaultInfo{Name: "alice", Groups: []string{"admins"}},
			AuditID: "audit-1",
		}
		director.ServeHTTP(w, r.WithContext(handler.WithRequest(r.Context(), req)))
	})
}

type answer struct {
	code   int
	header http.Header
	body   string
}

func (h *house) get(path string, headers ...string) answer {
	h.t.Helper()
	return h.do(http.MethodGet, path, "", headers...)
}

func (h *house) do(method, path, body string, headers ...string) answer {
	h.t.Helper()
	r, err := http.NewRequestWithContext(h.t.Context(), method, h.url+path, strings.NewReader(body))
	if err != nil {
		h.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	defer client.CloseIdleConnections()
	resp, err := client.Do(r)
	if err != nil {
		h.t.Fatalf("%s %s: %v", method, path, err)
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil {
		h.t.Fatalf("%s %s: reading the body: %v", method, path, err)
	}
	return answer{resp.StatusCode, resp.Header, string(got)}
}

const apiServices = "/apis/apiregistration.k8s.io/v1/apiservices"

// create stores an APIService as a client does.
func (h *house) create(s *apiregistrationv1.APIService) {
	h.t.Helper()
	if got := h.do(http.MethodPost, apiServices, encode(h.t, s)); got.code != http.StatusCreated {
		h.t.Fatalf("creating APIService %s: %d %s", s.Name, got.code, got.body)
	}
}

func (h *house) delete(name string) {
	h.t.Helper()
	if got := h.do(http.MethodDelete, apiServices+"/"+name, ""); got.code != http.StatusOK {
		h.t.Fatalf("deleting APIService %s: %d %s", name, got.code, got.body)
	}
}

func (h *house) apiService(name string) *apiregistrationv1.APIService {
	h.t.Helper()
	got := h.get(apiServices + "/" + name)
	if got.code != http.StatusOK {
		h.t.Fatalf("getting APIService %s: %d %s", name, got.code, got.body)
	}
	s := &apiregistrationv1.APIService{}
	if err := json.Unmarshal([]byte(got.body), s); err != nil {
		h.t.Fatal(err)
	}
	return s
}

// condition is the available condition of the APIService, empty when there is none.
func (h *house) condition(name string) apiregistrationv1.APIServiceCondition {
	h.t.Helper()
	for _, c := range h.apiService(name).Status.Conditions {
		if c.Type == apiregistrationv1.Available {
			return c
		}
	}
	return apiregistrationv1.APIServiceCondition{}
}

// eventually waits for something that another goroutine brings about.
func (h *house) eventually(what string, holds func() bool) {
	h.t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for !holds() {
		if time.Now().After(deadline) {
			h.t.Fatalf("waited in vain for %s", what)
		}
		select {
		case <-h.t.Context().Done():
			h.t.Fatalf("the test ended before %s", what)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

func encode(t *testing.T, obj any) string {
	t.Helper()
	body, err := json.Marshal(obj)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// remoteAPIService is an APIService of group and version, behind the service demo/name.
func remoteAPIService(group, version, name string) *apiregistrationv1.APIService {
	return &apiregistrationv1.APIService{
		TypeMeta:   metav1.TypeMeta{APIVersion: "apiregistration.k8s.io/v1", Kind: "APIService"},
		ObjectMeta: metav1.ObjectMeta{Name: version + "." + group},
		Spec: apiregistrationv1.APIServiceSpec{
			Group:                 group,
			Version:               version,
			Service:               &apiregistrationv1.ServiceReference{Namespace: "demo", Name: name},
			InsecureSkipTLSVerify: true,
			GroupPriorityMinimum:  1000,
			VersionPriority:       15,
		},
	}
}

// services is what the core unit would know.
type services struct {
	mu       sync.Mutex
	services map[string]*corev1.Service
	slices   map[string][]*discoveryv1.EndpointSlice
	on       func(namespace, service string)
}

func newServices() *services {
	return &services{services: map[string]*corev1.Service{}, slices: map[string][]*discoveryv1.EndpointSlice{}}
}

func (s *services) subscribe(on func(namespace, service string)) { s.on = on }

// serve makes addresses the ready endpoints of demo/name; without any the service has one empty slice.
func (s *services) serve(t *testing.T, name string, addresses ...string) {
	t.Helper()
	slices := []*discoveryv1.EndpointSlice{{AddressType: discoveryv1.AddressTypeIPv4}}
	for _, address := range addresses {
		host, port, err := net.SplitHostPort(address)
		if err != nil {
			t.Fatal(err)
		}
		number, err := strconv.ParseInt(port, 10, 32)
		if err != nil {
			t.Fatal(err)
		}
		n, portName := int32(number), "https"
		slices = append(slices, &discoveryv1.EndpointSlice{
			AddressType: discoveryv1.AddressTypeIPv4,
			Endpoints:   []discoveryv1.Endpoint{{Addresses: []string{host}}},
			Ports:       []discoveryv1.EndpointPort{{Name: &portName, Port: &n}},
		})
	}
	s.set(name, &corev1.Service{Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Name: "https", Port: 443}}}}, slices...)
}

func (s *services) set(name string, service *corev1.Service, slices ...*discoveryv1.EndpointSlice) {
	s.mu.Lock()
	s.services["demo/"+name] = service
	s.slices["demo/"+name] = slices
	s.mu.Unlock()
	s.on("demo", name)
}

func (s *services) forget(name string) {
	s.mu.Lock()
	delete(s.services, "demo/"+name)
	delete(s.slices, "demo/"+name)
	s.mu.Unlock()
	s.on("demo", name)
}

func (s *services) Service(namespace, name string) (*corev1.Service, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	service, ok := s.services[namespace+"/"+name]
	return service, ok
}

func (s *services) EndpointSlices(namespace, service string) []*discoveryv1.EndpointSlice {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.slices[namespace+"/"+service]
}

func (s *services) Endpoints(string, string) (*corev1.Endpoints, bool) { return nil, false }

// extension is a remote API server of some paths, over TLS.
type extension struct {
	*httptest.Server
	address string

	mu      sync.Mutex
	paths   map[string]http.HandlerFunc
	visited map[string][]*http.Request
}

func newExtension(t *testing.T, http2 bool) *extension {
	t.Helper()
	e := &extension{paths: map[string]http.HandlerFunc{}, visited: map[string][]*http.Request{}}
	e.Server = httptest.NewUnstartedServer(e)
	e.EnableHTTP2 = http2
	e.StartTLS()
	t.Cleanup(e.Close)
	e.address = e.Listener.Addr().String()
	return e
}

func (e *extension) answer(path string, f http.HandlerFunc) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.paths[path] = f
}

func (e *extension) answerJSON(path, contentType, body string) {
	e.answer(path, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		io.WriteString(w, body)
	})
}

func (e *extension) requests(path string) []*http.Request {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.visited[path])
}

func (e *extension) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	e.mu.Lock()
	seen := r.Clone(context.Background())
	seen.Header = maps.Clone(r.Header)
	e.visited[r.URL.Path] = append(e.visited[r.URL.Path], seen)
	f, ok := e.paths[r.URL.Path]
	e.mu.Unlock()
	if !ok {
		http.NotFound(w, r)
		return
	}
	f(w, r)
}

const wardleList = `{"kind":"APIResourceList","apiVersion":"v1","groupVersion":"wardle.example.com/v1alpha1","resources":[` +
	`{"name":"flunders","singularName":"flunder","namespaced":true,"kind":"Flunder","verbs":["get","list"]},` +
	`{"name":"flunders/status","singularName":"","namespaced":true,"kind":"Flunder","verbs":["get"]}]}`

// newWardle is an extension server of wardle.example.com/v1alpha1 that knows the older discovery only.
func newWardle(t *testing.T, http2 bool) *extension {
	e := newExtension(t, http2)
	e.answerJSON("/apis/wardle.example.com/v1alpha1", "application/json", wardleList)
	return e
}
