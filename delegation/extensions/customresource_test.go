package extensions_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

const whole = `
  - name: v1
    served: true
    storage: true
    subresources:
      status: {}
      scale: {specReplicasPath: .spec.replicas, statusReplicasPath: .status.replicas, labelSelectorPath: .status.selector}
    selectableFields: [{jsonPath: .spec.color}]
    additionalPrinterColumns:
    - {name: Color, type: string, jsonPath: .spec.color}
    - {name: Replicas, type: integer, jsonPath: .spec.replicas}
    schema:
      openAPIV3Schema:
        type: object
        required: [spec]
        properties:
          spec:
            type: object
            required: [color]
            x-kubernetes-validations:
            - {rule: "self.replicas <= 10", message: "too many", fieldPath: .replicas}
            - {rule: "!has(oldSelf.color) || self.color == oldSelf.color", message: "color stays"}
            properties:
              color: {type: string, enum: [red, green]}
              replicas: {type: integer, default: 1, minimum: 0}
              size: {x-kubernetes-int-or-string: true}
              note: {type: string, default: none, nullable: false}
              tags: {type: array, x-kubernetes-list-type: set, items: {type: string}}
              free: {type: object, x-kubernetes-preserve-unknown-fields: true}
              inner: {type: object, x-kubernetes-embedded-resource: true, x-kubernetes-preserve-unknown-fields: true}
          status:
            type: object
            properties: {replicas: {type: integer}, selector: {type: string}, phase: {type: string, enum: [Ready]}}
`

const ones = "/apis/example.com/v1/namespaces/a/widgets"

func widget(name, spec string) string {
	return fmt.Sprintf("{apiVersion: example.com/v1, kind: Widget, metadata: {name: %s}, spec: %s}", name, spec)
}

