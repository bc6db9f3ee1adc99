package conformance

import (
	"slices"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const historySelector = "?watch=true&labelSelector=history%3Dyes"

func TestAWatchBeginsWhereItsResourceVersionSays(t *testing.T) {
	onEachEngine(t, func(t *testing.T, s *server, namespace string) {
		h := s.makeHistory(t, namespace)
		all := []string{"ADDED one", "ADDED three", "ADDED two"}
		type start struct {
			name, query string
			want        []string
		}
		starts := []start{
			{"unset: what there is", "", all},
			{"zero: what there is", "&resourceVersion=0", all},
			{"a number: what came after it", "&resourceVersion=" + h.one, []string{"ADDED two", "MODIFIED one", "ADDED three"}},
			{"a later number", "&resourceVersion=" + h.changed, []string{"ADDED three"}},
			{"the newest number", "&resourceVersion=" + h.three, nil},
			{"initial events", "&sendInitialEvents=true&resourceVersionMatch=NotOlderThan", all},
			{"initial events, zero", "&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&resourceVersion=0", all},
			{"initial events, a number", "&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&resourceVersion=" + h.one, all},
			{"initial events and their end", "&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true", append(slices.Clone(all), "BOOKMARK")},
			{"no initial events", "&sendInitialEvents=false&resourceVersionMatch=NotOlderThan", nil},
			{"no initial events, zero", "&sendInitialEvents=false&resourceVersionMatch=NotOlderThan&resourceVersion=0", nil},
			{"no initial events, a number", "&sendInitialEvents=false&resourceVersionMatch=NotOlderThan&resourceVersion=" + h.two, []string{"MODIFIED one", "ADDED three"}},
			{"bookmarks alone promise no end of the initial events", "&allowWatchBookmarks=true", all},
		}
		streams := make([]*stream, len(starts))
		for i, c := range starts {
			streams[i] = s.watch(t, h.maps+historySelector+c.query)
		}
		for i, c := range starts {
			t.Run(c.name, func(t *testing.T) {
				frames := streams[i].expect(t, c.want...)
				if n := len(frames); n > 0 && frames[n-1].Type == "BOOKMARK" {
					expectInitialEventsEnd(t, frames[n-1], h.three)
				}
			})
		}
		// After that each of them sees the same changes.
		s.put(t, namespace, "four", "first", `"history":"yes"`)
		s.put(t, namespace, "four", "second", `"history":"yes"`)
		s.remove(t, namespace, "four")
		for i, c := range starts {
			t.Run("and then the changes: "+c.name, func(t *testing.T) {
				streams[i].expect(t, "ADDED four", "MODIFIED four", "DELETED four")
			})
		}
	})
}

// expectInitialEventsEnd checks the bookmark that ends the initial events: of the right kind, with a
// resourceVersion to resume from and nothing else.
func expectInitialEventsEnd(t *testing.T, f frame, atLeast string) {
	t.Helper()
	o := f.Object
	if o.GetKind() != "ConfigMap" || o.GetAPIVersion() != "v1" || o.GetAnnotations()[metav1.InitialEventsAnnotationKey] != "true" || less(o.GetResourceVersion(), atLeast) {
		t.Errorf("the end of the initial events: got %v", o.Object)
	}
}

func TestAWatchThatCannotBeginIsRefused(t *testing.T) {
	onEachEngine(t, func(t *testing.T, s *server, namespace string) {
		maps := collection(namespace, "configmaps")
		version := s.put(t, namespace, "one", "first", "")
		for _, c := range []struct {
			name, query string
			want        failure
		}{
			{"initial events without a match", "sendInitialEvents=true", failure{422, metav1.StatusReasonInvalid, "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"}},
			{"no initial events without a match", "sendInitialEvents=false", failure{422, metav1.StatusReasonInvalid, "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"}},
			{"initial events with another match", "sendInitialEvents=true&resourceVersionMatch=Exact&resourceVersion=1", failure{422, metav1.StatusReasonInvalid, "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"}},
			{"a match without initial events", "resourceVersionMatch=NotOlderThan&resourceVersion=1", failure{422, metav1.StatusReasonInvalid, "resourceVersionMatch is forbidden for watch"}},
			{"no number", "resourceVersion=old", failure{400, metav1.StatusReasonBadRequest, "resource version"}},
			{"a field that is not selectable", "fieldSelector=data.value%3Dx", failure{400, metav1.StatusReasonBadRequest, "field label not supported"}},
		} {
			t.Run(c.name, func(t *testing.T) { s.expectFailure(t, exchange{path: maps + "?watch=true&" + c.query}, c.want) })
		}
		t.Run("a resourceVersion to come", func(t *testing.T) {
			t.Parallel()
			s.expectTooLarge(t, maps+"?watch=true&resourceVersion="+after(version, farFuture))
		})
		t.Run("YAML", func(t *testing.T) {
			s.expectFailure(t, exchange{path: maps + "?watch=true", header: map[string]string{"Accept": "application/yaml"}}, failure{406, metav1.StatusReasonNotAcceptable, "application/json"})
		})
	})
}

func TestAWatchSeesObjectsEnterAndLeaveItsSelector(t *testing.T) {
	onEachEngine(t, func(t *testing.T, s *server, namespace string) {
		maps := collection(namespace, "configmaps")
		red := s.watch(t, maps+"?watch=1&labelSelector=colour%3Dred")
		painted := s.watch(t, maps+"?watch=1&labelSelector=colour")
		named := s.watch(t, maps+"?watch=1&fieldSelector=metadata.name%3Dwall")

		s.put(t, namespace, "wall", "1", `"colour":"blue"`)
		s.put(t, namespace, "wall", "2", `"colour":"red"`)
		s.put(t, namespace, "wall", "3", `"colour":"red"`)
		left := s.put(t, namespace, "wall", "4", `"colour":"blue"`)
		s.put(t, namespace, "door", "1", `"colour":"blue"`)
		s.put(t, namespace, "wall", "5", "")
		s.remove(t, namespace, "wall")
		s.put(t, namespace, "end", "1", `"colour":"red"`)

		frames := red.expect(t, "ADDED wall", "MODIFIED wall", "DELETED wall", "ADDED end")
		deleted := frames[2].Object
		if deleted.GetResourceVersion() != left {
			t.Errorf("what left the selector has resourceVersion %s, want that of the change, %s", deleted.GetResourceVersion(), left)
		}
		if data, _, _ := nested(deleted.Object, "data", "value"); data != "3" || deleted.GetLabels()["colour"] != "red" {
			t.Errorf("what left the selector is shown as %v, want its last matching state", deleted.Object)
		}
		painted.expect(t, "ADDED wall", "MODIFIED wall", "MODIFIED wall", "MODIFIED wall", "ADDED door", "DELETED wall", "ADDED end")
		frames = named.expect(t, "ADDED wall", "MODIFIED wall", "MODIFIED wall", "MODIFIED wall", "MODIFIED wall", "DELETED wall")
		gone := frames[5].Object
		if data, _, _ := nested(gone.Object, "data", "value"); data != "5" || !less(frames[4].Object.GetResourceVersion(), gone.GetResourceVersion()) {
			t.Errorf("what was deleted is shown as %v, want its last state under the deletion's resourceVersion", gone.Object)
		}
	})
}

func nested(object map[string]any, path ...string) (string, bool, error) {
	for _, step := range path[:len(path)-1] {
		object, _ = object[step].(map[string]any)
	}
	value, ok := object[path[len(path)-1]].(string)
	return value, ok, nil
}

func TestTheOldWatchPathsWatch(t *testing.T) {
	onEachEngine(t, func(t *testing.T, s *server, namespace string) {
		s.put(t, namespace, "one", "1", `"history":"yes"`)
		s.put(t, namespace, "two", "1", `"history":"yes"`)
		prefix := "/api/v1/watch/namespaces/" + namespace
		s.watch(t, prefix+"/configmaps?labelSelector=history").expect(t, "ADDED one", "ADDED two")
		s.watch(t, prefix+"/configmaps/two").expect(t, "ADDED two")
		s.watch(t, "/api/v1/watch/configmaps?fieldSelector=metadata.name%3Dtwo,metadata.namespace%3D"+namespace).expect(t, "ADDED two")
		s.watch(t, "/api/v1/watch/namespaces/"+namespace).expect(t, "ADDED "+namespace)
		s.watch(t, "/api/v1/configmaps?watch&fieldSelector=metadata.name%3Done,metadata.namespace%3D"+namespace).expect(t, "ADDED one")
	})
}

func TestAWatchEndsWhenItsTimeIsOver(t *testing.T) {
	onEachEngine(t, func(t *testing.T, s *server, namespace string) {
		maps := collection(namespace, "configmaps")
		s.put(t, namespace, "one", "1", `"history":"yes"`)
		begin := time.Now()
		plain := s.watch(t, maps+historySelector+"&timeoutSeconds=1")
		plain.expect(t, "ADDED one")
		plain.expectEnd(t)
		if took := time.Since(begin); took < 900*time.Millisecond {
			t.Errorf("it ended after %v, want a second", took)
		}
		if got := plain.response.Header.Get("Content-Type"); got != "application/json" {
			t.Errorf("Content-Type: got %q", got)
		}
		// Two seconds before its end a watch with bookmarks learns where its successor may begin.
		marked := s.watch(t, maps+historySelector+"&timeoutSeconds=3&allowWatchBookmarks=true")
		f := marked.expect(t, "ADDED one", "BOOKMARK")[1]
		if f.Object.GetKind() != "ConfigMap" || less(f.Object.GetResourceVersion(), "1") || len(f.Object.GetAnnotations()) != 0 {
			t.Errorf("the last bookmark: got %v", f.Object.Object)
		}
		marked.expectEnd(t)
		// The general timeout of requests is not for watches.
		s.watch(t, maps+historySelector+"&timeout=1s&timeoutSeconds=2").expect(t, "ADDED one")
	})
}

func TestAWatchIsAcceptedBeforeAnythingHappens(t *testing.T) {
	onEachEngine(t, func(t *testing.T, s *server, namespace string) {
		w := s.watch(t, collection(namespace, "configmaps")+"?watch=true&resourceVersion="+s.put(t, namespace, "one", "1", ""))
		s.put(t, namespace, "two", "1", "") // the header came before this: s.watch has returned
		w.expect(t, "ADDED two")
	})
}
