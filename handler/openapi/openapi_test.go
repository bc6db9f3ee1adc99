package openapi_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	openapi_v2 "github.com/google/gnostic-models/openapiv2"
	openapi_v3 "github.com/google/gnostic-models/openapiv3"
	"google.golang.org/protobuf/proto"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	apiregistrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"
	utilproto "k8s.io/kube-openapi/pkg/util/proto"

	"github.com/portico-api/portico/handler/openapi"
	"github.com/portico-api/portico/metrics"
)

var allVerbs = []string{"create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"}

func core() (*openapi.Description, error) {
	gv := corev1.SchemeGroupVersion
	return &openapi.Description{Prefix: "/api/v1", GroupVersion: gv, Resources: []openapi.Resource{
		{Name: "configmaps", Kind: gv.WithKind("ConfigMap"), Namespaced: true, Verbs: allVerbs, Object: &corev1.ConfigMap{}, List: &corev1.ConfigMapList{}},
		{Name: "services", Kind: gv.WithKind("Service"), Namespaced: true, Verbs: allVerbs, Object: &corev1.Service{}, List: &corev1.ServiceList{},
			Subresources: []openapi.Resource{{Name: "status", Kind: gv.WithKind("Service"), Verbs: []string{"get", "patch", "update"}, Object: &corev1.Service{}}}},
		{Name: "namespaces", Kind: gv.WithKind("Namespace"), Verbs: allVerbs, Object: &corev1.Namespace{}, List: &corev1.NamespaceList{}},
		{Name: "pods", Kind: gv.WithKind("Pod"), Namespaced: true, Verbs: allVerbs, Object: &corev1.Pod{}, List: &corev1.PodList{}},
	}}, nil
}

func apiregistration() (*openapi.Description, error) {
	gv := apiregistrationv1.SchemeGroupVersion
	return &openapi.Description{Prefix: "/apis/apiregistration.k8s.io/v1", GroupVersion: gv, Resources: []openapi.Resource{
		{Name: "apiservices", Kind: gv.WithKind("APIService"), Verbs: allVerbs, Object: &apiregistrationv1.APIService{}, List: &apiregistrationv1.APIServiceList{}},
	}}, nil
}

func newService() *openapi.Service {
	s := openapi.NewService((*metrics.OpenAPI)(nil))
	s.Add("api/v1", "", core)
	s.Add("apis/apiregistration.k8s.io/v1", "", apiregistration)
	return s
}

func mux(s *openapi.Service) *http.ServeMux {
	m := http.NewServeMux()
	m.Handle("/openapi/v3", s.RootHandler())
	m.Handle("/openapi/v3/", s.DocumentHandler())
	m.Handle("/openapi/v2", s.V2Handler())
	return m
}

// get asks once; headers are given in pairs.
func get(t testing.TB, h http.Handler, address string, headers ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, address, nil)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// at walks into decoded JSON.
func at(t testing.TB, v any, path ...string) any {
	t.Helper()
	for i, p := range path {
		m, ok := v.(map[string]any)
		if !ok || m[p] == nil {
			t.Fatalf("%s: nothing there", strings.Join(path[:i+1], " > "))
		}
		v = m[p]
	}
	return v
}

func decode(t testing.TB, body []byte) map[string]any {
	t.Helper()
	var v map[string]any
	if err := json.Unmarshal(body, &v); err != nil {
		t.Fatalf("%.200s: %v", body, err)
	}
	return v
}

