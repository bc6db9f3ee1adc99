package openapi

import (
	"reflect"
	"strings"

	aggregatoropenapi "k8s.io/kube-aggregator/pkg/generated/openapi"
	"k8s.io/kube-openapi/pkg/common"
	"k8s.io/kube-openapi/pkg/validation/spec"
)

// texts finds what is written about types and their fields: by name of the field in JSON, and by "" for the type itself.
type texts struct {
	generated map[string]common.OpenAPIDefinition // made when a type needs it
}

type documented interface{ SwaggerDoc() map[string]string }

func (x *texts) of(t reflect.Type) map[string]string {
	if d, ok := reflect.Zero(t).Interface().(documented); ok {
		return d.SwaggerDoc()
	}
	if !strings.HasPrefix(t.PkgPath(), "k8s.io/kube-aggregator/") {
		return nil
	}
	// The aggregator's types carry no texts; the definitions generated from their comments do.
	if x.generated == nil {
		x.generated = aggregatoropenapi.GetOpenAPIDefinitions(func(string) spec.Ref { return spec.Ref{} })
	}
	definition := x.generated[modelName(t)].Schema
	found := map[string]string{"": definition.Description}
	for name, property := range definition.Properties {
		found[name] = property.Description
	}
	return found
}
