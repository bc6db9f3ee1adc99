package registry_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/emicklei/go-restful/v3"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/portico-api/portico/delegation/registry"
	"github.com/portico-api/portico/delegation/storage"
	"github.com/portico-api/portico/handler/rest"
)

// shared is the store of all tests of this package: each test uses a path of its own in it.
var shared *storage.Store

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "registry")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	if shared, err = storage.Open(context.Background(), storage.Config{DataDir: dir}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer shared.Close()
	return m.Run()
}

func testScheme(t testing.TB) *runtime.Scheme {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := corev1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	if err := metav1.AddMetaToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	return scheme
}

// configMaps are a kind without anything particular but one rule.
func configMaps() registry.Resource {
	return registry.Resource{
		GroupVersion: corev1.SchemeGroupVersion, Kind: "ConfigMap", Name: "configmaps", SingularName: "configmap", Namespaced: true,
		New:     func() runtime.Object { return &corev1.ConfigMap{} },
		NewList: func() runtime.Object { return &corev1.ConfigMapList{} },
		Strategy: registry.Strategy{
			AllowUnconditionalUpdate: true,
			Validate: func(_ context.Context, obj runtime.Object) field.ErrorList {
				if obj.(*corev1.ConfigMap).Data["bad"] != "" {
					return field.ErrorList{field.Invalid(field.NewPath("data", "bad"), "x", "is bad")}
				}
				return nil
			},
		},
	}
}

// services have a status subresource and a generation.
func services() registry.Resource {
	return registry.Resource{
		GroupVersion: corev1.SchemeGroupVersion, Kind: "Service", Name: "services", SingularName: "service", Namespaced: true,
		New:     func() runtime.Object { return &corev1.Service{} },
		NewList: func() runtime.Object { return &corev1.ServiceList{} },
		Status:  true,
		Strategy: registry.Strategy{
			Generation: true, AllowCreateOnUpdate: true,
			FieldNames: []string{"spec.type"},
		},
	}
}

// nodes are cluster-scoped.
func nodes() registry.Resource {
	return registry.Resource{
		GroupVersion: corev1.SchemeGroupVersion, Kind: "Node", Name: "nodes", SingularName: "node",
		New:     func() runtime.Object { return &corev1.Node{} },
		NewList: func() runtime.Object { return &corev1.NodeList{} },
	}
}

// open returns a registry that no other test sees.
func open(t testing.TB, res registry.Resource) *registry.Store {
	t.Helper()
	res.Path = strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
			return r
		}
		return '-'
	}, t.Name()) + "/" + res.Name
	s, err := registry.New(t.Context(), registry.Config{Store: shared, Scheme: testScheme(t)}, res)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// server serves registries over HTTP as a unit does.
func server(t testing.TB, cfg rest.Config, stores ...*registry.Store) *httptest.Server {
	t.Helper()
	ws := new(restful.WebService)
	var resources []*rest.Resource
	for _, s := range stores {
		resources = append(resources, s.Rest())
	}
	rest.Install(ws, "/api/v1", resources, cfg)
	container := restful.NewContainer()
	container.DoNotRecover(true)
	container.Add(ws)
	srv := httptest.NewServer(container)
	t.Cleanup(srv.Close)
	return srv
}

// answer is a whole response.
type answer struct {
	code   int
	header http.Header
	body   []byte
}

func (a *answer) status(t testing.TB) metav1.Status {
	t.Helper()
	var s metav1.Status
	if err := json.Unmarshal(a.body, &s); err != nil {
		t.Fatalf("not a Status: %v\n%s", err, a.body)
	}
	return s
}

func (a *answer) into(t testing.TB, obj any) {
	t.Helper()
	if err := json.Unmarshal(a.body, obj); err != nil {
		t.Fatalf("decoding a %T: %v\n%s", obj, err, a.body)
	}
}

// call sends one request; headers are given as pairs.
func call(t testing.TB, srv *httptest.Server, method, path, body string, headers ...string) *answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, srv.URL+path, bytes.NewReader([]byte(body)))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := srv.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return &answer{resp.StatusCode, resp.Header, got}
}

// want fails unless the answer has this code.
func want(t testing.TB, code int, a *answer) *answer {
	t.Helper()
	if a.code != code {
		t.Fatalf("got status %d, want %d\n%s", a.code, code, a.body)
	}
	return a
}
