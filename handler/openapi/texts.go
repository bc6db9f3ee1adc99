package openapi

import (
	"reflect"
	"strings"

	extensionsopenapi "k8s.io/apiextensions-apiserver/pkg/generated/openapi"
	aggregatoropenapi "k8s.io/kube-aggregator/pkg/generated/openapi"
	"k8s.io/kube-openapi/pkg/common"
	"k8s.io/kube-openapi/pkg/validation/spec"
)

// texts finds what is written about types and their fields: by name of the field in JSON, and by "" for the type itself.
type texts struct {
	generated map[string]common.OpenAPIDefinition // of the module at hand, made when a type of it needs it
	module    string
}

type documented interface{ SwaggerDoc() map[string]string }

func (x *texts) of(t reflect.Type) map[string]string {
	if d, ok := reflect.Zero(t).Interface().(documented); ok {
		return d.SwaggerDoc()
	}
	// The types of these modules carry no texts; the definitions generated from their comments do.
	for module, definitions := range map[string]func(common.ReferenceCallback) map[string]common.OpenAPIDefinition{
		"k8s.io/kube-aggregator/":         aggregatoropenapi.GetOpenAPIDefinitions,
		"k8s.io/apiextensions-apiserver/": extensionsopenapi.GetOpenAPIDefinitions,
	} {
		if strings.HasPrefix(t.PkgPath(), module) {
			return x.generatedFor(t, module, definitions)
		}
	}
	return nil
}

func (x *texts) generatedFor(t reflect.Type, module string, definitions func(common.ReferenceCallback) map[string]common.OpenAPIDefinition) map[string]string {
	if x.module != module {
		x.module, x.generated = module, definitions(func(string) spec.Ref { return spec.Ref{} })
	}
	definition := x.generated[modelName(t)].Schema
	found := map[string]string{"": definition.Description}
	for name, property := range definition.Properties {
		found[name] = property.Description
	}
	return found
}