func TestACustomResourceIsWhatItsDefinitionSays(t *testing.T) {
	r := newRig(t, t.TempDir())
	r.define(widgets(whole))

	a := r.do(http.MethodPost, ones+"?fieldValidation=Warn", widget("one", `{color: red, note: null, size: 5, unknown: 1, free: {x: 1}, inner: {apiVersion: v1, kind: Pod, metadata: {name: p, bad: 1}, more: 2}}`))
	if a.code != 201 || len(a.warnings) != 2 || !strings.Contains(strings.Join(a.warnings, ""), `unknown field \"spec.unknown\"`) {
		t.Fatalf("got %d %s %q", a.code, a.body, a.warnings)
	}
	for path, want := range map[string]any{"replicas": 1.0, "note": "none", "size": 5.0, "unknown": nil} {
		if got := a.at("spec", path); got != want {
			t.Errorf("spec.%s is %v, want %v", path, got, want)
		}
	}
	if a.at("spec", "free", "x") != 1.0 || a.at("spec", "inner", "more") != 2.0 || a.at("spec", "inner", "metadata", "bad") != nil || a.at("metadata", "generation") != 1.0 {
		t.Errorf("got %s", a.body)
	}

	for name, c := range map[string]struct {
		spec string
		code int
		want []string
	}{
		"missing":   {`{replicas: 1}`, 422, []string{`"field":"spec.color"`, "Required value"}},
		"enum":      {`{color: blue}`, 422, []string{`"field":"spec.color"`, "Unsupported value"}},
		"type":      {`{color: red, replicas: x}`, 422, []string{`"field":"spec.replicas"`, "must be of type integer", "some validation rules were not checked"}},
		"set":       {`{color: red, tags: [a, a]}`, 422, []string{`"field":"spec.tags[1]"`, "Duplicate value"}},
		"rule":      {`{color: red, replicas: 11}`, 422, []string{`"field":"spec.replicas"`, "too many"}},
		"int":       {`{color: red, size: true}`, 422, []string{`"field":"spec.size"`}},
		"embedded":  {`{color: red, inner: {metadata: {}}}`, 422, []string{"spec.inner.kind", "Required value"}},
		"Bad_Name":  {`{color: red}`, 422, []string{`"field":"metadata.name"`}},
		"not-found": {`{color: red, replicas: -1}`, 422, []string{"spec.replicas"}},
	} {
		refused(t, r.do(http.MethodPost, ones, widget(name, c.spec)), c.code, c.want...)
	}
	refused(t, r.do(http.MethodPost, ones+"?fieldValidation=Strict", widget("strict", `{color: red, unknown: 1}`)), 400,
		`Widget in version \"v1\" cannot be handled as a Widget: strict decoding error: unknown field \"spec.unknown\"`)
	refused(t, r.do(http.MethodPost, crds, widgets("    true\n")), 400, `CustomResourceDefinition in version \"v1\" cannot be handled as a CustomResourceDefinition`)
	refused(t, r.do(http.MethodPost, ones, strings.Replace(widget("kind", `{color: red}`), "Widget", "Gadget", 1)), 422, `Gadget.example.com \"kind\" is invalid: kind: Invalid value: \"Gadget\": must be Widget`)
	refused(t, r.do(http.MethodPost, ones, strings.Replace(widget("kind", `{color: red}`), "/v1", "/v2", 1)), 400, "does not match the expected API version")
	refused(t, r.do(http.MethodPost, ones, `{metadata: {name: x}}`), 400)
	refused(t, r.do(http.MethodPost, ones, widget("proto", `{}`), "Content-Type", "application/vnd.kubernetes.protobuf"), 415)
	refused(t, r.do(http.MethodPut, ones, widget("x", `{}`)), 400, "name must be provided")
	refused(t, r.do(http.MethodPut, ones+"/one", widget("one", `{color: red}`)), 422, "metadata.resourceVersion")
	refused(t, r.do(http.MethodPatch, ones+"/one", `{spec: {color: green}}`), 422, "color stays")
	if a := r.do(http.MethodPatch, ones+"/one", `{spec: {unknown: 2}}`); a.code != 200 || a.at("metadata", "generation") != 1.0 || len(a.warnings) != 1 {
		t.Errorf("a patch of nothing that is known: %d %s %q", a.code, a.body, a.warnings)
	}

	if a := r.do(http.MethodPatch, ones+"/one", `{spec: {replicas: 2}, status: {replicas: 9}}`); a.code != 200 || a.at("status") != nil || a.at("metadata", "generation") != 2.0 {
		t.Errorf("by the main path: %d %s", a.code, a.body)
	}
	if a := r.do(http.MethodPatch, ones+"/one/status", `{spec: {replicas: 3}, status: {replicas: 9, selector: "a=b"}}`); a.code != 200 || a.at("spec", "replicas") != 2.0 || a.at("metadata", "generation") != 2.0 {
		t.Errorf("by the status: %d %s", a.code, a.body)
	}
	refused(t, r.do(http.MethodPatch, ones+"/one/status", `{status: {phase: Bad}}`), 422, "status.phase")
	if a := r.get(ones + "/one/scale"); a.at("spec", "replicas") != 2.0 || a.at("status", "replicas") != 9.0 || a.at("status", "selector") != "a=b" {
		t.Errorf("scale: %s", a.body)
	}
	if a := r.do(http.MethodPatch, ones+"/one/scale", `{spec: {replicas: 5}}`); a.code != 200 || r.get(ones+"/one").at("spec", "replicas") != 5.0 {
		t.Errorf("scaling: %d %s", a.code, a.body)
	}

	if a := r.get(ones+"/one/scale", "Accept", "application/json;as=Table;v=v1;g=meta.k8s.io"); !strings.Contains(string(a.body), `"cells":["one",5,9,"`) {
		t.Errorf("the table of a scale: %s", a.body)
	}
	for _, path := range []string{"/one", "/one/status", "/one/scale"} {
		refused(t, r.do(http.MethodPatch, ones+path, `{}`, "Content-Type", "application/strategic-merge-patch+json"), 415)
	}
	if a := r.get(ones+"/one", "Accept", "application/*"); a.code != 200 || a.at("kind") != "Widget" {
		t.Errorf("in any form of a family: %d %s", a.code, a.body)
	}
	if a := r.get(ones, "Accept", "application/json;as=Table;v=v1;g=meta.k8s.io"); !strings.Contains(string(a.body), `"cells":["one","red",5]`) {
		t.Errorf("table: %s", a.body)
	}
	for selector, want := range map[string]int{"spec.color=red": 1, "spec.color=green": 0, "metadata.name=one": 1} {
		if items, _ := r.get(ones + "?fieldSelector=" + selector).at("items").([]any); len(items) != want {
			t.Errorf("%s selects %d, want %d", selector, len(items), want)
		}
	}
	refused(t, r.get(ones+"?fieldSelector=spec.size=1"), 400, "field label not supported")
	if a := r.get("/openapi/v3/apis/example.com/v1"); !strings.Contains(string(a.body), `"x-kubernetes-selectable-fields":[{"fieldPath":"spec.color"}]`) {
		t.Error("the document does not tell by what can be selected")
	}

	a = r.do(http.MethodPatch, ones+"/applied?fieldManager=m", widget("applied", `{color: green}`), "Content-Type", "application/apply-patch+yaml")
	if a.code != 201 || !strings.Contains(string(a.body), `"manager":"m"`) || a.at("spec", "replicas") != 1.0 {
		t.Errorf("applying: %d %s", a.code, a.body)
	}
	a = r.do(http.MethodPatch, ones+"/applied?fieldManager=n", widget("applied", `{color: red}`), "Content-Type", "application/apply-patch+yaml")
	refused(t, a, 409, `conflict with \"m\"`, ".spec.color")
	refused(t, r.do(http.MethodPatch, ones+"/applied?fieldManager=m", widget("applied", `{color: green, unknown: 1}`), "Content-Type", "application/apply-patch+yaml"), 400, "field not declared in schema")

	if a := r.do(http.MethodDelete, ones+"/one", nil); a.code != 200 || a.at("status") != "Success" {
		t.Errorf("deleting: %d %s", a.code, a.body)
	}
	if a := r.do(http.MethodDelete, ones, nil); a.code != 200 || len(a.at("items").([]any)) != 1 {
		t.Errorf("deleting all: %d %s", a.code, a.body)
	}
}

