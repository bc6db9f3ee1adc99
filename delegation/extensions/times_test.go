package extensions_test

import (
	"net/http"
	"testing"
)

// An object that is restored from a file has another time of creation there; that an object is deleted nobody can write.
func TestTimesThatOnlyTheServerKnows(t *testing.T) {
	r := newRig(t, t.TempDir())
	r.define(widgets(simpleVersion))
	created := r.do(http.MethodPost, ones, widget("one", `{}`)).at("metadata", "creationTimestamp")
	a := r.do(http.MethodPatch, ones+"/one", `{metadata: {creationTimestamp: "2001-02-03T04:05:06Z"}}`)
	if a.code != 200 || a.at("metadata", "creationTimestamp") != created {
		t.Errorf("another time of creation: %d %s", a.code, a.body)
	}
	refused(t, r.do(http.MethodPatch, ones+"/one", `{metadata: {deletionTimestamp: "2001-02-03T04:05:06Z"}}`), 422, `"field":"metadata.deletionTimestamp"`)
	refused(t, r.do(http.MethodPatch, ones+"/one", `{metadata: {deletionGracePeriodSeconds: 5}}`), 422, `"field":"metadata.deletionGracePeriodSeconds"`)
	r.do(http.MethodPatch, ones+"/one", `{metadata: {finalizers: [example.com/hold]}}`)
	r.do(http.MethodDelete, ones+"/one", nil)
	if a := r.do(http.MethodPatch, ones+"/one", `{metadata: {deletionGracePeriodSeconds: null, labels: {a: b}}}`); a.code != 200 || a.at("metadata", "deletionGracePeriodSeconds") != 0.0 {
		t.Errorf("no period of grace: %d %s", a.code, a.body)
	}
	refused(t, r.do(http.MethodPatch, ones+"/one", `{metadata: {deletionGracePeriodSeconds: 5}}`), 422, `"field":"metadata.deletionGracePeriodSeconds"`)
}
