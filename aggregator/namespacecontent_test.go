package aggregator_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/portico-api/portico/delegation"
)

// shelf is a resource of an extension server: what it has in the namespace demo, by name, with the
// finalizers of each.
type shelf struct {
	mu      sync.Mutex
	objects map[string][]string
	deletes []*http.Request // in their order
	options []metav1.DeleteOptions
}

const shelfPath = "/apis/wardle.example.com/v1alpha1/namespaces/demo/flunders"

// keep makes e the server of flunders with the given verbs, which are also those that it knows.
func (e *extension) keep(objects map[string][]string, verbs ...string) *shelf {
	s := &shelf{objects: objects}
	quoted, _ := json.Marshal(verbs)
	e.answerJSON("/apis/wardle.example.com/v1alpha1", "application/json",
		`{"kind":"APIResourceList","apiVersion":"v1","groupVersion":"wardle.example.com/v1alpha1","resources":[`+
			`{"name":"fischers","namespaced":false,"kind":"Fischer","verbs":["delete","deletecollection","list"]},`+
			`{"name":"flunders","namespaced":true,"kind":"Flunder","verbs":`+string(quoted)+`}]}`)
	e.answer(shelfPath, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Method == http.MethodGet:
			s.list(w, r)
		case slices.Contains(verbs, "deletecollection"):
			s.delete(r, slices.Collect(maps.Keys(s.objects))...)
			s.list(w, r)
		default:
			w.WriteHeader(http.StatusMethodNotAllowed)
		}
	})
	for name := range objects {
		e.answer(shelfPath+"/"+name, func(w http.ResponseWriter, r *http.Request) {
			s.delete(r, name)
			io.WriteString(w, `{"kind":"Status","apiVersion":"v1","status":"Success"}`)
		})
	}
	return s
}

func (s *shelf) delete(r *http.Request, names ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	options := metav1.DeleteOptions{}
	json.NewDecoder(r.Body).Decode(&options)
	s.deletes, s.options = append(s.deletes, r), append(s.options, options)
	for _, name := range names {
		if len(s.objects[name]) == 0 {
			delete(s.objects, name)
		}
	}
}

// list answers with one object at a time.
func (s *shelf) list(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	names := slices.Sorted(maps.Keys(s.objects))
	if after := r.URL.Query().Get("continue"); after != "" {
		names = slices.DeleteFunc(names, func(name string) bool { return name <= after })
	}
	list := metav1.PartialObjectMetadataList{TypeMeta: metav1.TypeMeta{Kind: "PartialObjectMetadataList", APIVersion: "meta.k8s.io/v1"}}
	if len(names) > 1 {
		more := int64(len(names) - 1)
		list.Continue, list.RemainingItemCount = names[0], &more
	}
	if len(names) > 0 {
		o := metav1.PartialObjectMetadata{}
		o.Name, o.UID, o.Finalizers = names[0], "uid-of-it", s.objects[names[0]]
		list.Items = append(list.Items, o)
	}
	json.NewEncoder(w).Encode(list)
}

// empty empties the namespace demo of what all remote servers have in it.
func (h *house) empty() []delegation.Remaining {
	var all []delegation.Remaining
	for _, content := range h.server.NamespacedContent() {
		all = append(all, content.Empty(h.t.Context(), "demo"))
	}
	return all
}

// emptyOne is empty when there is one server.
func (h *house) emptyOne() delegation.Remaining {
	h.t.Helper()
	all := h.empty()
	if len(all) != 1 {
		h.t.Fatalf("%d servers have content, want one: %+v", len(all), all)
	}
	return all[0]
}

// kept describes what keeps a namespace, but for numbers of nothing.
func kept(r delegation.Remaining) string {
	maps.DeleteFunc(r.Objects, func(_ schema.GroupResource, n int) bool { return n == 0 })
	if len(r.Objects)+len(r.Finalizers)+len(r.Undiscovered)+len(r.Failed) == 0 {
		return "nothing"
	}
	return fmt.Sprintf("%v %v %v %v", r.Objects, r.Finalizers, r.Undiscovered, r.Failed)
}

func (h *house) serveWardle(e *extension) {
	h.t.Helper()
	h.services.serve(h.t, "api", e.address)
	h.create(remoteAPIService("wardle.example.com", "v1alpha1", "api"))
	h.eventually("True", func() bool { return h.condition(wardle).Status == "True" })
}