func TestWhatIsNotServedIsNotFound(t *testing.T) {
	r := newRig(t, t.TempDir())
	r.define(widgets(simpleVersion))
	for path, code := range map[string]int{
		"/apis/example.com/v1/widgets":                                                200,
		"/apis/example.com/v1/namespaces/a/widgets":                                   200,
		"/apis/example.com/v1/watch/widgets?watch=0":                                  0, // below
		"/apis/example.com/v1/namespaces/a/widgets/x":                                 404,
		"/apis/example.com/v1/namespaces/a/widgets/x/y":                               404,
		"/apis/example.com/v1/namespaces/a/widgets/x/y/z":                             404,
		"/apis/example.com/v2/namespaces/a/widgets":                                   404,
		"/apis/example.com/v1/namespaces/a/gadgets":                                   404,
		"/apis/other.example.com/v1/namespaces/a/widgets":                             404,
		"/apis/example.com/v1/widgets/x":                                              404, // needs a namespace
		"/apis/example.com/v1":                                                        200,
		"/apis/example.com":                                                           200,
		"/apis/example.com/v2":                                                        404,
		"/apis/apiextensions.k8s.io/v1":                                               200,
		"/apis/apiextensions.k8s.io/v1/unknown":                                       404,
		"/openapi/v3/apis/example.com/v1":                                             200,
		"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/widgets.example.com": 200,
	} {
		if code == 0 {
			continue
		}
		if a := r.get(path); a.code != code {
			t.Errorf("GET %s: %d %s, want %d", path, a.code, a.body, code)
		}
	}
	if a := r.get("/apis/example.com/v1"); !strings.Contains(string(a.body), `"shortNames":["wd"]`) || !strings.Contains(string(a.body), `"verbs":["delete","deletecollection","get","list","patch","create","update","watch"]`) {
		t.Errorf("resources: %s", a.body)
	}
	if a := r.get("/openapi/v3/apis/example.com/v1"); !strings.Contains(string(a.body), `"com.example.v1.Widget"`) || strings.Contains(string(a.body), "strategic-merge-patch") {
		t.Errorf("OpenAPI: %.300s", a.body)
	}
	refused(t, r.do(http.MethodPost, "/apis/example.com/v1/namespaces/a/widgets/x/status", nil), 404)
	refused(t, r.do("TRACE", "/apis/example.com/v1/namespaces/a/widgets", nil), 405)
}

