package extensions_test

import (
	"fmt"
	"strings"
	"testing"
)

func TestADeprecatedVersionNamesTheBestOneToUseInstead(t *testing.T) {
	r := newRig(t, t.TempDir())
	versions := ""
	for _, v := range []string{
		"v1alpha1, served: true, storage: false, deprecated: true", "v1beta1, served: true, storage: true", "v1beta2, served: true, storage: false",
		"v1, served: true, storage: false, deprecated: true", "v2, served: false, storage: false",
	} {
		versions += fmt.Sprintf("  - {name: %s, schema: {openAPIV3Schema: {type: object}}}\n", v)
	}
	r.define(widgets(versions))
	for version, want := range map[string]string{
		"v1alpha1": "example.com/v1alpha1 Widget is deprecated; use example.com/v1beta2 Widget",
		"v1":       "example.com/v1 Widget is deprecated",
		"v1beta1":  "",
	} {
		a := r.get("/apis/example.com/" + version + "/widgets")
		if got := strings.Join(a.warnings, " "); a.code != 200 || want == "" && got != "" || want != "" && got != `299 - "`+want+`"` {
			t.Errorf("%s: %d %q, want %q", version, a.code, got, want)
		}
	}
}