func TestANamespaceIsEmptiedOfWhatARemoteServerHasInIt(t *testing.T) {
	for name, c := range map[string]struct {
		verbs   []string
		objects map[string][]string
		deletes []string
		kept    string
	}{
		"with one request where that is possible": {
			[]string{"get", "list", "delete", "deletecollection"}, map[string][]string{"a": nil, "b": nil},
			[]string{shelfPath}, "nothing",
		},
		"one by one where it is not": {
			[]string{"get", "list", "delete"}, map[string][]string{"a": nil, "b": nil, "c": nil},
			[]string{shelfPath + "/a", shelfPath + "/b", shelfPath + "/c"}, "nothing",
		},
		"what finalizers keep is counted": {
			[]string{"list", "deletecollection"}, map[string][]string{"a": {"example.com/hold"}, "b": nil, "c": {"example.com/hold"}},
			[]string{shelfPath}, "map[flunders.wardle.example.com:2] map[example.com/hold:1] map[] []",
		},
		"what cannot be deleted is left alone": {
			[]string{"get", "list"}, map[string][]string{"a": nil}, nil, "nothing",
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t, "")
			e := newExtension(t, false)
			s := e.keep(c.objects, c.verbs...)
			h.serveWardle(e)

			if got := kept(h.emptyOne()); got != c.kept {
				t.Errorf("kept by %s, want %s", got, c.kept)
			}
			var deletes []string
			for i, r := range s.deletes {
				deletes = append(deletes, r.URL.Path)
				if r.Method != http.MethodDelete || r.Header.Get("X-Remote-User") != "system:serviceaccount:kube-system:namespace-controller" ||
					!slices.Equal(r.Header.Values("X-Remote-Group"), []string{"system:masters"}) || r.Header.Get("Content-Type") != "application/json" {
					t.Errorf("%s %s with %v, want DELETE as the namespace controller", r.Method, r.URL, r.Header)
				}
				o := s.options[i]
				if o.PropagationPolicy == nil || *o.PropagationPolicy != metav1.DeletePropagationBackground {
					t.Errorf("propagation %v, want Background", o.PropagationPolicy)
				}
				if single := r.URL.Path != shelfPath; single != (o.Preconditions != nil) || single && *o.Preconditions.UID != "uid-of-it" {
					t.Errorf("preconditions of %s: %+v", r.URL, o.Preconditions)
				}
			}
			if !slices.Equal(deletes, c.deletes) {
				t.Errorf("deleted %q, want %q", deletes, c.deletes)
			}
		})
	}
}

func TestAServerOutOfReachKeepsNamespaces(t *testing.T) {
	h := newHouse(t, "")
	e := newExtension(t, false)
	e.keep(map[string][]string{"a": nil}, "list", "deletecollection")
	changed := make(chan struct{}, 100)
	h.server.OnNamespacedContentChange(func() { changed <- struct{}{} })
	h.serveWardle(e)
	<-changed // it is available

	gv := schema.GroupVersion{Group: "wardle.example.com", Version: "v1alpha1"}
	outOfReach := func(why string) {
		t.Helper()
		r := h.emptyOne()
		if err := r.Undiscovered[gv]; err == nil || !strings.Contains(err.Error(), why) {
			t.Errorf("undiscovered %v, want %s because of %q", r.Undiscovered, gv, why)
		}
		if n := len(e.requests(shelfPath)); n != 0 {
			t.Errorf("%d requests for its objects, want none", n)
		}
	}
	e.mu.Lock()
	resources := e.paths["/apis/wardle.example.com/v1alpha1"]
	e.mu.Unlock()
	e.answer("/apis/wardle.example.com/v1alpha1", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusServiceUnavailable)
	})
	outOfReach("status 503")   // although it is thought to be available
	h.services.serve(t, "api") // no endpoints
	h.eventually("not True", func() bool { return h.condition(wardle).Status != "True" })
	outOfReach("have no addresses")

	for len(changed) > 0 {
		<-changed
	}
	e.answer("/apis/wardle.example.com/v1alpha1", resources)
	h.services.serve(t, "api", e.address)
	<-changed // who waits learns that it has returned
	h.eventually("the flunders to go", func() bool { return kept(h.emptyOne()) == "nothing" })
	if len(e.requests(shelfPath)) == 0 {
		t.Error("its objects were not deleted")
	}
}