func TestHostileDefinitionsAreRefusedWithTheFieldThatIsWrong(t *testing.T) {
	r := newRig(t, t.TempDir())
	schema := func(props string) string {
		return "\n  - {name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object, properties: {spec: " + props + "}}}}"
	}
	const prefix = "spec.validation.openAPIV3Schema.properties[spec]" // what all versions have is named so, as by kube-apiserver
	for name, c := range map[string]struct{ versions, field string }{
		"no type":          {schema(`{properties: {a: {type: string}}}`), prefix + ".type"},
		"a reference":      {schema(`{$ref: "#/a"}`), prefix + ".$ref"},
		"expression":       {schema(`{type: object, x-kubernetes-validations: [{rule: "self.nothing"}]}`), prefix + ".x-kubernetes-validations[0].rule"},
		"cost":             {schema(`{type: array, items: {type: string}, x-kubernetes-validations: [{rule: "self.all(a, self.all(b, self.all(c, a + b == c)))"}]}`), prefix + ".x-kubernetes-validations[0].rule"},
		"pattern":          {schema(`{type: string, pattern: "("}`), prefix + ".pattern"},
		"default":          {schema(`{type: string, default: 5}`), prefix + ".default"},
		"list map keys":    {schema(`{type: array, x-kubernetes-list-type: map, items: {type: object, properties: {a: {type: string}}}}`), prefix + ".x-kubernetes-list-map-keys"},
		"no storage":       {"\n  - {name: v1, served: true, storage: false, schema: {openAPIV3Schema: {type: object}}}", "spec.versions"},
		"two storages":     {schema(`{type: string}`) + strings.Replace(schema(`{type: integer}`), "name: v1", "name: v2", 1), "spec.versions: Invalid value: must have exactly one version marked as storage version"},
		"no schema":        {"\n  - {name: v1, served: true, storage: true}", "spec.versions[0].schema.openAPIV3Schema"},
		"twice":            {"\n  - {name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object}}}\n  - {name: v1, served: true, storage: false, schema: {openAPIV3Schema: {type: object}}}", "spec.versions"},
		"printer column":   {"\n  - {name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object}}, additionalPrinterColumns: [{name: A, type: string, jsonPath: 'spec'}]}", "spec.additionalPrinterColumns[0].JSONPath"},
		"selectable field": {"\n  - {name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object}}, selectableFields: [{jsonPath: .spec.a}]}", "selectableFields[0].jsonPath"},
	} {
		a := r.do(http.MethodPost, crds, widgets(c.versions))
		if a.code != 422 || !strings.Contains(string(a.body), c.field) {
			t.Errorf("%s: got %d %s, want 422 about %s", name, a.code, a.body, c.field)
		}
		if strings.Contains(string(a.body), "apiextensions.CustomResource") {
			t.Errorf("%s: got what Go prints of its types: %s", name, a.body)
		}
	}
	refused(t, r.do(http.MethodPost, crds, strings.Replace(widgets(simpleVersion), "name: widgets.example.com", "name: other.example.com", 1)), 422, "metadata.name")
	refused(t, r.do(http.MethodPost, crds, strings.ReplaceAll(widgets(simpleVersion), "example.com", "x.k8s.io")), 422, "api-approved.kubernetes.io")
	deep := strings.Repeat(`{type: object, properties: {a: `, 2000) + `{type: string}` + strings.Repeat(`}}`, 2000)
	if a := r.do(http.MethodPost, crds, widgets(schema(deep))); a.code != 201 && a.code != 422 {
		t.Errorf("a schema that is very deep: got %d %.200s", a.code, a.body)
	}
	r.do(http.MethodDelete, crds+"/widgets.example.com", nil)
	r.until("it is gone", func() bool { return r.get(crds+"/widgets.example.com").code == 404 })
	a := r.do(http.MethodPost, crds, widgets(schema(`{type: string, format: nobody-knows}`)))
	if a.code != 201 || len(a.warnings) != 1 || !strings.Contains(a.warnings[0], `unrecognized format \"nobody-knows\"`) {
		t.Errorf("an unknown format: %d %q", a.code, a.warnings)
	}
}

