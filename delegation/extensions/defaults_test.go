package extensions_test

import (
	"net/http"
	"reflect"
	"strings"
	"testing"
)

// Defaults are filled in for what a client sends in its version, and for what is read in the stored one. A version that an object is only shown in
// adds nothing: what its author left out there may be left out on purpose.
func TestDefaultsOfAVersionAreNotFilledInForWhatIsStoredInAnother(t *testing.T) {
	r := newRig(t, t.TempDir())
	name := r.define(widgets(twoVersions))
	a := r.do(http.MethodPost, twos, strings.Replace(widget("sent", `{color: red}`), "/v1", "/v2", 1))
	if a.code != 201 || a.at("spec", "two") != nil { // which v1 does not know
		t.Errorf("created: %d %s", a.code, a.body)
	}
	if a := r.get(ones + "/sent"); a.at("spec", "one") != "full" {
		t.Errorf("as it is stored: %s", a.body)
	}
	for _, path := range []string{twos + "/sent", ones + "/sent"} {
		if a := r.get(path); a.code != 200 || a.at("spec", "two") != nil {
			t.Errorf("%s: %d %s", path, a.code, a.body)
		}
	}

	// The other version is stored from now on, which this object is not yet.
	r.redefine(name, strings.NewReplacer("storage: true", "storage: false", "storage: false", "storage: true").Replace("spec:\n  versions:"+twoVersions))
	r.until("it is served", func() bool { return r.get(twos+"/sent").code == 200 })
	if a := r.get(twos + "/sent"); a.at("spec", "two") != nil {
		t.Errorf("as it was stored before: %s", a.body)
	}
	if a := r.do(http.MethodPatch, twos+"/sent", `{metadata: {labels: {a: b}}}`); a.code != 200 || a.at("spec", "two") != "full" {
		t.Errorf("changed: %d %s", a.code, a.body)
	}
}

// Each of two versions has a default that the other knows, too.
func TestAWriteShowsTheDefaultsOfTheStoredVersionToo(t *testing.T) {
	r := newRig(t, t.TempDir())
	versions := ""
	for _, v := range []string{"v1, served: true, storage: true@one: {type: string, default: full}, two: {type: string}", "v2, served: true, storage: false@one: {type: string}, two: {type: string, default: full}"} {
		head, properties, _ := strings.Cut(v, "@")
		versions += "  - {name: " + head + ", schema: {openAPIV3Schema: {type: object, properties: {spec: {type: object, properties: {" + properties + "}}}}}}\n"
	}
	r.define(widgets(versions))
	a := r.do(http.MethodPost, twos, strings.Replace(widget("sent", `{}`), "/v1", "/v2", 1))
	if a.code != 201 || a.at("spec", "one") != "full" || a.at("spec", "two") != "full" || a.at("metadata", "resourceVersion") == nil {
		t.Errorf("created: %d %s", a.code, a.body)
	}
	if b := r.get(twos + "/sent"); !reflect.DeepEqual(b.object, a.object) {
		t.Errorf("created %s, read %s", a.body, b.body)
	}
}

// A field of another version must not come to light when the stored version knows one of its name one day.
func TestWhatTheStoredVersionDoesNotKnowIsNotStored(t *testing.T) {
	r := newRig(t, t.TempDir())
	name := r.define(widgets(twoVersions))
	if a := r.do(http.MethodPost, twos, strings.Replace(widget("sent", `{two: secret}`), "/v1", "/v2", 1)); a.code != 201 {
		t.Fatalf("created: %d %s", a.code, a.body)
	}
	r.redefine(name, "spec:\n  versions:"+strings.Replace(twoVersions, "one: {type: string, default: full}", "one: {type: string}, two: {type: string}", 1))
	r.until("the stored version knows the field", func() bool {
		return r.do(http.MethodPost, ones+"?dryRun=All", widget("probe", `{two: x}`)).at("spec", "two") == "x"
	})
	if a := r.get(ones + "/sent"); a.code != 200 || a.at("spec", "two") != nil {
		t.Errorf("got %d %s", a.code, a.body)
	}
}
