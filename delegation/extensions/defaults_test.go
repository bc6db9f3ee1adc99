package extensions_test

import (
	"net/http"
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
