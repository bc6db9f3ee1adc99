package aggregator_test

import (
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	apidiscoveryv2 "k8s.io/api/apidiscovery/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const (
	acceptAggregated      = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
	contentTypeAggregated = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
)

const aggregatedWardle = `{"kind":"APIGroupDiscoveryList","apiVersion":"apidiscovery.k8s.io/v2","metadata":{},"items":[` +
	`{"metadata":{"name":"wardle.example.com"},"versions":[{"version":"v1alpha1","freshness":"Current","resources":[` +
	`{"resource":"flunders","responseKind":{"group":"wardle.example.com","version":"v1alpha1","kind":"Flunder"},"scope":"Namespaced","singularResource":"flunder","verbs":["get","list"]}]}]},` +
	`{"metadata":{"name":"not.registered.example.com"},"versions":[{"version":"v1","freshness":"Current"}]}]}`

// version is what the aggregated discovery says of one group-version.
func (h *house) version(group, version string) (apidiscoveryv2.APIVersionDiscovery, bool) {
	h.t.Helper()
	got := h.get("/apis", "Accept", acceptAggregated)
	if got.code != http.StatusOK || !strings.Contains(got.header.Get("Content-Type"), "as=APIGroupDiscoveryList") {
		h.t.Fatalf("GET /apis = %d %q %s", got.code, got.header.Get("Content-Type"), got.body)
	}
	list := &apidiscoveryv2.APIGroupDiscoveryList{}
	if err := json.Unmarshal([]byte(got.body), list); err != nil {
		h.t.Fatal(err)
	}
	for _, g := range list.Items {
		for _, v := range g.Versions {
			if g.Name == group && v.Version == version {
				return v, true
			}
		}
	}
	return apidiscoveryv2.APIVersionDiscovery{}, false
}

func (h *house) waitForFlunders() {
	h.t.Helper()
	h.eventually("flunders in discovery", func() bool {
		v, ok := h.version("wardle.example.com", "v1alpha1")
		return ok && v.Freshness == apidiscoveryv2.DiscoveryFreshnessCurrent && len(v.Resources) == 1
	})
}

func TestRemoteDiscoveryIsMerged(t *testing.T) {
	tests := map[string]func(e *extension){
		"from a server with aggregated discovery": func(e *extension) {
			e.answerJSON("/apis", contentTypeAggregated, aggregatedWardle)
		},
		"from a server with the beta form of it": func(e *extension) {
			e.answerJSON("/apis", strings.Replace(contentTypeAggregated, "v=v2", "v=v2beta1", 1), aggregatedWardle)
		},
		"from a server with the older form only": func(e *extension) {
			e.answerJSON("/apis", "application/json", `{"kind":"APIGroupList","groups":[]}`)
		},
	}
	for name, configure := range tests {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t, "")
			e := newWardle(t, true)
			configure(e)
			h.services.serve(t, "api", e.address)
			h.create(remoteAPIService("wardle.example.com", "v1alpha1", "api"))
			h.waitForFlunders()

			v, _ := h.version("wardle.example.com", "v1alpha1")
			r := v.Resources[0]
			want := metav1.GroupVersionKind{Group: "wardle.example.com", Version: "v1alpha1", Kind: "Flunder"}
			if r.Resource != "flunders" || r.ResponseKind == nil || *r.ResponseKind != want || r.Scope != apidiscoveryv2.ScopeNamespace {
				t.Errorf("resource = %+v, want flunders of kind %v", r, want)
			}
			if _, ok := h.version("not.registered.example.com", "v1"); ok {
				t.Error("a group that no APIService registers is shown")
			}
			asked := e.requests("/apis")[0]
			if got := asked.Header.Get("X-Remote-User"); got != "system:kube-aggregator" {
				t.Errorf("X-Remote-User = %q, want system:kube-aggregator", got)
			}
			if got := asked.Header.Get("User-Agent"); got != "portico" {
				t.Errorf("User-Agent = %q, want portico", got)
			}
			if got := asked.Header.Values("X-Remote-Group"); !slices.Equal(got, []string{"system:masters"}) {
				t.Errorf("X-Remote-Group = %q, want system:masters", got)
			}
		})
	}
}

func TestDeadServerStaysInDiscoveryAsStale(t *testing.T) {
	h := newHouse(t, "")
	e := newWardle(t, false)
	h.services.serve(t, "api", e.address)
	h.create(remoteAPIService("wardle.example.com", "v1alpha1", "api"))
	h.waitForFlunders()

	e.Close()
	h.services.serve(t, "api", e.address) // has it looked at now instead of in a minute
	h.eventually("stale discovery", func() bool {
		v, ok := h.version("wardle.example.com", "v1alpha1")
		return ok && v.Freshness == apidiscoveryv2.DiscoveryFreshnessStale
	})
	if v, _ := h.version("wardle.example.com", "v1alpha1"); len(v.Resources) != 1 {
		t.Errorf("resources of a dead server = %v, want the last known", v.Resources)
	}
}