func TestSchemasSayWhatTheTypesAre(t *testing.T) {
	schemas := at(t, decode(t, get(t, mux(newService()), "/openapi/v3/api/v1").Body.Bytes()), "components", "schemas")
	for _, tc := range []struct{ name, path, want string }{
		{"a map of strings", "io.k8s.api.core.v1.ConfigMap properties data additionalProperties type", `"string"`},
		{"a map of bytes", "io.k8s.api.core.v1.ConfigMap properties binaryData additionalProperties format", `"byte"`},
		{"the kind it is", "io.k8s.api.core.v1.ConfigMap x-kubernetes-group-version-kind", `[{"group":"","kind":"ConfigMap","version":"v1"}]`},
		{"the kind of its list", "io.k8s.api.core.v1.ConfigMapList x-kubernetes-group-version-kind", `[{"group":"","kind":"ConfigMapList","version":"v1"}]`},
		{"inlined kind and apiVersion", "io.k8s.api.core.v1.ConfigMap properties apiVersion type", `"string"`},
		{"a described reference", "io.k8s.api.core.v1.ConfigMap properties metadata allOf", `[{"$ref":"#/components/schemas/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"}]`},
		{"what a type is for", "io.k8s.api.core.v1.ConfigMap description", `"ConfigMap holds configuration data for pods to consume."`},
		{"time", "io.k8s.apimachinery.pkg.apis.meta.v1.Time format", `"date-time"`},
		{"number or name", "io.k8s.apimachinery.pkg.util.intstr.IntOrString oneOf", `[{"type":"integer"},{"type":"string"}]`},
		{"quantity", "io.k8s.apimachinery.pkg.api.resource.Quantity oneOf", `[{"type":"string"},{"type":"number"}]`},
		{"opaque fields", "io.k8s.apimachinery.pkg.apis.meta.v1.FieldsV1 type", `"object"`},
		{"patch strategy", "io.k8s.api.core.v1.PodSpec properties containers x-kubernetes-patch-merge-key", `"name"`},
		{"how lists merge", "io.k8s.api.core.v1.PodSpec properties containers x-kubernetes-patch-strategy", `"merge"`},
		{"required fields", "io.k8s.api.core.v1.PodSpec required", `["containers"]`},
		{"fields that may be left out though they are always written", "io.k8s.api.core.v1.TypedLocalObjectReference required", `["kind","name"]`},
		{"pointers that are required", "io.k8s.api.core.v1.ScaleIOVolumeSource required", `["gateway","system","secretRef"]`},
		{"integers", "io.k8s.api.core.v1.ServicePort properties port format", `"int32"`},
	} {
		got, err := json.Marshal(at(t, schemas, strings.Fields(tc.path)...))
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != tc.want {
			t.Errorf("%s: %s: got %s, want %s", tc.name, tc.path, got, tc.want)
		}
	}
}

func TestTypesWithoutTextsAreDescribedToo(t *testing.T) {
	spec, err := newService().Document("apis/apiregistration.k8s.io/v1")
	if err != nil {
		t.Fatal(err)
	}
	s := spec.Components.Schemas["io.k8s.kube-aggregator.pkg.apis.apiregistration.v1.APIServiceSpec"]
	if s == nil || !strings.Contains(s.Properties["groupPriorityMinimum"].Description, "priority") {
		t.Errorf("APIServiceSpec: got %+v, want a text about groupPriorityMinimum", s)
	}
}

func TestPathsSayWhatCanBeDone(t *testing.T) {
	paths := at(t, decode(t, get(t, mux(newService()), "/openapi/v3/api/v1").Body.Bytes()), "paths")
	for path, actions := range map[string]map[string]string{
		"/api/v1/configmaps":                                    {"get": "list"},
		"/api/v1/namespaces/{namespace}/configmaps":             {"get": "list", "post": "post", "delete": "deletecollection"},
		"/api/v1/namespaces/{namespace}/configmaps/{name}":      {"get": "get", "put": "put", "patch": "patch", "delete": "delete"},
		"/api/v1/namespaces/{namespace}/services/{name}/status": {"get": "get", "put": "put", "patch": "patch"},
		"/api/v1/namespaces/{name}":                             {"get": "get", "put": "put", "patch": "patch", "delete": "delete"},
	} {
		for method, action := range actions {
			op := at(t, paths, path, method)
			if got := at(t, op, "x-kubernetes-action"); got != action {
				t.Errorf("%s %s: got action %v, want %s", method, path, got, action)
			}
			if got := at(t, op, "x-kubernetes-group-version-kind", "version"); got != "v1" {
				t.Errorf("%s %s: got version %v, want v1", method, path, got)
			}
		}
	}
	// What kubectl looks for before it sends these parameters.
	for _, method := range []string{"put", "patch"} {
		parameters, _ := json.Marshal(at(t, paths, "/api/v1/namespaces/{namespace}/configmaps/{name}", method, "parameters"))
		for _, name := range []string{"fieldValidation", "dryRun", "fieldManager"} {
			if !bytes.Contains(parameters, []byte(`"name":"`+name+`"`)) {
				t.Errorf("%s: no parameter %s in %s", method, name, parameters)
			}
		}
	}
	ids := map[string]string{}
	for path, item := range paths.(map[string]any) {
		for method, op := range item.(map[string]any) {
			if method == "parameters" {
				continue
			}
			id := at(t, op, "operationId").(string)
			if other, ok := ids[id]; ok {
				t.Errorf("operation id %s is at %s and at %s %s", id, other, method, path)
			}
			ids[id] = method + " " + path
		}
	}
}

