package conformance

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// configMap is a small object in JSON; labels are "key":"value" pairs.
func configMap(name, value, labels string) string {
	return fmt.Sprintf(`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":%q,"labels":{%s}},"data":{"value":%q}}`, name, labels, value)
}

// put creates or replaces a config map and returns its resourceVersion.
func (s *server) put(t *testing.T, namespace, name, value, labels string) string {
	t.Helper()
	maps := collection(namespace, "configmaps")
	r := s.do(t, exchange{method: "POST", path: maps, body: configMap(name, value, labels)})
	if r.code == http.StatusConflict {
		r = s.must(t, 200, exchange{method: "PUT", path: maps + "/" + name, body: configMap(name, value, labels)})
	} else if r.code != http.StatusCreated {
		t.Fatalf("creating %s: %d %s", name, r.code, cut(r.body))
	}
	return r.object(t).GetResourceVersion()
}

func (s *server) remove(t *testing.T, namespace, name string) {
	t.Helper()
	s.must(t, 200, exchange{method: "DELETE", path: collection(namespace, "configmaps") + "/" + name})
}

// history is a collection that has changed: each step is a revision of it.
type history struct {
	maps                     string // its path
	one, two, changed, three string // resourceVersions: one made, two made, one changed, three made
}

// makeHistory makes it. Only labelled objects count: each list selects them by history=yes.
func (s *server) makeHistory(t *testing.T, namespace string) history {
	t.Helper()
	const label = `"history":"yes"`
	h := history{maps: collection(namespace, "configmaps")}
	h.one = s.put(t, namespace, "one", "first", label)
	h.two = s.put(t, namespace, "two", "first", label)
	h.changed = s.put(t, namespace, "one", "second", label)
	h.three = s.put(t, namespace, "three", "first", label)
	return h
}

func after(version string, by int64) string {
	n, _ := strconv.ParseInt(version, 10, 64)
	return strconv.FormatInt(n+by, 10)
}

const farFuture = 1 << 40

func TestAGetIsAsFreshAsItsResourceVersionAsks(t *testing.T) {
	onEachEngine(t, func(t *testing.T, s *server, namespace string) {
		h := s.makeHistory(t, namespace)
		for name, version := range map[string]string{
			"unset: the newest": "", "zero: any": "0", "an old one: not older": h.one, "the newest one: not older": h.three,
		} {
			t.Run(name, func(t *testing.T) {
				got := s.must(t, 200, exchange{path: h.maps + "/one?resourceVersion=" + version}).object(t)
				if got.GetResourceVersion() != h.changed {
					t.Errorf("got resourceVersion %s, want %s", got.GetResourceVersion(), h.changed)
				}
			})
		}
		t.Run("one to come: 504 after a while", func(t *testing.T) {
			t.Parallel()
			s.expectTooLarge(t, h.maps+"/one?resourceVersion="+after(h.three, farFuture))
		})
		t.Run("no number: 400", func(t *testing.T) {
			s.expectFailure(t, exchange{path: h.maps + "/one?resourceVersion=old"}, failure{400, metav1.StatusReasonBadRequest, "resource version"})
		})
	})
}

// expectTooLarge expects the answer to a resourceVersion that the server has not reached.
func (s *server) expectTooLarge(t *testing.T, path string) {
	t.Helper()
	r := s.do(t, exchange{path: path})
	got := r.status(t)
	if r.code != 504 || got.Reason != metav1.StatusReasonTimeout || !strings.Contains(got.Message, "Too large resource version") {
		t.Errorf("GET %s: got %d %s", path, r.code, cut(r.body))
	}
	if got.Details == nil || len(got.Details.Causes) == 0 || got.Details.Causes[0].Type != metav1.CauseTypeResourceVersionTooLarge {
		t.Errorf("the Status names no cause ResourceVersionTooLarge: %s", cut(r.body))
	}
	if r.header.Get("Retry-After") != "1" {
		t.Errorf("Retry-After: got %q, want 1", r.header.Get("Retry-After"))
	}
}