func TestServerThatNeverAnsweredIsInDiscoveryAsStale(t *testing.T) {
	h := newHouse(t, "")
	h.create(remoteAPIService("wardle.example.com", "v1alpha1", "nowhere"))
	h.eventually("a stale version", func() bool {
		v, ok := h.version("wardle.example.com", "v1alpha1")
		return ok && v.Freshness == apidiscoveryv2.DiscoveryFreshnessStale && len(v.Resources) == 0
	})
}

func TestGarbageInDiscoveryIsStale(t *testing.T) {
	for name, contentType := range map[string]string{
		"of an aggregated document": contentTypeAggregated,
		"of an older document":      "application/json",
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t, "")
			e := newExtension(t, false)
			e.answerJSON("/apis", contentType, `{"items":[{"metadata":`)
			e.answerJSON("/apis/wardle.example.com/v1alpha1", "application/json", `]`)
			h.services.serve(t, "api", e.address)
			h.create(remoteAPIService("wardle.example.com", "v1alpha1", "api"))
			h.eventually("the server to be asked twice", func() bool { return len(e.requests("/apis")) > 1 })
			if v, ok := h.version("wardle.example.com", "v1alpha1"); !ok || v.Freshness != apidiscoveryv2.DiscoveryFreshnessStale {
				t.Errorf("version = %+v, %v, want one that is stale", v, ok)
			}
		})
	}
}

func TestServerIsAskedForEachDocumentOnceAtATime(t *testing.T) {
	for path, body := range map[string]string{"/apis": aggregatedWardle, "/openapi/v3": `{"paths":{}}`} {
		t.Run(path, func(t *testing.T) {
			h := newHouse(t, "")
			e := newWardle(t, false)
			var asking, most atomic.Int32
			e.answer(path, func(w http.ResponseWriter, _ *http.Request) {
				now := asking.Add(1)
				defer asking.Add(-1)
				for known := most.Load(); now > known && !most.CompareAndSwap(known, now); known = most.Load() {
				}
				time.Sleep(50 * time.Millisecond) // the new server is asked for two reasons meanwhile
				if len(e.requests(path)) == 1 {
					w.WriteHeader(http.StatusServiceUnavailable) // or who waits need not ask any more
					return
				}
				w.Header().Set("Content-Type", contentTypeAggregated)
				io.WriteString(w, body)
			})
			h.services.serve(t, "api", e.address)
			h.create(remoteAPIService("wardle.example.com", "v1alpha1", "api"))
			h.eventually("two answers", func() bool { return len(e.requests(path)) > 1 && asking.Load() == 0 })
			if n := most.Load(); n != 1 {
				t.Errorf("the server had %d questions at a time, want 1", n)
			}
		})
	}
}

// Who looks at the catalog and who waits for it before the server is called available want to know the same.
func TestNewServerIsAskedForEachDocumentOnce(t *testing.T) {
	h := newHouse(t, "")
	e := newDocumentedWardle(t)
	e.answerJSON("/openapi/v3/apis/wardle.example.com/v1alpha1", "application/json", `{"openapi":"3.0.0"}`)
	h.services.serve(t, "api", e.address)
	h.create(remoteAPIService("wardle.example.com", "v1alpha1", "api"))
	h.eventually("Passed", func() bool { return h.condition(wardle).Reason == "Passed" })
	for _, path := range []string{"/apis", "/openapi/v3"} {
		if n := len(e.requests(path)); n != 1 {
			t.Errorf("the server was asked for %s %d times before it was called available, want once", path, n)
		}
	}

	// One that comes back may serve something else, and is asked again before it is called available.
	e.answer("/apis/wardle.example.com/v1alpha1", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) })
	h.certificateChanged()
	h.eventually("FailedDiscoveryCheck", func() bool { return h.condition(wardle).Reason == "FailedDiscoveryCheck" })
	other := strings.ReplaceAll(aggregatedWardle, "flunder", "fischer")
	e.answer("/apis", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentTypeAggregated)
		io.WriteString(w, other)
	})
	e.answer("/apis/wardle.example.com/v1alpha1", func(http.ResponseWriter, *http.Request) {})
	h.eventually("Passed", func() bool { return h.condition(wardle).Reason == "Passed" })
	if v, ok := h.version("wardle.example.com", "v1alpha1"); !ok || len(v.Resources) != 1 || v.Resources[0].Resource != "fischers" {
		t.Errorf("discovery of a server that is back = %+v, want what it serves now", v)
	}
}

