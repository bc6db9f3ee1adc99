package extensions_test

import (
	"net/http"
	"strings"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// arrays is a schema of arrays in arrays, as JSON.
func arrays(levels int) string {
	return strings.Repeat(`{"type":"array","items":`, levels) + `{"type":"string"}` + strings.Repeat("}", levels)
}

func deepVersion(levels int) string {
	return `
  - {name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object, properties: {deep: ` + arrays(levels) + `}}}}
`
}

// Nobody needs schemas of hundreds of levels, and to decode one takes the square of them.
func TestDefinitionsThatAreTooDeepAreRefused(t *testing.T) {
	r := newRig(t, t.TempDir())
	name := r.define(widgets(deepVersion(200)))
	const most, path = "must not be nested more than 256 levels deep", "spec.versions[0].schema.openAPIV3Schema.properties.deep"
	deep := widgets(deepVersion(300))
	refused(t, r.do(http.MethodPost, crds, deep), 422, most, path, "CustomResourceDefinition.apiextensions.k8s.io")
	refused(t, r.do(http.MethodPost, crds, []byte(deep), "Content-Type", "application/yaml"), 422, most, path)
	refused(t, r.do(http.MethodPut, crds+"/"+name, deep), 422, most, path)
	refused(t, r.do(http.MethodPatch, crds+"/"+name+"?fieldManager=m", deep, "Content-Type", "application/apply-patch+yaml"), 422, most, path)
	refused(t, r.do(http.MethodPatch, crds+"/"+name, deep), 422, most, path)
	const at = "/spec/versions/0/schema/openAPIV3Schema/properties/deep"
	twice := `[{"op":"copy","from":"` + at + `","path":"` + at + strings.Repeat("/items", 200) + `"}]`
	refused(t, r.do(http.MethodPatch, crds+"/"+name, twice, "Content-Type", "application/json-patch+json"), 422, most, path)

	schema := &apiextensionsv1.JSONSchemaProps{}
	for range 20_000 {
		schema = &apiextensionsv1.JSONSchemaProps{Not: schema}
	}
	refused(t, r.do(http.MethodPost, crds, protobufOf(t, schema), "Content-Type", "application/vnd.kubernetes.protobuf"), 400, most)
	if a := r.do(http.MethodPost, crds+"?dryRun=All", protobufOf(t, &apiextensionsv1.JSONSchemaProps{Type: "object"}), "Content-Type", "application/vnd.kubernetes.protobuf"); a.code != 201 {
		t.Errorf("got %d %s", a.code, a.body)
	}
}

// protobufOf is a definition with a schema, as a client of Go types sends it.
func protobufOf(t *testing.T, schema *apiextensionsv1.JSONSchemaProps) []byte {
	t.Helper()
	names := apiextensionsv1.CustomResourceDefinitionNames{Plural: "gadgets", Singular: "gadget", Kind: "Gadget", ListKind: "GadgetList"}
	d := &apiextensionsv1.CustomResourceDefinition{
		ObjectMeta: metav1.ObjectMeta{Name: "gadgets.example.com"},
		Spec: apiextensionsv1.CustomResourceDefinitionSpec{
			Group: "example.com", Scope: apiextensionsv1.ClusterScoped, Names: names,
			Versions: []apiextensionsv1.CustomResourceDefinitionVersion{{
				Name: "v1", Served: true, Storage: true, Schema: &apiextensionsv1.CustomResourceValidation{OpenAPIV3Schema: schema},
			}},
		},
	}
	raw, err := d.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	envelope := runtime.Unknown{TypeMeta: runtime.TypeMeta{APIVersion: "apiextensions.k8s.io/v1", Kind: "CustomResourceDefinition"}, Raw: raw}
	body, err := envelope.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return append([]byte("k8s\x00"), body...)
}
