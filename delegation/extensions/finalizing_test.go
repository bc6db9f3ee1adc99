package extensions_test

import (
	"net/http"
	"testing"
	"time"
)

// What looks whether the objects are gone must not be woken by what it writes itself.
func TestADefinitionThatWaitsForItsObjectsIsNotWrittenOverAndOver(t *testing.T) {
	r := newRig(t, t.TempDir())
	name := r.define(widgets(simpleVersion))
	if a := r.do(http.MethodPost, ones, `{apiVersion: example.com/v1, kind: Widget, metadata: {name: one, finalizers: [example.com/hold]}}`); a.code != 201 {
		t.Fatalf("got %d %s", a.code, a.body)
	}
	if a := r.do(http.MethodDelete, crds+"/"+name, nil); a.code != 200 {
		t.Fatalf("got %d %s", a.code, a.body)
	}
	r.until("it waits", func() bool {
		_, reason := r.conditionOf(name, "Terminating")
		return reason == "InstanceDeletionCheck"
	})
	time.Sleep(100 * time.Millisecond) // it may have been looked at once more
	before := r.get(crds+"/"+name).at("metadata", "resourceVersion")
	time.Sleep(1500 * time.Millisecond) // in which it is looked at again
	if after := r.get(crds+"/"+name).at("metadata", "resourceVersion"); after != before {
		t.Errorf("it was at version %v, and is at %v", before, after)
	}
	if a := r.do(http.MethodPatch, ones+"/one", `{metadata: {finalizers: null}}`); a.code != 200 {
		t.Fatalf("got %d %s", a.code, a.body)
	}
	r.until("the definition is gone", func() bool { return r.get(crds+"/"+name).code == 404 })
}
