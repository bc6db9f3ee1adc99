package delegation_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"

	cbor "k8s.io/apimachinery/pkg/runtime/serializer/cbor/direct"

	"github.com/portico-api/portico/delegation"
)

func askFor(h http.Handler, path, accept string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, path, nil)
	if accept != "" {
		r.Header.Set("Accept", accept)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func zpagesUnit(t *testing.T) http.Handler {
	t.Helper()
	config := openConfig()
	config.Flags = map[string]string{"secure-port": "6443", "data-dir": ".portico"}
	unit := newUnit(t, config, "front", delegation.NewEmptyDelegate())
	unit.PrepareRun()
	return unit.Handler
}

func TestStatuszAndFlagzAreTextForPersons(t *testing.T) {
	h := zpagesUnit(t)
	for path, want := range map[string][]string{
		"/statusz": {"apiserver statusz\nWarning: ", "Go version", "Binary version", "/healthz"},
		"/flagz":   {"apiserver flagz\nWarning: ", "data-dir", ".portico", "secure-port", "6443"},
	} {
		for _, accept := range []string{"", "*/*", "text/plain"} {
			w := askFor(h, path, accept)
			if w.Code != http.StatusOK || w.Header().Get("Content-Type") != "text/plain; charset=utf-8" {
				t.Errorf("GET %s, Accept %q: got %d %s", path, accept, w.Code, w.Header().Get("Content-Type"))
			}
			for _, part := range want {
				if !strings.Contains(w.Body.String(), part) {
					t.Errorf("GET %s: %q is missing in %s", path, part, w.Body)
				}
			}
		}
	}
}

func TestStatuszAndFlagzAreKindsForPrograms(t *testing.T) {
	h := zpagesUnit(t)
	for kind, path := range map[string]string{"Statusz": "/statusz", "Flagz": "/flagz"} {
		w := askFor(h, path, "application/json;v=v1beta1;g=config.k8s.io;as="+kind)
		text := w.Body.Bytes()
		var page struct {
			Kind, APIVersion, StartTime, GoVersion, BinaryVersion string
			Metadata                                              struct{ Name string }
			Flags                                                 map[string]string
			Paths                                                 []string
		}
		if err := json.Unmarshal(text, &page); err != nil {
			t.Fatalf("GET %s: %v in %s", path, err, w.Body)
		}
		if page.Kind != kind || page.APIVersion != "config.k8s.io/v1beta1" || page.Metadata.Name != "apiserver" {
			t.Errorf("GET %s: got %s", path, w.Body)
		}
		switch kind {
		case "Flagz":
			if page.Flags["secure-port"] != "6443" {
				t.Errorf("GET %s: the flags are missing in %s", path, w.Body)
			}
		default:
			if page.StartTime == "" || page.GoVersion == "" || page.BinaryVersion == "" || len(page.Paths) == 0 {
				t.Errorf("GET %s: got %s", path, w.Body)
			}
		}
		w = askFor(h, path, "application/cbor;v=v1beta1;g=config.k8s.io;as="+kind)
		var inJSON, inCBOR map[string]any
		if err := json.Unmarshal(text, &inJSON); err != nil {
			t.Fatal(err)
		}
		if err := cbor.Unmarshal(w.Body.Bytes(), &inCBOR); err != nil || w.Header().Get("Content-Type") != "application/cbor" || !strings.HasPrefix(w.Body.String(), "\xd9\xd9\xf7") {
			t.Errorf("GET %s as CBOR: %v, type %s", path, err, w.Header().Get("Content-Type"))
		}
		delete(inJSON, "uptimeSeconds")
		if _, ok := inCBOR["uptimeSeconds"].(int64); ok != (kind == "Statusz") {
			t.Errorf("GET %s as CBOR: up for %v seconds", path, inCBOR["uptimeSeconds"])
		}
		delete(inCBOR, "uptimeSeconds")
		if !reflect.DeepEqual(inCBOR, inJSON) {
			t.Errorf("GET %s: as CBOR %v, as JSON %v", path, inCBOR, inJSON)
		}
		if w := askFor(h, path, "application/yaml;v=v1beta1;g=config.k8s.io;as="+kind); !strings.Contains(w.Body.String(), "\nkind: "+kind+"\n") {
			t.Errorf("GET %s as YAML: got %s", path, w.Body)
		}
		for _, other := range []string{"application/json", "application/json;v=v9;g=config.k8s.io;as=" + kind, "image/png"} {
			if w := askFor(h, path, other); w.Code != http.StatusNotAcceptable {
				t.Errorf("GET %s, Accept %q: got %d, want 406", path, other, w.Code)
			}
		}
	}
}

func TestFlagzIsNotThereWithoutFlags(t *testing.T) {
	unit := newUnit(t, openConfig(), "front", delegation.NewEmptyDelegate())
	if w := askFor(unit.Handler, "/flagz", ""); w.Code != http.StatusNotFound {
		t.Errorf("GET /flagz: got %d, want 404", w.Code)
	}
}