func TestRootNamesEveryDocumentByItsHash(t *testing.T) {
	m := mux(newService())
	root := get(t, m, "/openapi/v3", "Accept", "application/json")
	if root.Code != http.StatusOK || root.Header().Get("Content-Type") != "application/json" || root.Header().Get("ETag") == "" {
		t.Fatalf("root: got %d, %v", root.Code, root.Header())
	}
	for _, path := range []string{"api/v1", "apis/apiregistration.k8s.io/v1"} {
		address := at(t, decode(t, root.Body.Bytes()), "paths", path, "serverRelativeURL").(string)
		if !strings.HasPrefix(address, "/openapi/v3/"+path+"?hash=") {
			t.Errorf("%s: got %s", path, address)
		}
		if w := get(t, m, address); w.Code != http.StatusOK || w.Header().Get("Cache-Control") != "public, immutable" || w.Header().Get("Expires") == "" {
			t.Errorf("%s: got %d, %v", address, w.Code, w.Header())
		}
	}
	if w := get(t, m, "/openapi/v3", "If-None-Match", root.Header().Get("ETag")); w.Code != http.StatusNotModified || w.Body.Len() != 0 {
		t.Errorf("root, not modified: got %d with %d bytes", w.Code, w.Body.Len())
	}
}

func TestDocumentCaching(t *testing.T) {
	m := mux(newService())
	plain := get(t, m, "/openapi/v3/api/v1")
	etag := plain.Header().Get("ETag")
	hash := strings.Trim(etag, `"`)
	for _, tc := range []struct {
		name, query string
		headers     []string
		code        int
		cache       string
	}{
		{"without a hash", "", nil, http.StatusOK, "no-cache, private"},
		{"with the right hash", "?hash=" + hash, nil, http.StatusOK, "public, immutable"},
		{"with a wrong hash", "?hash=ABC", nil, http.StatusMovedPermanently, ""},
		{"known already", "", []string{"If-None-Match", `"x", W/` + etag}, http.StatusNotModified, "no-cache, private"},
		{"in protobuf", "?hash=" + hash, []string{"Accept", "application/com.github.proto-openapi.spec.v3@v1.0+protobuf"}, http.StatusOK, "public, immutable"},
		{"as something else", "", []string{"Accept", "text/html"}, http.StatusNotAcceptable, ""},
		{"preferring something else", "", []string{"Accept", "text/html;q=0.9, application/json;q=0.1"}, http.StatusOK, "no-cache, private"},
	} {
		w := get(t, m, "/openapi/v3/api/v1"+tc.query, tc.headers...)
		if w.Code != tc.code || w.Header().Get("Cache-Control") != tc.cache {
			t.Errorf("%s: got %d, Cache-Control %q; want %d, %q", tc.name, w.Code, w.Header().Get("Cache-Control"), tc.code, tc.cache)
		}
		if tc.code == http.StatusMovedPermanently && w.Header().Get("Location") != "/openapi/v3/api/v1?hash="+hash {
			t.Errorf("%s: got Location %q", tc.name, w.Header().Get("Location"))
		}
	}
	if w := get(t, m, "/openapi/v3/apis/unknown/v1"); w.Code != http.StatusNotFound || decode(t, w.Body.Bytes())["kind"] != "Status" {
		t.Errorf("unknown document: got %d %s", w.Code, w.Body)
	}
}