func TestAListIsTheStateThatItsResourceVersionNames(t *testing.T) {
	onEachEngine(t, func(t *testing.T, s *server, namespace string) {
		h := s.makeHistory(t, namespace)
		newest := []string{"one", "three", "two"}
		for _, c := range []struct {
			name, query string
			want        []string
			version     string // of the list; empty: any that is not older than the collection
			value       string // of the object "one"; empty: not looked at
		}{
			{"nothing: the newest", "", newest, "", "second"},
			{"nothing, limit", "&limit=2", newest[:2], "", "second"},
			{"zero: any", "&resourceVersion=0", newest, "", "second"},
			{"zero, limit: all, from the cache", "&resourceVersion=0&limit=1", newest, "", "second"},
			{"zero, not older", "&resourceVersion=0&resourceVersionMatch=NotOlderThan", newest, "", "second"},
			{"a number: not older", "&resourceVersion=" + h.one, newest, "", "second"},
			{"a number, not older", "&resourceVersion=" + h.one + "&resourceVersionMatch=NotOlderThan", newest, "", "second"},
			{"a number, not older, limit", "&resourceVersion=" + h.one + "&resourceVersionMatch=NotOlderThan&limit=1", newest[:1], "", "second"},
			{"a number, limit: exactly it", "&resourceVersion=" + h.two + "&limit=5", []string{"one", "two"}, h.two, "first"},
			{"a number, exactly", "&resourceVersion=" + h.two + "&resourceVersionMatch=Exact", []string{"one", "two"}, h.two, "first"},
			{"a number, exactly, after a change", "&resourceVersion=" + h.changed + "&resourceVersionMatch=Exact", []string{"one", "two"}, h.changed, "second"},
			{"a number, exactly, limit", "&resourceVersion=" + h.two + "&resourceVersionMatch=Exact&limit=1", []string{"one"}, h.two, "first"},
			{"the first number, exactly", "&resourceVersion=" + h.one + "&resourceVersionMatch=Exact", []string{"one"}, h.one, "first"},
		} {
			t.Run(c.name, func(t *testing.T) {
				r := s.must(t, 200, exchange{path: h.maps + "?labelSelector=history%3Dyes" + c.query})
				if got := r.names(t); !slices.Equal(got, c.want) {
					t.Errorf("got %v, want %v", got, c.want)
				}
				version := r.listMeta(t).ResourceVersion
				if c.version != "" && version != c.version {
					t.Errorf("got the list's resourceVersion %s, want %s", version, c.version)
				}
				if c.version == "" && less(version, h.three) {
					t.Errorf("the list is of %s, older than the newest object, %s", version, h.three)
				}
				if !strings.Contains(string(r.body), `"value":"`+c.value+`"`) {
					t.Errorf("the object is not in its state %q: %s", c.value, cut(r.body))
				}
			})
		}
		for _, c := range []struct {
			name, query string
			want        failure
		}{
			{"a match without a number", "resourceVersionMatch=Exact", failure{422, metav1.StatusReasonInvalid, "resourceVersionMatch is forbidden unless resourceVersion is provided"}},
			{"not older without a number", "resourceVersionMatch=NotOlderThan", failure{422, metav1.StatusReasonInvalid, "resourceVersionMatch is forbidden unless resourceVersion is provided"}},
			{"exactly zero", "resourceVersion=0&resourceVersionMatch=Exact", failure{422, metav1.StatusReasonInvalid, "resourceVersionMatch"}},
			{"an unknown match", "resourceVersion=1&resourceVersionMatch=Nearly", failure{422, metav1.StatusReasonInvalid, "supported values"}},
			{"initial events", "sendInitialEvents=true", failure{422, metav1.StatusReasonInvalid, "sendInitialEvents is forbidden for list"}},
			{"no number", "resourceVersion=old", failure{400, metav1.StatusReasonBadRequest, "resource version"}},
			{"a label selector that is none", "labelSelector=a%3D%3D%3Db", failure{400, metav1.StatusReasonBadRequest, ""}},
			{"a field that is not selectable", "fieldSelector=data.value%3Dx", failure{400, metav1.StatusReasonBadRequest, "field label not supported: data.value"}},
			{"a limit that is none", "limit=many", failure{400, metav1.StatusReasonBadRequest, "limit"}},
		} {
			t.Run("refused: "+c.name, func(t *testing.T) { s.expectFailure(t, exchange{path: h.maps + "?" + c.query}, c.want) })
		}
		for name, query := range map[string]string{
			"not older": "", "exactly": "&resourceVersionMatch=Exact", "limit": "&limit=1",
		} {
			t.Run("one to come, "+name, func(t *testing.T) {
				t.Parallel()
				s.expectTooLarge(t, h.maps+"?resourceVersion="+after(h.three, farFuture)+query)
			})
		}
	})
}

func less(a, b string) bool {
	x, _ := strconv.ParseInt(a, 10, 64)
	y, _ := strconv.ParseInt(b, 10, 64)
	return x < y
}

func TestAListSelects(t *testing.T) {
	onEachEngine(t, func(t *testing.T, s *server, namespace string) {
		maps := collection(namespace, "configmaps")
		s.put(t, namespace, "red", "", `"colour":"red","kind":"warm"`)
		s.put(t, namespace, "orange", "", `"colour":"orange","kind":"warm"`)
		s.put(t, namespace, "blue", "", `"colour":"blue"`)
		for selector, want := range map[string][]string{
			"labelSelector=colour%3Dred":                                               {"red"},
			"labelSelector=kind%3Dwarm":                                                {"orange", "red"},
			"labelSelector=colour%20in%20(red,blue)":                                   {"blue", "red"},
			"labelSelector=colour,colour!%3Dred":                                       {"blue", "orange"},
			"labelSelector=colour,!kind":                                               {"blue"},
			"labelSelector=colour%3Dgreen":                                             {},
			"fieldSelector=metadata.name%3Dblue":                                       {"blue"},
			"fieldSelector=metadata.name%3Dgreen":                                      {},
			"fieldSelector=metadata.namespace%3D" + namespace + ",metadata.name%3Dred": {"red"},
			"fieldSelector=metadata.name!%3Dred&labelSelector=kind%3Dwarm":             {"orange"},
			"fieldSelector=metadata.namespace%3Delsewhere":                             {},
		} {
			t.Run(selector, func(t *testing.T) {
				r := s.must(t, 200, exchange{path: maps + "?" + selector})
				if got := r.names(t); !slices.Equal(got, want) {
					t.Errorf("got %v, want %v", got, want)
				}
				if !strings.Contains(string(r.body), `"items":[`) {
					t.Errorf("items is no array: %s", cut(r.body))
				}
			})
		}
	})
}

func TestAHeadIsAGetWithoutItsBody(t *testing.T) {
	onEachEngine(t, func(t *testing.T, s *server, namespace string) {
		maps := collection(namespace, "configmaps")
		s.put(t, namespace, "one", "first", "")
		got := s.must(t, 200, exchange{path: maps + "/one"})
		head := s.must(t, 200, exchange{method: "HEAD", path: maps + "/one"})
		if len(head.body) != 0 || head.header.Get("Content-Type") != "application/json" || head.header.Get("Content-Length") != strconv.Itoa(len(got.body)) {
			t.Errorf("HEAD: got %v and %d bytes of body, want the header of the GET, %v", head.header, len(head.body), got.header)
		}
		s.must(t, 404, exchange{method: "HEAD", path: maps + "/none"})
	})
}
