package rest_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/portico-api/portico/handler"
	"github.com/portico-api/portico/handler/rest"
)

// leaving is a kind that will be gone.
type leaving struct{ corev1.Binding }

func (*leaving) APILifecycleDeprecated() (int, int) { return 1, 36 }
func (*leaving) APILifecycleRemoved() (int, int)    { return 1, 40 }
func (*leaving) APILifecycleReplacement() schema.GroupVersionKind {
	return schema.GroupVersionKind{Group: "better.example.com", Version: "v2", Kind: "Tie"}
}

func TestClientsAreWarnedOfDeprecatedKinds(t *testing.T) {
	for name, test := range map[string]struct {
		object  runtime.Object
		release rest.Release
		warning string
		removed string
	}{
		"one that will be gone":           {&leaving{}, rest.Release{Major: 1, Minor: 36}, `299 - "v1 Binding is deprecated in v1.36+, unavailable in v1.40+; use better.example.com/v2 Tie"`, "1.40"},
		"one that is not deprecated yet":  {&leaving{}, rest.Release{Major: 1, Minor: 35}, "", ""},
		"without a release":               {&leaving{}, rest.Release{}, `299 - "v1 Binding is deprecated in v1.36+, unavailable in v1.40+; use better.example.com/v2 Tie"`, "1.40"},
		"endpoints":                       {&corev1.Endpoints{}, rest.Release{Major: 1, Minor: 36}, `299 - "v1 Binding is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice"`, ""},
		"one that is there for good":      {&corev1.Binding{}, rest.Release{Major: 1, Minor: 36}, "", ""},
		"in the next great version still": {&leaving{}, rest.Release{Major: 2, Minor: 0}, `299 - "v1 Binding is deprecated in v1.36+, unavailable in v1.40+; use better.example.com/v2 Tie"`, "1.40"},
	} {
		t.Run(name, func(t *testing.T) {
			res := bindings(t, reader{`{"kind":"Binding","apiVersion":"v1","metadata":{"name":"x"}}`})
			res.New = func() runtime.Object { return test.object }
			h := serve(t, rest.Config{Release: test.release}, res)
			rq := &handler.Request{}
			r := httptest.NewRequest(http.MethodGet, "/api/v1/bindings/x", nil)
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r.WithContext(handler.WithRequest(r.Context(), rq)))
			if w.Code != http.StatusOK {
				t.Fatalf("got %d %s", w.Code, w.Body)
			}
			rq.WriteWarnings(w.Header())
			if got := w.Header().Get("Warning"); got != test.warning {
				t.Errorf("got warning %q, want %q", got, test.warning)
			}
			if rq.Deprecated != (test.warning != "") || rq.RemovedRelease != test.removed {
				t.Errorf("noted as deprecated: %v, without it: %q", rq.Deprecated, rq.RemovedRelease)
			}
		})
	}
}
