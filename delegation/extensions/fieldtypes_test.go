package extensions_test

import (
	"flag"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apiextensions-apiserver/pkg/generated/openapi"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/managedfields"
	"k8s.io/kube-openapi/pkg/validation/spec"

	"github.com/portico-api/portico/delegation/registry"
	"github.com/portico-api/portico/test/fieldtypes"
)

var update = flag.Bool("update", false, "write the generated files anew")

// The client library has no types of this group; kube-apiserver takes them from the OpenAPI definitions that come with it.
func TestFieldTypesAreThoseOfAPIExtensions(t *testing.T) {
	const prefix = "#/definitions/"
	name := apiextensionsv1.CustomResourceDefinition{}.OpenAPIModelName()
	models := map[string]*spec.Schema{}
	for model, definition := range openapi.GetOpenAPIDefinitions(func(path string) spec.Ref { return spec.MustCreateRef(prefix + path) }) {
		schema := definition.Schema
		if model == name {
			schema.AddExtension("x-kubernetes-group-version-kind", []any{map[string]any{"group": apiextensionsv1.GroupName, "version": "v1", "kind": "CustomResourceDefinition"}})
		}
		models[model] = &schema
	}
	theirs, err := managedfields.NewTypeConverter(models, false)
	if err != nil {
		t.Fatal(err)
	}
	fieldtypes.Hold(t, "fieldtypes_generated.go", "extensions", *update, theirs, registry.Resource{
		GroupVersion: apiextensionsv1.SchemeGroupVersion, Kind: "CustomResourceDefinition", Name: "customresourcedefinitions",
		New: func() runtime.Object { return &apiextensionsv1.CustomResourceDefinition{} },
	})
}