func TestANameBelongsToOneDefinition(t *testing.T) {
	r := newRig(t, t.TempDir())
	first := r.define(widgets(simpleVersion))
	second := strings.NewReplacer("name: widgets.", "name: others.", "plural: widgets", "plural: others", "kind: Widget", "kind: Other").Replace(widgets(simpleVersion))
	if a := r.do(http.MethodPost, crds, second); a.code != 201 {
		t.Fatalf("got %d %s", a.code, a.body)
	}
	const name = "others.example.com"
	r.until("the short name is found to be taken", func() bool {
		status, reason := r.conditionOf(name, "NamesAccepted")
		return status == "False" && reason == "ShortNamesConflict"
	})
	if got := r.condition(name, "Established"); got != "False" {
		t.Errorf("it is established: %s", got)
	}
	if a := r.get("/apis/example.com/v1/namespaces/a/others"); a.code != 404 {
		t.Errorf("it is served: %d", a.code)
	}
	if a := r.do(http.MethodDelete, crds+"/"+first, nil); a.code != 200 {
		t.Fatalf("got %d %s", a.code, a.body)
	}
	r.until("the name is given on", func() bool { return r.condition(name, "Established") == "True" })
	r.until("it is served", func() bool { return r.get("/apis/example.com/v1/namespaces/a/others").code == 200 })
}

func TestANameBelongsToOneOfManyThatComeTogether(t *testing.T) {
	const rivals = 12
	r := newRig(t, t.TempDir())
	var coming sync.WaitGroup
	for i := range rivals {
		coming.Go(func() {
			rival := strings.NewReplacer("name: widgets.", fmt.Sprintf("name: rivals%d.", i), "plural: widgets", fmt.Sprintf("plural: rivals%d", i)).Replace(widgets(simpleVersion))
			if a := r.do(http.MethodPost, crds, rival); a.code != 201 {
				t.Errorf("got %d %s", a.code, a.body)
			}
		})
	}
	coming.Wait()
	there := map[string]bool{}
	for i := range rivals {
		there[fmt.Sprintf("rivals%d.example.com", i)] = true
	}
	for len(there) > 0 {
		var accepted []string
		r.until("all are judged, and one has its names", func() bool {
			accepted = nil
			for name := range there {
				switch r.condition(name, "NamesAccepted") {
				case "True":
					accepted = append(accepted, name)
				case "":
					return false
				}
			}
			return len(accepted) > 0
		})
		if len(accepted) != 1 {
			t.Fatalf("%v all have the same names", accepted)
		}
		if a := r.do(http.MethodDelete, crds+"/"+accepted[0], nil); a.code != 200 {
			t.Fatalf("got %d %s", a.code, a.body)
		}
		r.until("it is gone", func() bool { return r.get(crds+"/"+accepted[0]).code == 404 })
		delete(there, accepted[0])
	}
}

