package conformance

import (
	"slices"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
)

func TestADeleteSaysWhatIsNoMore(t *testing.T) {
	onEachEngine(t, func(t *testing.T, s *server, namespace string) {
		maps := collection(namespace, "configmaps")
		made := s.must(t, 201, exchange{method: "POST", path: maps, body: configMap("one", "first", "")}).object(t)
		got := s.must(t, 200, exchange{method: "DELETE", path: maps + "/one"}).status(t)
		if got.Status != metav1.StatusSuccess || got.Details == nil || got.Details.Name != "one" || got.Details.Kind != "configmaps" || got.Details.Group != "" || got.Details.UID != made.GetUID() {
			t.Errorf("got %+v", got)
		}
		s.expectFailure(t, exchange{method: "DELETE", path: maps + "/one"}, failure{404, metav1.StatusReasonNotFound, `configmaps "one" not found`})
		s.expectFailure(t, exchange{path: maps + "/one"}, failure{404, metav1.StatusReasonNotFound, `configmaps "one" not found`})
		s.put(t, namespace, "one", "again", "") // the name is free
	})
}

func TestADeleteIsHeldToItsPreconditions(t *testing.T) {
	onEachEngine(t, func(t *testing.T, s *server, namespace string) {
		maps := collection(namespace, "configmaps")
		made := s.must(t, 201, exchange{method: "POST", path: maps, body: configMap("one", "first", "")}).object(t)
		remove := func(preconditions string) exchange {
			return exchange{method: "DELETE", path: maps + "/one", body: `{"preconditions":` + preconditions + `}`}
		}
		conflict := metav1.StatusReasonConflict
		s.expectFailure(t, remove(`{"uid":"other"}`), failure{409, conflict, "Precondition failed: UID in precondition: other, UID in object meta: " + string(made.GetUID())})
		s.expectFailure(t, remove(`{"resourceVersion":"1"}`), failure{409, conflict, "Precondition failed: ResourceVersion in precondition: 1, ResourceVersion in object meta: " + made.GetResourceVersion()})
		s.must(t, 200, remove(`{"uid":"`+string(made.GetUID())+`","resourceVersion":"`+made.GetResourceVersion()+`"}`))
	})
}

func TestFinalizersKeepAnObjectUntilTheLastIsGone(t *testing.T) {
	onEachEngine(t, func(t *testing.T, s *server, namespace string) {
		maps := collection(namespace, "configmaps")
		made := s.must(t, 201, exchange{method: "POST", path: maps, body: `{"metadata":{"name":"held","labels":{"history":"yes"},"finalizers":["example.com/a","example.com/b"]}}`}).object(t)
		w := s.watch(t, maps+historySelector+"&resourceVersion="+made.GetResourceVersion())
		held := maps + "/held"

		marked := s.must(t, 200, exchange{method: "DELETE", path: held}).object(t)
		if marked.GetKind() != "ConfigMap" || marked.GetDeletionTimestamp() == nil || marked.GetDeletionGracePeriodSeconds() == nil || *marked.GetDeletionGracePeriodSeconds() != 0 || len(marked.GetFinalizers()) != 2 {
			t.Fatalf("the answer: got %v", marked.Object)
		}
		again := s.must(t, 200, exchange{method: "DELETE", path: held}).object(t)
		if again.GetResourceVersion() != marked.GetResourceVersion() {
			t.Errorf("a second delete changed the object: %v", again.Object)
		}
		s.expectFailure(t, exchange{method: "POST", path: maps, body: configMap("held", "", "")}, failure{409, metav1.StatusReasonAlreadyExists, `object is being deleted: configmaps "held" already exists`})
		s.expectFailure(t, patch(held, mergePatch, `{"metadata":{"finalizers":["example.com/a","example.com/b","example.com/c"]}}`), failure{422, metav1.StatusReasonInvalid, "no new finalizers can be added if the object is being deleted"})
		s.must(t, 200, patch(held, mergePatch, `{"data":{"still":"writable"}}`))
		s.must(t, 200, patch(held, mergePatch, `{"metadata":{"deletionTimestamp":null,"finalizers":["example.com/b"]}}`))
		if still := s.must(t, 200, exchange{path: held}).object(t); still.GetDeletionTimestamp() == nil || !slices.Equal(still.GetFinalizers(), []string{"example.com/b"}) {
			t.Errorf("a deletion cannot be taken back: got %v", still.Object)
		}
		last := s.must(t, 200, patch(held, jsonPatch, `[{"op":"remove","path":"/metadata/finalizers"}]`)).object(t)
		if last.GetName() != "held" || len(last.GetFinalizers()) != 0 {
			t.Errorf("the answer to the last removal: got %v", last.Object)
		}
		s.must(t, 404, exchange{path: held})
		w.expect(t, "MODIFIED held", "MODIFIED held", "MODIFIED held", "DELETED held")
	})
}

