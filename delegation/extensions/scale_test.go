package extensions_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// To scale in one version forgets nobody who manages fields in another, wherever that has its replicas.
func TestWhoManagesFieldsInAnotherVersionIsKnownAfterScaling(t *testing.T) {
	r := newRig(t, t.TempDir())
	versions := ""
	for _, v := range []string{"v1, storage: true@, subresources: {scale: {specReplicasPath: .spec.replicas, statusReplicasPath: .status.replicas}}",
		"v2, storage: false@, subresources: {scale: {specReplicasPath: .spec.size, statusReplicasPath: .status.replicas}}", "v3, storage: false@"} {
		head, tail, _ := strings.Cut(v, "@")
		versions += "  - {name: " + head + ", served: true, schema: {openAPIV3Schema: {type: object, properties: {spec: {type: object, properties: " +
			"{replicas: {type: integer}, size: {type: integer}, color: {type: string}, note: {type: string}}}, status: {type: object, properties: {replicas: {type: integer}}}}}}" + tail + "}\n"
	}
	r.define(widgets(versions))
	for i, spec := range []string{`{replicas: 1}`, `{color: red}`, `{note: x}`} {
		version := fmt.Sprintf("/v%d", i+1)
		path := strings.Replace(ones, "/v1", version, 1) + "/one?fieldManager=m" + version[2:]
		if a := r.do(http.MethodPatch, path, strings.Replace(widget("one", spec), "/v1", version, 1), "Content-Type", "application/apply-patch+yaml"); a.code > 201 {
			t.Fatalf("got %d %s", a.code, a.body)
		}
	}
	if a := r.do(http.MethodPatch, ones+"/one/scale?fieldManager=scaler", `{spec: {replicas: 5}}`); a.code != 200 {
		t.Fatalf("got %d %s", a.code, a.body)
	}
	all, _ := r.get(ones+"/one").at("metadata", "managedFields").([]any)
	said := fmt.Sprint(all)
	for _, want := range []string{"f:color", "f:note", "manager:scaler"} {
		if !strings.Contains(said, want) {
			t.Errorf("there is no %s in %s", want, said)
		}
	}
}