func TestElementsOfListsThatCannotBeToldApartAreInvalid(t *testing.T) {
	r := newRig(t, t.TempDir())
	r.define(widgets(`
  - name: v1
    served: true
    storage: true
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec:
            type: object
            properties:
              m: {type: array, x-kubernetes-list-type: map, x-kubernetes-list-map-keys: [name], items: {type: object, required: [name], properties: {name: {type: string}, v: {type: integer}}}}
              s: {type: array, x-kubernetes-list-type: set, items: {type: string}}
`))
	if a := r.do(http.MethodPost, ones, widget("good", `{m: [{name: a}], s: [a]}`)); a.code != 201 {
		t.Fatalf("got %d %s", a.code, a.body)
	}
	for spec, where := range map[string]string{
		`{m: [{v: 1}]}`:               "spec.m[0].name",
		`{m: [3]}`:                    "spec.m[0]",
		`{m: [{name: null}]}`:         "spec.m[0].name",
		`{s: [a, null]}`:              "spec.s[1]",
		`{s: [a, a]}`:                 "spec.s[1]",
		`{m: [{name: a}, {name: a}]}`: "spec.m[1]",
	} {
		refused(t, r.do(http.MethodPost, ones, widget("bad", spec)), 422, where)
		refused(t, r.do(http.MethodPatch, ones+"/good", `{spec: `+spec+`}`), 422, where)
	}
}

// Names survive a restart, in whatever order definitions are told of then.
func TestANameStaysWithItsDefinitionOverARestart(t *testing.T) {
	const others = 300
	define := func(r *rig, plural, kind string) {
		manifest := strings.NewReplacer("name: widgets.", "name: "+plural+".", "plural: widgets", "plural: "+plural, "kind: Widget", "kind: "+kind, "shortNames: [wd]", "shortNames: [s-"+plural+"]").Replace(widgets(simpleVersion))
		if a := r.do(http.MethodPost, crds, manifest); a.code != 201 {
			t.Fatalf("got %d %s", a.code, a.body)
		}
	}
	dir := t.TempDir()
	r := newRig(t, dir)
	define(r, "zs", "Foo")
	r.until("the first has the kind", func() bool { return r.condition("zs.example.com", "Established") == "True" })
	for i := range others {
		define(r, fmt.Sprintf("m%03ds", i), fmt.Sprintf("M%03d", i))
	}
	define(r, "as", "Foo")
	settled := func() bool {
		return r.condition("as.example.com", "NamesAccepted") == "False" && r.condition("zs.example.com", "NamesAccepted") == "True" &&
			r.condition(fmt.Sprintf("m%03ds.example.com", others-1), "Established") == "True"
	}
	r.until("the second does not get it", settled)
	for range 2 {
		r.stop()
		r = newRig(t, dir)
		// Whatever is written wrongly is written at once, when definitions are told of one by one.
		define(r, "last", "Last")
		r.until("all are looked at", func() bool { return r.condition("last.example.com", "Established") == "True" })
		if !settled() || r.condition("as.example.com", "Established") != "False" {
			t.Fatalf("after a restart: %s", r.get(crds+"/as.example.com").body)
		}
		if a := r.do(http.MethodDelete, crds+"/last.example.com", nil); a.code != 200 {
			t.Fatalf("got %d %s", a.code, a.body)
		}
		r.until("the last is gone", func() bool { return r.get(crds+"/last.example.com").code == 404 })
	}
}