func TestADeleteTellsWhatHappensToDependents(t *testing.T) {
	onEachEngine(t, func(t *testing.T, s *server, namespace string) {
		maps := collection(namespace, "configmaps")
		const hold = "example.com/hold"
		for _, c := range []struct {
			name, query, body string
			code              int
			finalizers        []string
		}{
			{"nothing said", "", "", 200, []string{hold}},
			{"background", "?propagationPolicy=Background", "", 200, []string{hold}},
			{"foreground", "?propagationPolicy=Foreground", "", 200, []string{hold, "foregroundDeletion"}},
			{"orphan", "?propagationPolicy=Orphan", "", 200, []string{hold, "orphan"}},
			{"in the body", "", `{"propagationPolicy":"Foreground"}`, 200, []string{hold, "foregroundDeletion"}},
			{"the body wins", "?propagationPolicy=Orphan", `{"propagationPolicy":"Foreground"}`, 200, []string{hold, "foregroundDeletion"}},
			{"orphan, the old way", "?orphanDependents=true", "", 200, []string{hold, "orphan"}},
			{"no orphans, the old way", "?orphanDependents=false", "", 202, []string{hold}},
			{"a grace period", "?gracePeriodSeconds=30", "", 200, []string{hold}},
		} {
			t.Run(c.name, func(t *testing.T) {
				name := s.must(t, 201, exchange{method: "POST", path: maps, body: `{"metadata":{"generateName":"held-","finalizers":["` + hold + `"]}}`}).object(t).GetName()
				got := s.must(t, c.code, exchange{method: "DELETE", path: maps + "/" + name + c.query, body: c.body}).object(t)
				if got.GetDeletionTimestamp() == nil || !slices.Equal(got.GetFinalizers(), c.finalizers) {
					t.Errorf("got the finalizers %v, want %v, of %v", got.GetFinalizers(), c.finalizers, got.Object)
				}
			})
		}
		s.put(t, namespace, "one", "", "")
		invalid := metav1.StatusReasonInvalid
		s.expectFailure(t, exchange{method: "DELETE", path: maps + "/one?propagationPolicy=Foreground&orphanDependents=true"}, failure{422, invalid, "orphanDependents and deletionPropagation cannot be both set"})
		s.expectFailure(t, exchange{method: "DELETE", path: maps + "/one?propagationPolicy=Sideways"}, failure{422, invalid, "propagationPolicy"})
		s.expectFailure(t, exchange{method: "DELETE", path: maps + "/one?dryRun=Some"}, failure{422, invalid, "dryRun"})
		s.expectFailure(t, exchange{method: "DELETE", path: maps + "/one?gracePeriodSeconds=soon"}, failure{400, metav1.StatusReasonBadRequest, "gracePeriodSeconds"})
		s.expectFailure(t, exchange{method: "DELETE", path: maps + "/one", body: `{"kind":"Secret","apiVersion":"v1"}`}, failure{400, metav1.StatusReasonBadRequest, ""})
		s.must(t, 200, exchange{method: "DELETE", path: maps + "/one?orphanDependents=false"})
	})
}

