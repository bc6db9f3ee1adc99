package extensions_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// What a rule would refuse, were it not as it has been, is let be and warned of.
func TestARuleThatIsBrokenAsBeforeIsWarnedOf(t *testing.T) {
	r := newRig(t, t.TempDir())
	version := func(rule string) string {
		return fmt.Sprintf("  - {name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object, properties: {spec: {type: object, properties: "+
			"{a: {type: string, maxLength: 9%s}}}}}}}\n", rule)
	}
	name := r.define(widgets(version("")))
	if a := r.do(http.MethodPost, ones, widget("one", `{a: long}`)); a.code != 201 {
		t.Fatalf("got %d %s", a.code, a.body)
	}
	r.redefine(name, "spec:\n  versions:\n"+version(`, x-kubernetes-validations: [{rule: "self == 'short'"}]`))
	r.until("the rule holds", func() bool { return r.do(http.MethodPost, ones, widget("two", `{a: long}`)).code == 422 })
	a := r.do(http.MethodPatch, ones+"/one", `{metadata: {labels: {a: b}}}`)
	if a.code != 200 || len(a.warnings) != 1 || !strings.Contains(a.warnings[0], `spec.a: Invalid value: \"long\": failed rule: self == 'short'`) {
		t.Errorf("got %d %s %q", a.code, a.body, a.warnings)
	}
}