func TestFinalizersThatOthersMightUseAreWarnedOfOnce(t *testing.T) {
	r := newRig(t, t.TempDir())
	r.define(widgets(simpleVersion))
	warned := func(a *answer, code int, texts ...string) {
		t.Helper()
		if a.code != code || len(a.warnings) != len(texts) {
			t.Fatalf("got %d %s %q, want %d and %d warnings", a.code, a.body, a.warnings, code, len(texts))
		}
		for i, text := range texts {
			if !strings.Contains(a.warnings[i], text) {
				t.Errorf("got %q, want %q", a.warnings[i], text)
			}
		}
	}
	const conflicts = "to avoid accidental conflicts with other finalizer writers"
	a := r.do(http.MethodPost, ones, `{apiVersion: example.com/v1, kind: Widget, metadata: {name: one, finalizers: [plain, orphan, example.com/own, dotted.name]}}`)
	warned(a, 201, `\"dotted.name\": prefer a domain-qualified finalizer name including a path (/) `+conflicts, `metadata.finalizers: \"plain\": prefer a domain-qualified finalizer name `+conflicts)
	warned(r.do(http.MethodPatch, ones+"/one", `{metadata: {labels: {a: b}}}`), 200)
	warned(r.do(http.MethodPatch, ones+"/one", `{metadata: {finalizers: [plain, another]}}`), 200, `another`)
}

func TestObjectsGoWithTheirDefinition(t *testing.T) {
	r := newRig(t, t.TempDir())
	name := r.define(widgets(simpleVersion))
	for i, finalizers := range []string{"", "example.com/hold"} {
		manifest := fmt.Sprintf("{apiVersion: example.com/v1, kind: Widget, metadata: {name: w%d, finalizers: [%s]}}", i, finalizers)
		if a := r.do(http.MethodPost, ones, strings.Replace(manifest, "finalizers: []", "labels: {}", 1)); a.code != 201 {
			t.Fatalf("got %d %s", a.code, a.body)
		}
	}
	if a := r.do(http.MethodDelete, crds+"/"+name, nil); a.code != 200 || !strings.Contains(string(a.body), "customresourcecleanup.apiextensions.k8s.io") ||
		a.at("metadata", "generation") != 1.0 || a.at("metadata", "deletionTimestamp") == nil || a.at("metadata", "deletionGracePeriodSeconds") != nil {
		t.Fatalf("got %d %s", a.code, a.body)
	}
	r.until("what nobody holds is gone", func() bool { return r.get(ones+"/w0").code == 404 })
	r.until("creates are refused", func() bool {
		return r.do(http.MethodPost, ones, widget("late", "{}")).code == 403
	})
	refused(t, r.do(http.MethodPatch, ones+"/late?fieldManager=m", widget("late", `{}`), "Content-Type", "application/apply-patch+yaml"), 403, `widgets.example.com \"late\" is forbidden: create not allowed while custom resource definition is terminating`)
	if a := r.get(crds + "/" + name); a.code != 200 {
		t.Errorf("the definition went before its objects: %d", a.code)
	}
	if a := r.do(http.MethodPatch, ones+"/w1", `{metadata: {finalizers: null}}`); a.code != 200 {
		t.Fatalf("got %d %s", a.code, a.body)
	}
	r.until("the definition is gone", func() bool { return r.get(crds+"/"+name).code == 404 })
	r.until("it is not served", func() bool { return r.get(ones).code == 404 })
}

// Something else may keep a definition than its objects. Who manages its fields stays known.
func TestADefinitionWithoutObjectsThatSomethingElseKeeps(t *testing.T) {
	r := newRig(t, t.TempDir())
	name := r.define(widgets(simpleVersion))
	r.redefine(name, `{metadata: {finalizers: [example.com/hold]}}`)
	managers := r.get(crds+"/"+name).at("metadata", "managedFields").([]any)
	if a := r.do(http.MethodDelete, crds+"/"+name, nil); a.code != 200 {
		t.Fatalf("got %d %s", a.code, a.body)
	}
	r.until("its objects are gone", func() bool { return r.condition(name, "Terminating") == "False" })
	a := r.get(crds + "/" + name)
	if _, reason := r.conditionOf(name, "Terminating"); reason != "InstanceDeletionCompleted" {
		t.Errorf("got %q", reason)
	}
	if got := fmt.Sprint(a.at("metadata", "finalizers")); got != "[example.com/hold]" {
		t.Errorf("kept by %s", got)
	}
	if got := a.at("metadata", "managedFields").([]any); len(got) != len(managers) {
		t.Errorf("its fields are managed by %v, were by %v", got, managers)
	}
	if a.at("spec", "versions") == nil {
		t.Errorf("got %s", a.body)
	}
	r.redefine(name, `{metadata: {finalizers: null}}`)
	r.until("the definition is gone", func() bool { return r.get(crds+"/"+name).code == 404 })
}