func TestDeleteOptionsAreReadInEachForm(t *testing.T) {
	onEachEngine(t, func(t *testing.T, s *server, namespace string) {
		maps := collection(namespace, "configmaps")
		options := &metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: ptr.To(types.UID("other"))}}
		raw, err := options.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		envelope := runtime.Unknown{TypeMeta: runtime.TypeMeta{APIVersion: "v1", Kind: "DeleteOptions"}, Raw: raw}
		protobuf, err := envelope.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		s.put(t, namespace, "one", "", "")
		for name, c := range map[string]struct{ contentType, body string }{
			"JSON":                   {mediaJSON, `{"preconditions":{"uid":"other"}}`},
			"JSON of v1":             {mediaJSON, `{"kind":"DeleteOptions","apiVersion":"v1","preconditions":{"uid":"other"}}`},
			"JSON of meta.k8s.io/v1": {mediaJSON, `{"kind":"DeleteOptions","apiVersion":"meta.k8s.io/v1","preconditions":{"uid":"other"}}`},
			"YAML":                   {mediaYAML, "preconditions:\n  uid: other\n"},
			"protobuf":               {mediaProtobuf, "k8s\x00" + string(protobuf)},
		} {
			t.Run(name, func(t *testing.T) {
				s.expectFailure(t, exchange{method: "DELETE", path: maps + "/one", body: c.body, header: map[string]string{"Content-Type": c.contentType}}, failure{409, metav1.StatusReasonConflict, "Precondition failed"})
			})
		}
		s.must(t, 200, exchange{path: maps + "/one"})
	})
}

func TestACollectionIsDeletedAsFarAsItIsSelected(t *testing.T) {
	onEachEngine(t, func(t *testing.T, s *server, namespace string) {
		maps := collection(namespace, "configmaps")
		for _, name := range []string{"red-1", "red-2", "red-3"} {
			s.put(t, namespace, name, "", `"colour":"red"`)
		}
		s.put(t, namespace, "blue", "", `"colour":"blue"`)
		s.must(t, 201, exchange{method: "POST", path: maps, body: `{"metadata":{"name":"held","labels":{"colour":"red"},"finalizers":["example.com/hold"]}}`})
		left := func() []string { return s.must(t, 200, exchange{path: maps + "?labelSelector=colour"}).names(t) }

		named := s.must(t, 200, exchange{method: "DELETE", path: maps + "?fieldSelector=metadata.name%3Dred-1"})
		if got := named.names(t); !slices.Equal(got, []string{"red-1"}) {
			t.Errorf("by field: got %v", got)
		}
		// The limit does not split what is deleted.
		red := s.must(t, 200, exchange{method: "DELETE", path: maps + "?labelSelector=colour%3Dred&limit=1"})
		if got := red.names(t); !slices.Equal(got, []string{"held", "red-2", "red-3"}) || red.object(t).GetKind() != "ConfigMapList" {
			t.Errorf("by label: got %s", cut(red.body))
		}
		if got := left(); !slices.Equal(got, []string{"blue", "held"}) {
			t.Errorf("left: got %v", got)
		}
		if held := s.must(t, 200, exchange{path: maps + "/held"}).object(t); held.GetDeletionTimestamp() == nil {
			t.Error("what a finalizer keeps is not marked as being deleted")
		}
		s.expectFailure(t, exchange{method: "DELETE", path: maps + "?fieldSelector=data.x%3Dy"}, failure{400, metav1.StatusReasonBadRequest, "field label not supported"})
		none := s.must(t, 200, exchange{method: "DELETE", path: maps + "?labelSelector=colour%3Dgreen"})
		if got := none.names(t); len(got) != 0 {
			t.Errorf("nothing selected: got %v", got)
		}
		if got := left(); !slices.Equal(got, []string{"blue", "held"}) {
			t.Errorf("left: got %v", got)
		}
		s.must(t, 405, exchange{method: "DELETE", path: "/api/v1/configmaps"})
	})
}