func TestContentIsTheSameCompressedAndNot(t *testing.T) {
	m := mux(newService())
	for _, address := range []string{"/openapi/v3", "/openapi/v3/api/v1", "/openapi/v2"} {
		plain, packed := get(t, m, address), get(t, m, address, "Accept-Encoding", "br, gzip;q=0.5")
		if packed.Header().Get("Content-Encoding") != "gzip" || plain.Header().Get("Content-Encoding") != "" {
			t.Fatalf("%s: got encodings %q and %q", address, packed.Header().Get("Content-Encoding"), plain.Header().Get("Content-Encoding"))
		}
		z, err := gzip.NewReader(packed.Body)
		if err != nil {
			t.Fatal(err)
		}
		unpacked, err := io.ReadAll(z)
		if err != nil || !bytes.Equal(unpacked, plain.Body.Bytes()) {
			t.Errorf("%s: the compressed content differs: %v", address, err)
		}
		if refused := get(t, m, address, "Accept-Encoding", "gzip;q=0"); refused.Header().Get("Content-Encoding") != "" {
			t.Errorf("%s: compressed for a client that refuses it", address)
		}
	}
}

func TestProtobufIsWhatClientsRead(t *testing.T) {
	m := mux(newService())
	w := get(t, m, "/openapi/v3/api/v1", "Accept", "application/com.github.proto-openapi.spec.v3.v1.0+protobuf")
	v3 := new(openapi_v3.Document)
	if err := proto.Unmarshal(w.Body.Bytes(), v3); err != nil {
		t.Fatal(err)
	}
	if models, err := utilproto.NewOpenAPIV3Data(v3); err != nil || models.LookupModel("io.k8s.api.core.v1.ConfigMap") == nil {
		t.Errorf("v3: no model of ConfigMap: %v", err)
	}
	w = get(t, m, "/openapi/v2", "Accept", "application/com.github.proto-openapi.spec.v2@v1.0+protobuf")
	if _, _, err := mime.ParseMediaType(w.Header().Get("Content-Type")); err != nil {
		t.Errorf("Content-Type %q: %v", w.Header().Get("Content-Type"), err)
	}
	v2 := new(openapi_v2.Document)
	if err := proto.Unmarshal(w.Body.Bytes(), v2); err != nil {
		t.Fatal(err)
	}
	models, err := utilproto.NewOpenAPIData(v2)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"io.k8s.api.core.v1.Pod", "io.k8s.kube-aggregator.pkg.apis.apiregistration.v1.APIService"} {
		if models.LookupModel(name) == nil {
			t.Errorf("v2: no model of %s", name)
		}
	}
}

func TestV2HasNoWordsOfV3(t *testing.T) {
	w := get(t, mux(newService()), "/openapi/v2")
	for _, word := range []string{`"oneOf"`, `"anyOf"`, `"nullable"`, "#/components/"} {
		if i := bytes.Index(w.Body.Bytes(), []byte(word)); i >= 0 {
			t.Errorf("%s: …%s…", word, w.Body.Bytes()[max(0, i-100):i+100])
		}
	}
	doc := decode(t, w.Body.Bytes())
	if got := at(t, doc, "definitions", "io.k8s.apimachinery.pkg.util.intstr.IntOrString", "format"); got != "int-or-string" {
		t.Errorf("IntOrString: got format %v", got)
	}
	if got := at(t, doc, "paths", "/api/v1/namespaces", "post", "x-kubernetes-action"); got != "post" {
		t.Errorf("POST namespaces: got action %v", got)
	}
}

func TestDocumentsAreMadeOnceAndOnlyWhenAskedFor(t *testing.T) {
	s := openapi.NewService((*metrics.OpenAPI)(nil))
	var mu sync.Mutex
	made := 0
	s.Add("/api/v1/", "", func() (*openapi.Description, error) {
		mu.Lock()
		defer mu.Unlock()
		made++
		return core()
	})
	if made != 0 {
		t.Error("made before it was asked for")
	}
	m := mux(s)
	var clients sync.WaitGroup
	for range 8 {
		clients.Go(func() {
			get(t, m, "/openapi/v3")
			get(t, m, "/openapi/v3/api/v1")
		})
	}
	clients.Wait()
	if made != 1 {
		t.Errorf("made %d times, want once", made)
	}
}