// A definition that changes ends watches cleanly, and what was stored before is read as the new schema has it.
func TestADefinitionThatChanges(t *testing.T) {
	dir := t.TempDir()
	r := newRig(t, dir)
	const version = `
  - name: v1
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object, properties: {spec: {type: object, properties: {old: {type: string}}}}}}
`
	name := r.define(widgets(version))
	if a := r.do(http.MethodPost, ones, widget("one", `{old: x}`)); a.code != 201 {
		t.Fatalf("got %d %s", a.code, a.body)
	}
	watch, err := r.http.Get(r.url + ones + "?watch=1")
	if err != nil {
		t.Fatal(err)
	}
	defer watch.Body.Close()
	lines := bufio.NewReader(watch.Body)
	if line, err := lines.ReadString('\n'); err != nil || !strings.HasPrefix(line, `{"type":"ADDED"`) {
		t.Fatalf("got %s %v", line, err)
	}
	r.redefine(name, strings.Replace(`{spec: {versions: [{name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object, properties: {spec: {type: object,
		properties: {old: {type: string}, fresh: {type: string, default: made}}}}}}}]}}`, "\n\t\t", " ", 1))
	if rest, err := io.ReadAll(lines); err != nil || len(rest) > 0 {
		t.Errorf("the watch ended with %s %v, want cleanly", rest, err)
	}
	one := func() *answer { return r.get(ones + "/one") }
	r.until("the new default is read", func() bool { return one().at("spec", "fresh") == "made" })
	version0 := one().at("metadata", "resourceVersion")
	if a := r.do(http.MethodPatch, ones+"/one", `{}`); a.code != 200 || a.at("metadata", "resourceVersion") == version0 {
		t.Errorf("a write that changes nothing has not stored what is read: %d %s", a.code, a.body)
	}
	after := one()
	if a := r.do(http.MethodPatch, ones+"/one", `{}`); a.at("metadata", "resourceVersion") != after.at("metadata", "resourceVersion") {
		t.Errorf("it is stored again and again: %s", a.body)
	}
	r.stop()
	r = newRig(t, dir)
	r.until("it is served after a restart", func() bool { return r.get(ones+"/one").code == 200 })
	if a := r.get(ones + "/one"); a.at("spec", "fresh") != "made" || a.at("metadata", "resourceVersion") != after.at("metadata", "resourceVersion") {
		t.Errorf("after a restart: %s", a.body)
	}
}

func TestAWatchOfOneObjectTellsOfIt(t *testing.T) {
	r := newRig(t, t.TempDir())
	r.define(widgets(simpleVersion))
	r.do(http.MethodPost, ones, widget("one", `{}`))
	r.do(http.MethodPost, ones, widget("two", `{}`))
	for _, path := range []string{ones + "?watch=1&fieldSelector=metadata.name%3Dtwo", "/apis/example.com/v1/watch/namespaces/a/widgets/two"} {
		client := &http.Client{Transport: &http.Transport{}, Timeout: 10 * time.Second}
		watch, err := client.Get(r.url + path)
		if err != nil {
			t.Fatal(err)
		}
		line, err := bufio.NewReader(watch.Body).ReadBytes('\n')
		var event struct {
			Type   string
			Object struct{ Metadata struct{ Name string } }
		}
		if err != nil || json.Unmarshal(line, &event) != nil || event.Type != "ADDED" || event.Object.Metadata.Name != "two" {
			t.Errorf("%s: got %s %v", path, line, err)
		}
		watch.Body.Close()
		client.CloseIdleConnections()
	}
}
