package registry_test

import (
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/managedfields"
	"k8s.io/client-go/applyconfigurations"

	"github.com/portico-api/portico/delegation/registry"
	"github.com/portico-api/portico/handler/rest"
)

// managed returns a registry that keeps account of who manages which field.
func managed(t testing.TB, res registry.Resource) *registry.Store {
	t.Helper()
	scheme := testScheme(t)
	res.Path = "managed-" + strings.ReplaceAll(t.Name(), "/", "-") + "/" + res.Name
	s, err := registry.New(t.Context(), registry.Config{
		Store: shared, Scheme: scheme,
		Types: func() (managedfields.TypeConverter, error) { return applyconfigurations.NewTypeConverter(scheme), nil },
	}, res)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

const applyType = "application/apply-patch+yaml"

// apply sends a configuration.
func apply(t testing.TB, srv *httptest.Server, path, query, body string) *answer {
	t.Helper()
	return call(t, srv, "PATCH", path+"?"+query, body, "Content-Type", applyType)
}

// managers shows an account: one line for each manager, in order.
func managers(t testing.TB, a *answer) string {
	t.Helper()
	var obj metav1.PartialObjectMetadata
	a.into(t, &obj)
	var b strings.Builder
	for _, entry := range obj.ManagedFields {
		if entry.FieldsType != "FieldsV1" || entry.APIVersion != "v1" {
			t.Errorf("got an entry of %s %s", entry.APIVersion, entry.FieldsType)
		}
		name := entry.Manager
		if entry.Subresource != "" {
			name += "/" + entry.Subresource
		}
		fmt.Fprintf(&b, "%s %s %s\n", name, entry.Operation, entry.FieldsV1.Raw)
	}
	return strings.TrimSpace(b.String())
}

func version(t testing.TB, a *answer) string {
	t.Helper()
	var obj metav1.PartialObjectMetadata
	a.into(t, &obj)
	return obj.ResourceVersion
}

// config is a ConfigMap as it is applied.
func config(name string, data ...string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: %s\n", name)
	if len(data) > 0 {
		b.WriteString("data:\n")
	}
	for _, d := range data {
		fmt.Fprintf(&b, "  %s\n", d)
	}
	return b.String()
}

// Everybody who writes an object manages the fields that they have set.
func TestEveryWriterManagesWhatItSets(t *testing.T) {
	srv := server(t, rest.Config{}, managed(t, configMaps()))
	const put = `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"x"},"data":{"a":"1","b":"2"}}`
	const both = `{"f:data":{".":{},"f:a":{},"f:b":{}}}`

	a := want(t, 201, call(t, srv, "POST", inDemo, put, "User-Agent", "maker/v1 (linux)"))
	if got := managers(t, a); got != "maker Update "+both {
		t.Errorf("after a create: %s", got)
	}
	steps := []struct {
		name, method, query, contentType, body, want string
	}{
		{"an update that changes nothing", "PUT", "fieldManager=idle", "application/json", put, "maker Update " + both},
		{"a merge patch", "PATCH", "fieldManager=merger", "application/merge-patch+json", `{"data":{"b":"3","c":"3"}}`,
			`maker Update {"f:data":{".":{},"f:a":{}}}` + "\n" + `merger Update {"f:data":{"f:b":{},"f:c":{}}}`},
		{"a JSON patch", "PATCH", "fieldManager=merger", "application/json-patch+json", `[{"op":"remove","path":"/data/c"}]`,
			`maker Update {"f:data":{".":{},"f:a":{}}}` + "\n" + `merger Update {"f:data":{"f:b":{}}}`},
		{"a strategic merge patch", "PATCH", "fieldManager=maker", "application/strategic-merge-patch+json", `{"metadata":{"labels":{"l":"1"}}}`,
			`maker Update {"f:data":{".":{},"f:a":{}},"f:metadata":{"f:labels":{".":{},"f:l":{}}}}` + "\n" + `merger Update {"f:data":{"f:b":{}}}`},
		{"an apply", "PATCH", "fieldManager=applier", applyType, config("x", `a: "1"`, `d: "4"`),
			`applier Apply {"f:data":{"f:a":{},"f:d":{}}}` + "\n" +
				`maker Update {"f:data":{".":{},"f:a":{}},"f:metadata":{"f:labels":{".":{},"f:l":{}}}}` + "\n" + `merger Update {"f:data":{"f:b":{}}}`},
		{"an apply that leaves out what only it had", "PATCH", "fieldManager=applier", applyType, config("x", `a: "1"`),
			`applier Apply {"f:data":{"f:a":{}}}` + "\n" +
				`maker Update {"f:data":{".":{},"f:a":{}},"f:metadata":{"f:labels":{".":{},"f:l":{}}}}` + "\n" + `merger Update {"f:data":{"f:b":{}}}`},
		{"an update by a program that knows nothing of it", "PUT", "", "application/json", `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"x"},"data":{"a":"5"}}`,
			`test Update {"f:data":{"f:a":{}}}` + "\n" + `maker Update {"f:data":{}}`},
	}
	for _, step := range steps {
		a := want(t, 200, call(t, srv, step.method, inDemo+"/x?"+step.query, step.body, "Content-Type", step.contentType, "User-Agent", "test/1"))
		got, wanted := managers(t, a), step.want
		if !sameLines(got, wanted) {
			t.Errorf("after %s: got\n%s\nwant\n%s", step.name, got, wanted)
		}
	}
	if got := string(want(t, 200, call(t, srv, "GET", inDemo+"/x", "")).body); !strings.Contains(got, `"time":"`) {
		t.Errorf("the account has no times: %s", got)
	}
}

// sameLines compares accounts without their order, which times decide.
func sameLines(a, b string) bool {
	in := map[string]int{}
	for line := range strings.SplitSeq(a, "\n") {
		in[line]++
	}
	for line := range strings.SplitSeq(b, "\n") {
		in[line]--
	}
	for _, n := range in {
		if n != 0 {
			return false
		}
	}
	return true
}

func TestAnApplyCreatesWhatIsMissing(t *testing.T) {
	srv := server(t, rest.Config{}, managed(t, configMaps()))
	a := want(t, 201, apply(t, srv, inDemo+"/x", "fieldManager=me", config("x", `a: "1"`)))
	if got := managers(t, a); got != `me Apply {"f:data":{"f:a":{}}}` {
		t.Errorf("got %s", got)
	}
	before := version(t, a)
	a = want(t, 200, apply(t, srv, inDemo+"/x", "fieldManager=me", config("x", `a: "1"`)))
	if version(t, a) != before {
		t.Error("to apply the same again makes a new version")
	}
	a = want(t, 200, apply(t, srv, inDemo+"/x", "fieldManager=me&dryRun=All", config("x", `a: "2"`)))
	var dry corev1.ConfigMap
	if a.into(t, &dry); dry.Data["a"] != "2" || dry.ResourceVersion != before {
		t.Errorf("a dry run answers %s", a.body)
	}
	want(t, 201, apply(t, srv, inDemo+"/dry", "fieldManager=me&dryRun=All", config("dry")))
	want(t, 404, call(t, srv, "GET", inDemo+"/dry", ""))
	a = want(t, 200, call(t, srv, "GET", inDemo+"/x", ""))
	if version(t, a) != before {
		t.Error("a dry run is stored")
	}
	want(t, 201, apply(t, srv, inDemo+"/j", "fieldManager=me", `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"j"},"data":{"a":"1"}}`))
}

func TestConflictsOfAnApply(t *testing.T) {
	srv := server(t, rest.Config{}, managed(t, configMaps()))
	want(t, 201, apply(t, srv, inDemo+"/x", "fieldManager=one", config("x", `a: "1"`, `b: "1"`)))
	status := want(t, 409, apply(t, srv, inDemo+"/x", "fieldManager=two", config("x", `a: "2"`))).status(t)
	if want := `Apply failed with 1 conflict: conflict with "one": .data.a`; status.Message != want || status.Reason != metav1.StatusReasonConflict {
		t.Errorf("got %s %q, want %q", status.Reason, status.Message, want)
	}
	if c := status.Details.Causes; len(c) != 1 || c[0].Type != metav1.CauseTypeFieldManagerConflict || c[0].Field != ".data.a" || c[0].Message != `conflict with "one"` {
		t.Errorf("got causes %v", c)
	}
	a := want(t, 200, apply(t, srv, inDemo+"/x", "fieldManager=two&force=true", config("x", `a: "2"`)))
	if got, want := managers(t, a), `one Apply {"f:data":{"f:b":{}}}`+"\n"+`two Apply {"f:data":{"f:a":{}}}`; !sameLines(got, want) {
		t.Errorf("after force: got\n%s\nwant\n%s", got, want)
	}
	want(t, 200, call(t, srv, "PATCH", inDemo+"/x?fieldManager=three", `{"data":{"a":"3"}}`, "Content-Type", "application/merge-patch+json"))
	status = want(t, 409, apply(t, srv, inDemo+"/x", "fieldManager=two", config("x", `a: "2"`))).status(t)
	if !strings.HasPrefix(status.Message, `Apply failed with 1 conflict: conflict with "three" using v1 at `) && status.Message != `Apply failed with 1 conflict: conflict with "three" using v1: .data.a` {
		t.Errorf("got %q", status.Message)
	}
	want(t, 200, apply(t, srv, inDemo+"/x", "fieldManager=two", config("x", `a: "3"`))) // who agrees has no conflict
}

func TestWhatCannotBeApplied(t *testing.T) {
	srv := server(t, rest.Config{}, managed(t, configMaps()))
	want(t, 201, apply(t, srv, inDemo+"/x", "fieldManager=me", config("x", `a: "1"`)))
	for _, test := range []struct {
		name, path, query, body string
		code                    int
		message                 string
	}{
		{"without a manager", "/x", "", config("x"), 422, "fieldManager: Required value: is required for apply patch"},
		{"by a manager with a long name", "/x", "fieldManager=" + strings.Repeat("m", 129), config("x"), 422, "fieldManager: Too long"},
		{"by a manager that cannot be printed", "/x", "fieldManager=a%00b", config("x"), 422, "fieldManager: Invalid value"},
		{"with an account of its own", "/x", "fieldManager=me", config("x") + "  managedFields:\n  - manager: other\n", 400, "metadata.managedFields must be nil"},
		{"of another identity than there is", "/x", "fieldManager=me", config("x") + "  uid: other\n", 409, "Precondition failed: UID"},
		{"of an identity where nothing is", "/y", "fieldManager=me", config("y") + "  uid: other\n", 409, "uid mismatch: the provided object specified uid other, and no existing object was found"},
		{"on an older version", "/x", "fieldManager=me", config("x") + "  resourceVersion: \"1\"\ndata: {a: b}\n", 409, "the object has been modified"},
		{"of another kind", "/x", "fieldManager=me", strings.Replace(config("x"), "ConfigMap", "Secret", 1), 400, "invalid object type: /v1, Kind=Secret"},
		{"of another version", "/x", "fieldManager=me", strings.Replace(config("x"), "v1", "v2", 1), 400, "invalid object type: /v2, Kind=ConfigMap"},
		{"of no kind", "/x", "fieldManager=me", "metadata: {name: x}", 400, "invalid object type"},
		{"under another name", "/x", "fieldManager=me", config("z"), 400, "does not match the name on the URL"},
		{"in another namespace", "/x", "fieldManager=me", config("x") + "  namespace: other\n", 400, "namespace"},
		{"that is no YAML", "/x", "fieldManager=me", "a: b: c", 400, "error decoding YAML"},
		{"that is no object", "/x", "fieldManager=me", "- a", 400, "error decoding YAML"},
		{"that is nothing", "/x", "fieldManager=me", "", 400, "error decoding YAML"},
		{"with a field that there is not", "/x", "fieldManager=me", config("x") + "spec: {a: b}\n", 400, ".spec: field not declared in schema"},
		{"with such a field, strictly", "/x", "fieldManager=me&fieldValidation=Strict", config("x") + "spec: {a: b}\n", 400, ".spec: field not declared in schema"},
		{"with a double field, strictly", "/x", "fieldManager=me&fieldValidation=Strict", config("x") + "data: {a: b}\ndata: {a: c}\n", 400, `key "data" already set`},
		{"with a value of another type", "/x", "fieldManager=me", config("x") + "data: {a: 1}\n", 400, ".data.a: expected string"},
		{"with metadata of another type", "/x", "fieldManager=me", "apiVersion: v1\nkind: ConfigMap\nmetadata: x\n", 400, ".metadata: expected map"},
		{"against the rules of the kind", "/x", "fieldManager=me", config("x", "bad: x"), 422, "is bad"},
	} {
		t.Run(test.name, func(t *testing.T) {
			a := apply(t, srv, inDemo+test.path, test.query, test.body)
			if status := a.status(t); a.code != test.code || !strings.Contains(status.Message, test.message) {
				t.Errorf("got %d %q, want %d %q", a.code, status.Message, test.code, test.message)
			}
		})
	}
	a := want(t, 200, apply(t, srv, inDemo+"/x", "fieldManager=me", config("x")+"data: {a: b}\ndata: {a: c}\n"))
	if warnings := a.header.Values("Warning"); len(warnings) != 0 && !strings.Contains(warnings[0], "already set") {
		t.Errorf("got warnings %q", warnings)
	}
	forced := call(t, srv, "PATCH", inDemo+"/x?force=true", `{}`, "Content-Type", "application/merge-patch+json")
	if status := want(t, 422, forced).status(t); !strings.Contains(status.Message, "force: Forbidden: may not be specified for non-apply patch") {
		t.Errorf("force with a merge patch: %q", status.Message)
	}
}

func TestTheAccountCanBeReset(t *testing.T) {
	srv := server(t, rest.Config{}, managed(t, configMaps()))
	for _, reset := range []string{`[]`, `[{}]`} {
		want(t, 201, apply(t, srv, inDemo+"/x", "fieldManager=me", config("x", `a: "1"`)))
		a := want(t, 200, call(t, srv, "PATCH", inDemo+"/x", `{"metadata":{"managedFields":`+reset+`}}`, "Content-Type", "application/merge-patch+json"))
		if got := managers(t, a); got != "" {
			t.Errorf("after %s: %s", reset, got)
		}
		// What was there before the next apply belongs to nobody in particular.
		a = want(t, 200, apply(t, srv, inDemo+"/x", "fieldManager=you", config("x", `b: "1"`)))
		wanted := `you Apply {"f:data":{"f:b":{}}}` + "\n" + `before-first-apply Update {"f:data":{".":{},"f:a":{}}}`
		if got := managers(t, a); !sameLines(got, wanted) {
			t.Errorf("after the next apply: got\n%s\nwant\n%s", got, wanted)
		}
		want(t, 200, call(t, srv, "DELETE", inDemo+"/x", ""))
	}
}

func TestTheAccountCanBeEdited(t *testing.T) {
	srv := server(t, rest.Config{}, managed(t, configMaps()))
	a := want(t, 201, apply(t, srv, inDemo+"/x", "fieldManager=old", config("x", `a: "1"`)))
	a = want(t, 200, call(t, srv, "PUT", inDemo+"/x", strings.Replace(string(a.body), `"manager":"old"`, `"manager":"new"`, 1)))
	if got := managers(t, a); got != `new Apply {"f:data":{"f:a":{}}}` {
		t.Errorf("got %s", got)
	}
	a = want(t, 200, call(t, srv, "PUT", inDemo+"/x", strings.Replace(string(a.body), `"operation":"Apply"`, `"operation":"Guess"`, 1)))
	if got := managers(t, a); got != `new Apply {"f:data":{"f:a":{}}}` {
		t.Errorf("after an account that cannot be read: %s", got)
	}
}

// Each part of an object with a status has managers of its own.
func TestTheStatusHasManagersOfItsOwn(t *testing.T) {
	const path = "/api/v1/namespaces/demo/services"
	srv := server(t, rest.Config{}, managed(t, services()))
	service := func(rest string) string { return "apiVersion: v1\nkind: Service\nmetadata: {name: s}\n" + rest }
	condition := func(status string) string {
		return service("status: {conditions: [{type: T, status: \"" + status + "\", reason: R, message: m, lastTransitionTime: \"2026-01-01T00:00:00Z\"}]}\n")
	}
	ports := "spec: {ports: [{port: 80, protocol: TCP, name: http}]}\n"
	a := want(t, 201, apply(t, srv, path+"/s", "fieldManager=me", service(ports)+"status: {loadBalancer: {ingress: [{ip: 10.0.0.1}]}}\n"))
	const mine = `me Apply {"f:spec":{"f:ports":{"k:{\"port\":80,\"protocol\":\"TCP\"}":{".":{},"f:name":{},"f:port":{},"f:protocol":{}}}}}`
	if got := managers(t, a); got != mine {
		t.Errorf("after an apply of both parts: got\n%s\nwant\n%s", got, mine)
	}
	a = want(t, 200, apply(t, srv, path+"/s/status", "fieldManager=controller", condition("True")+"spec: {type: NodePort}\n"))
	var s corev1.Service
	if a.into(t, &s); s.Spec.Type == "NodePort" || len(s.Status.Conditions) != 1 {
		t.Errorf("an apply of the status made %s", a.body)
	}
	const observed = `controller/status Apply {"f:status":{"f:conditions":{"k:{\"type\":\"T\"}":{".":{},"f:lastTransitionTime":{},"f:message":{},"f:reason":{},"f:status":{},"f:type":{}}}}}`
	if got := managers(t, a); !sameLines(got, mine+"\n"+observed) {
		t.Errorf("after an apply of the status: got\n%s\nwant\n%s", got, mine+"\n"+observed)
	}
	status := want(t, 409, apply(t, srv, path+"/s/status", "fieldManager=other", condition("False"))).status(t)
	if want := `Apply failed with 1 conflict: conflict with "controller" with subresource "status": .status.conditions[type="T"].status`; status.Message != want {
		t.Errorf("got %q, want %q", status.Message, want)
	}
	want(t, 404, apply(t, srv, path+"/none/status", "fieldManager=controller", strings.Replace(condition("True"), "name: s", "name: none", 1)))
	// A status that comes in by the main door is neither stored nor managed, and so no new version.
	before := version(t, a)
	a = want(t, 200, call(t, srv, "PATCH", path+"/s?fieldManager=meddler", `{"status":{"conditions":null}}`, "Content-Type", "application/merge-patch+json"))
	if got := managers(t, a); !sameLines(got, mine+"\n"+observed) || version(t, a) != before {
		t.Errorf("after a change of the status by the main door: version %s → %s\n%s", before, version(t, a), got)
	}
}

// A new object's account is made on a path of its own; the library's must be the same.
func TestTheFirstAccountIsTheLibrarys(t *testing.T) {
	for name, obj := range map[string]runtime.Object{
		"empty": &corev1.ConfigMap{},
		"config map": &corev1.ConfigMap{
			ObjectMeta: metav1.ObjectMeta{
				Labels: map[string]string{"a": "b"}, Annotations: map[string]string{"c": "d"}, Finalizers: []string{"x/y", "x/z"},
				OwnerReferences: []metav1.OwnerReference{{APIVersion: "v1", Kind: "K", Name: "n", UID: "u"}},
			},
			Data: map[string]string{"a": "1"}, BinaryData: map[string][]byte{"b": {1}}, Immutable: new(true),
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := managed(t, configMaps())
			quick, general := obj.DeepCopyObject().(*corev1.ConfigMap), obj.DeepCopyObject().(*corev1.ConfigMap)
			quick.Name, general.Name = "quick", "general"
			general.ManagedFields = []metav1.ManagedFieldsEntry{} // given, so that the library looks at it
			var accounts [2]string
			for i, c := range []*corev1.ConfigMap{quick, general} {
				created, err := registry.CreateAs(t.Context(), s, "demo", c)
				if err != nil {
					t.Fatal(err)
				}
				for j := range created.ManagedFields {
					created.ManagedFields[j].Time = nil
				}
				text, err := json.Marshal(created.ManagedFields)
				if err != nil {
					t.Fatal(err)
				}
				accounts[i] = string(text)
			}
			if accounts[0] != accounts[1] {
				t.Errorf("got\n%s\nwant\n%s", accounts[0], accounts[1])
			}
		})
	}
}

// Whoever writes the same again changes nothing, not even the account.
func TestTheSameAgainChangesNothing(t *testing.T) {
	srv := server(t, rest.Config{}, managed(t, configMaps()))
	a := want(t, 201, call(t, srv, "POST", inDemo, `{"metadata":{"name":"x"},"data":{"a":"1"}}`, "User-Agent", "me/1"))
	before := version(t, a)
	for _, again := range [][]string{
		{"PUT", "application/json", `{"metadata":{"name":"x"},"data":{"a":"1"}}`},
		{"PATCH", "application/merge-patch+json", `{"data":{"a":"1"}}`},
		{"PATCH", "application/strategic-merge-patch+json", `{"data":{"a":"1"}}`},
	} {
		a := want(t, 200, call(t, srv, again[0], inDemo+"/x", again[2], "Content-Type", again[1], "User-Agent", "me/1"))
		if got := version(t, a); got != before {
			t.Errorf("%s %s: version %s, was %s", again[0], again[1], got, before)
		}
	}
}