func TestAServerThatHasNothingInNamespacesKeepsNone(t *testing.T) {
	h := newHouse(t, "")
	e := newExtension(t, false)
	e.keep(nil, "get", "list") // as of values that are measured
	h.serveWardle(e)
	h.eventually("its discovery", func() bool { v, _ := h.version("wardle.example.com", "v1alpha1"); return v.Freshness == "Current" })
	e.Close()
	h.services.forget("api")
	h.eventually("not True", func() bool { return h.condition(wardle).Status != "True" })
	if got := kept(h.emptyOne()); got != "nothing" {
		t.Errorf("kept by %s, want nothing", got)
	}
}

func TestNobodyWaitsForAnAPIServiceThatIsGone(t *testing.T) {
	h := newHouse(t, "")
	e := newExtension(t, false)
	e.keep(map[string][]string{"a": nil}, "list", "deletecollection")
	asked := make(chan struct{}, 10)
	e.answer(shelfPath, func(_ http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body) // or the server does not notice that the client has left
		asked <- struct{}{}
		<-r.Context().Done() // it hangs
	})
	h.serveWardle(e)
	answer := make(chan delegation.Remaining)
	go func() { answer <- h.server.NamespacedContent()[0].Empty(context.WithoutCancel(t.Context()), "demo") }()
	<-asked

	changed := make(chan struct{}, 100)
	h.server.OnNamespacedContentChange(func() { changed <- struct{}{} })
	h.delete(wardle)
	<-changed
	// It may have moved elsewhere with all that it has, so this pass frees no namespace; the next does.
	if r := <-answer; len(r.Failed) == 0 {
		t.Errorf("kept by %s, want a failure", kept(r))
	}
	h.eventually("no content", func() bool { return len(h.server.NamespacedContent()) == 0 })
}

func TestEachResourceIsEmptiedInOneVersion(t *testing.T) {
	h := newHouse(t, "")
	e := newExtension(t, false)
	version := func(v string) string {
		return `{"version":"` + v + `","freshness":"Current","resources":[{"resource":"flunders","responseKind":{"group":"wardle.example.com","version":"` + v +
			`","kind":"Flunder"},"scope":"Namespaced","singularResource":"flunder","verbs":["list","deletecollection"]}]}`
	}
	e.answerJSON("/apis", contentTypeAggregated, `{"kind":"APIGroupDiscoveryList","apiVersion":"apidiscovery.k8s.io/v2","metadata":{},"items":[`+
		`{"metadata":{"name":"wardle.example.com"},"versions":[`+version("v1alpha1")+`,`+version("v1")+`]}]}`)
	e.answerJSON("/apis/wardle.example.com/v1alpha1", "application/json", `{}`)
	e.answerJSON("/apis/wardle.example.com/v1", "application/json", `{}`)
	const ofV1 = "/apis/wardle.example.com/v1/namespaces/demo/flunders"
	e.answerJSON(ofV1, "application/json", `{"kind":"FlunderList","metadata":{},"items":[]}`)
	h.serveWardle(e)
	h.create(remoteAPIService("wardle.example.com", "v1", "api"))
	h.eventually("True", func() bool { return h.condition("v1.wardle.example.com").Status == "True" })

	if got := kept(h.emptyOne()); got != "nothing" {
		t.Errorf("kept by %s, want nothing", got)
	}
	if old, recent := len(e.requests(shelfPath)), len(e.requests(ofV1)); old != 0 || recent != 2 {
		t.Errorf("%d requests in v1alpha1 and %d in v1, want none and two", old, recent)
	}
}

func TestARefusalIsToldAndABare404Too(t *testing.T) {
	const status = `{"kind":"Status","apiVersion":"v1","status":"Failure","message":%q,"reason":%q,"code":%d}`
	for name, c := range map[string]struct {
		code int
		body string
		kept string
	}{
		"a refusal is told in the server's words": {
			http.StatusForbidden, fmt.Sprintf(status, "not you", "Forbidden", 403),
			"map[] map[] map[] [emptying flunders.wardle.example.com in namespace demo: deleting: not you]",
		},
		"a 404 of the API server means that there is nothing": {
			http.StatusNotFound, fmt.Sprintf(status, "no such namespace", "NotFound", 404), "nothing",
		},
		"a bare 404 means nothing": {
			http.StatusNotFound, "404 page not found",
			"map[] map[] map[] [emptying flunders.wardle.example.com in namespace demo: deleting: status 404]",
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t, "")
			e := newExtension(t, false)
			e.keep(nil, "list", "deletecollection")
			e.answer(shelfPath, func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(c.code)
				io.WriteString(w, c.body)
			})
			h.serveWardle(e)
			if got := kept(h.emptyOne()); got != c.kept {
				t.Errorf("kept by %s, want %s", got, c.kept)
			}
		})
	}
}
