package extensions

import (
	"context"
	"fmt"
	"slices"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	"k8s.io/apiserver/pkg/cel/environment"
	"k8s.io/kube-openapi/pkg/validation/spec"

	"github.com/portico-api/portico/handler"
)

// warnOfFormats tells of formats in schemas that nobody checks, unless they were there before.
func warnOfFormats(ctx context.Context, d, before *definition) {
	var known []string
	if before != nil {
		known = unknownFormats(before)
	}
	for _, warning := range unknownFormats(d) {
		if !slices.Contains(known, warning) {
			handler.AddWarning(ctx, warning)
		}
	}
}

func unknownFormats(d *definition) []string {
	var found []string
	for i, v := range d.Spec.Versions {
		if v.Schema == nil || v.Schema.OpenAPIV3Schema == nil {
			continue
		}
		internal := &apiextensions.JSONSchemaProps{}
		if err := apiextensionsv1.Convert_v1_JSONSchemaProps_To_apiextensions_JSONSchemaProps(v.Schema.OpenAPIV3Schema.DeepCopy(), internal, nil); err != nil {
			continue // validation tells
		}
		collect := func(s *spec.Schema) error {
			for _, format := range validation.GetUnrecognizedFormats(s, environment.DefaultCompatibilityVersion()) {
				warning := fmt.Sprintf("unrecognized format %q", format)
				if len(d.Spec.Versions) > 1 {
					warning = fmt.Sprintf("spec.versions[%d]: %s", i, warning)
				}
				if !slices.Contains(found, warning) {
					found = append(found, warning)
				}
			}
			return nil
		}
		_ = validation.ConvertJSONSchemaPropsWithPostProcess(internal, &spec.Schema{}, collect)
	}
	slices.Sort(found)
	return found
}