func TestDocumentsComeAndGo(t *testing.T) {
	s := newService()
	m := mux(s)
	before := get(t, m, "/openapi/v3")
	s.Add("apis/events.k8s.io/v1", "", func() (*openapi.Description, error) {
		gv := eventsv1.SchemeGroupVersion
		return &openapi.Description{Prefix: "/apis/events.k8s.io/v1", GroupVersion: gv, Resources: []openapi.Resource{
			{Name: "events", Kind: gv.WithKind("Event"), Namespaced: true, Verbs: allVerbs, Object: &eventsv1.Event{}, List: &eventsv1.EventList{}},
		}}, nil
	})
	with := get(t, m, "/openapi/v3")
	if !strings.Contains(with.Body.String(), "events.k8s.io") || with.Header().Get("ETag") == before.Header().Get("ETag") {
		t.Errorf("after Add: got %s", with.Body)
	}
	s.Remove("apis/events.k8s.io/v1")
	after := get(t, m, "/openapi/v3")
	if after.Header().Get("ETag") != before.Header().Get("ETag") || after.Body.String() != before.Body.String() {
		t.Errorf("after Remove: got %s, want %s", after.Body, before.Body)
	}
}

func TestOneBrokenGroupHidesNoOther(t *testing.T) {
	s := newService()
	s.Add("apis/broken/v1", "", func() (*openapi.Description, error) { return nil, errors.New("secret") })
	s.Add("apis/strange/v1", "", func() (*openapi.Description, error) {
		gv := schema.GroupVersion{Group: "strange", Version: "v1"}
		return &openapi.Description{Prefix: "/apis/strange/v1", GroupVersion: gv, Resources: []openapi.Resource{
			{Name: "xs", Kind: gv.WithKind("X"), Verbs: []string{"get"}, Object: struct{ C chan int }{}},
		}}, nil
	})
	m := mux(s)
	if w := get(t, m, "/openapi/v3"); w.Code != http.StatusOK || !strings.Contains(w.Body.String(), `"api/v1"`) || strings.Contains(w.Body.String(), "broken") {
		t.Errorf("root: got %d %s", w.Code, w.Body)
	}
	if w := get(t, m, "/openapi/v2"); w.Code != http.StatusOK {
		t.Errorf("v2: got %d", w.Code)
	}
	for _, path := range []string{"broken", "strange"} {
		if w := get(t, m, "/openapi/v3/apis/"+path+"/v1"); w.Code != http.StatusInternalServerError || strings.Contains(w.Body.String(), "secret") {
			t.Errorf("%s: got %d %s, want a 500 that tells no cause", path, w.Code, w.Body)
		}
	}
}

// The hash is in clients' caches: it must not differ between two starts of one program.
func TestDocumentsAreDeterministic(t *testing.T) {
	first, second := mux(newService()), mux(newService())
	for _, address := range []string{"/openapi/v3", "/openapi/v2"} {
		if a, b := get(t, first, address).Header().Get("ETag"), get(t, second, address).Header().Get("ETag"); a != b {
			t.Errorf("%s: got ETags %s and %s", address, a, b)
		}
	}
}

func FuzzNegotiate(f *testing.F) {
	m := mux(newService())
	for _, s := range []string{"", "*/*", "application/json;q=0.5,*/*;q=0.1", "application/com.github.proto-openapi.spec.v3@v1.0+protobuf", ";;;,q=", "application/json;q=x"} {
		f.Add(s, "gzip, deflate", `"x"`)
	}
	f.Fuzz(func(t *testing.T, accept, encoding, etag string) {
		w := get(t, m, "/openapi/v3/apis/apiregistration.k8s.io/v1", "Accept", accept, "Accept-Encoding", encoding, "If-None-Match", etag)
		switch w.Code {
		case http.StatusOK, http.StatusNotModified, http.StatusNotAcceptable:
		default:
			t.Errorf("got %d", w.Code)
		}
	})
}

func BenchmarkFirstDocument(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		get(b, mux(newService()), "/openapi/v3/api/v1")
	}
}

func BenchmarkDocument(b *testing.B) {
	m := mux(newService())
	get(b, m, "/openapi/v3/api/v1")
	b.ReportAllocs()
	for b.Loop() {
		get(b, m, "/openapi/v3/api/v1", "Accept-Encoding", "gzip")
	}
}

func BenchmarkFirstV2(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		get(b, mux(newService()), "/openapi/v2")
	}
}