// We ask where a connection waits. An endpoint that has one and does not tell what it serves is not asked for ever.
func TestWhatOneEndpointDoesNotTellAnotherDoes(t *testing.T) {
	h := newHouse(t, "")
	mute, other := newWardle(t, true), newWardle(t, true)
	h.services.serve(t, "api", mute.address)
	h.create(remoteAPIService("wardle.example.com", "v1alpha1", "api"))
	h.waitForFlunders()
	mute.answer("/apis", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) })
	other.answerJSON("/apis", contentTypeAggregated, strings.ReplaceAll(aggregatedWardle, "flunder", "fischer"))
	h.services.serve(t, "api", mute.address, other.address)
	h.eventually("what the other says", func() bool {
		v, ok := h.version("wardle.example.com", "v1alpha1")
		return ok && len(v.Resources) == 1 && v.Resources[0].Resource == "fischers"
	})
}

func TestDiscoveryIsAskedForWithItsETag(t *testing.T) {
	h := newHouse(t, "")
	e := newWardle(t, false)
	e.answer("/apis", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("If-None-Match") == `"one"` {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		w.Header().Set("ETag", `"one"`)
		w.Header().Set("Content-Type", contentTypeAggregated)
		io.WriteString(w, aggregatedWardle)
	})
	h.services.serve(t, "api", e.address)
	h.create(remoteAPIService("wardle.example.com", "v1alpha1", "api"))
	h.waitForFlunders()
	before := len(e.requests("/apis"))
	h.services.serve(t, "api", e.address)
	h.eventually("another request", func() bool { return len(e.requests("/apis")) > before })
	all := e.requests("/apis")
	if got := all[len(all)-1].Header.Get("If-None-Match"); got != `"one"` {
		t.Errorf(`If-None-Match = %q, want "one"`, got)
	}
	h.waitForFlunders()
}

func TestOlderDiscovery(t *testing.T) {
	h := newHouse(t, "")
	h.create(remoteAPIService("wardle.example.com", "v1alpha1", "nowhere"))
	h.create(remoteAPIService("wardle.example.com", "v1beta1", "nowhere"))
	h.eventually("the group's document", func() bool {
		return strings.Contains(h.get("/apis/wardle.example.com").body, "v1beta1")
	})

	for _, path := range []string{"/apis", "/apis/"} {
		list := &metav1.APIGroupList{}
		if got := h.get(path, "Accept", "application/json"); json.Unmarshal([]byte(got.body), list) != nil || list.Kind != "APIGroupList" {
			t.Fatalf("GET %s = %d %s", path, got.code, got.body)
		}
		var names []string
		for _, g := range list.Groups {
			names = append(names, g.Name)
		}
		if names[0] != "apiregistration.k8s.io" || names[1] != "rbac.authorization.k8s.io" || !slices.Contains(names, "wardle.example.com") {
			t.Errorf("groups of %s = %q, want apiregistration.k8s.io first, then by priority", path, names)
		}
	}
	for _, path := range []string{"/apis/wardle.example.com", "/apis/wardle.example.com/"} {
		group := &metav1.APIGroup{}
		if got := h.get(path); json.Unmarshal([]byte(got.body), group) != nil || group.Kind != "APIGroup" {
			t.Fatalf("GET %s = %d %s", path, got.code, got.body)
		}
		if group.PreferredVersion.Version != "v1beta1" || len(group.Versions) != 2 {
			t.Errorf("GET %s = %+v, want two versions, v1beta1 first", path, group)
		}
	}
	if got := h.get("/apis/unknown.example.com"); got.code != http.StatusNotFound {
		t.Errorf("GET of an unknown group = %d, want 404", got.code)
	}
}

func TestPriorityOutlivesAChangeOfTheServer(t *testing.T) {
	h := newHouse(t, "")
	former, next := newWardle(t, false), newWardle(t, false)
	h.services.serve(t, "former", former.address)
	h.services.serve(t, "next", next.address)
	first := remoteAPIService("wardle.example.com", "v1alpha1", "former")
	first.Spec.GroupPriorityMinimum = 19000 // before every group but our own
	h.create(first)
	h.eventually("True", func() bool { return h.condition(wardle).Status == "True" })

	changed := h.apiService(wardle)
	changed.Spec.Service.Name = "next"
	h.update(changed)
	h.eventually("the other service to be asked", func() bool { return len(next.requests("/apis")) > 0 })
	if got := h.groups()[1]; got != "wardle.example.com" {
		t.Errorf("groups in the order of their priorities = %q, want wardle.example.com second", h.groups())
	}
}

// groups are the names in the older list of groups.
func (h *house) groups() []string {
	h.t.Helper()
	list := &metav1.APIGroupList{}
	if err := json.Unmarshal([]byte(h.get("/apis").body), list); err != nil {
		h.t.Fatal(err)
	}
	names := make([]string, len(list.Groups))
	for i, g := range list.Groups {
		names[i] = g.Name
	}
	return names
}
