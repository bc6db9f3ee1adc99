package extensions_test

import (
	"net/http"
	"strings"
	"testing"
)

// What is said twice, or means nothing, is warned of or refused in every language that a write comes in.
func TestWhatMeansNothingInABodyIsToldOf(t *testing.T) {
	r := newRig(t, t.TempDir())
	r.define(widgets(simpleVersion))
	if a := r.do(http.MethodPost, ones, widget("one", `{}`)); a.code != 201 {
		t.Fatalf("got %d %s", a.code, a.body)
	}
	const twice = "apiVersion: example.com/v1\nkind: Widget\nmetadata: {name: two}\nspec:\n  a: 1\n  a: 2\n"
	for name, c := range map[string]struct {
		method, path, mediaType, body, want string
		code                                int // of the strict answer
	}{
		"YAML":        {"POST", ones, "application/yaml", twice, `line 6: key \"a\" already set in map`, 400},
		"apply":       {"PATCH", ones + "/two?fieldManager=m", "application/apply-patch+yaml", twice, `line 6: key \"a\" already set in map`, 400},
		"merge patch": {"PATCH", ones + "/one", "application/merge-patch+json", `{"spec": {"a": 1}, "spec": {"a": 2}}`, `duplicate field \"spec\"`, 422},
		"JSON patch":  {"PATCH", ones + "/one", "application/json-patch+json", `[{"op": "add", "path": "/spec/a", "value": 1, "extra": 2}]`, `json patch unknown field \"[0].extra\"`, 422},
	} {
		do := func(validation string) *answer {
			path := c.path + "?"
			if strings.Contains(c.path, "?") {
				path = c.path + "&"
			}
			return r.do(c.method, path+"dryRun=All&fieldValidation="+validation, []byte(c.body), "Content-Type", c.mediaType)
		}
		if a := do("Strict"); a.code != c.code || !strings.Contains(string(a.body), c.want) {
			t.Errorf("%s, strict: %d %s", name, a.code, a.body)
		}
		if a := do("Warn"); a.code > 299 || strings.Join(a.warnings, ",") != `299 - "`+c.want+`"` {
			t.Errorf("%s, warning: %d %s %q", name, a.code, a.body, a.warnings)
		}
		if a := do("Ignore"); a.code > 299 || len(a.warnings) > 0 {
			t.Errorf("%s, ignoring: %d %s %q", name, a.code, a.body, a.warnings)
		}
	}
	refused(t, r.do(http.MethodPost, ones, `{apiVersion: example.com/v1, kind: Widget, metadata: {name: two, labels: {a: 1}}}`), 400,
		`Widget in version \"v1\" cannot be handled as a Widget: json: cannot unmarshal number`)
	refused(t, r.do(http.MethodPatch, ones+"/one", `{kind: Gadget}`), 422, `"field":"kind"`)
}

// A write that its author may have meant to be dry is refused rather than made.
func TestADryRunThatSaysNothingIsRefused(t *testing.T) {
	r := newRig(t, t.TempDir())
	r.define(widgets(simpleVersion))
	if a := r.do(http.MethodPost, ones, widget("one", `{}`)); a.code != 201 {
		t.Fatalf("got %d %s", a.code, a.body)
	}
	refused(t, r.do(http.MethodPost, ones+"?dryRun=", widget("two", `{}`)), 422, `"field":"dryRun"`)
	refused(t, r.do(http.MethodPatch, ones+"/one?dryRun=", `{}`), 422, `"field":"dryRun"`)
	refused(t, r.do(http.MethodDelete, ones+"/one?dryRun=", nil), 422, `"field":"dryRun"`)
	refused(t, r.do(http.MethodDelete, ones+"?dryRun=", nil), 422, `"field":"dryRun"`)
	if a := r.get(ones + "/one"); a.code != 200 {
		t.Errorf("got %d %s", a.code, a.body)
	}
}
