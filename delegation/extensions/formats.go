package extensions

import (
	"context"
	"fmt"
	"slices"

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
		if v.Schema == nil {
			continue
		}
		eachSchema(v.Schema.OpenAPIV3Schema, func(s *apiextensionsv1.JSONSchemaProps) {
			if s.Format == "" {
				return
			}
			props := spec.SchemaProps{Format: s.Format}
			if s.Type != "" {
				props.Type = spec.StringOrArray{s.Type}
			}
			for _, format := range validation.GetUnrecognizedFormats(&spec.Schema{SchemaProps: props}, environment.DefaultCompatibilityVersion()) {
				warning := fmt.Sprintf("unrecognized format %q", format)
				if len(d.Spec.Versions) > 1 {
					warning = fmt.Sprintf("spec.versions[%d]: %s", i, warning)
				}
				if !slices.Contains(found, warning) {
					found = append(found, warning)
				}
			}
		})
	}
	slices.Sort(found)
	return found
}

// eachSchema visits a schema and all that are in it.
func eachSchema(s *apiextensionsv1.JSONSchemaProps, visit func(s *apiextensionsv1.JSONSchemaProps)) {
	if s == nil {
		return
	}
	visit(s)
	eachSchema(s.Not, visit)
	if s.Items != nil {
		eachSchema(s.Items.Schema, visit)
		eachOf(s.Items.JSONSchemas, visit)
	}
	if s.AdditionalItems != nil {
		eachSchema(s.AdditionalItems.Schema, visit)
	}
	if s.AdditionalProperties != nil {
		eachSchema(s.AdditionalProperties.Schema, visit)
	}
	for _, several := range [][]apiextensionsv1.JSONSchemaProps{s.AllOf, s.AnyOf, s.OneOf} {
		eachOf(several, visit)
	}
	for _, named := range []map[string]apiextensionsv1.JSONSchemaProps{s.Properties, s.PatternProperties, s.Definitions} {
		for _, child := range named {
			eachSchema(&child, visit)
		}
	}
	for _, d := range s.Dependencies {
		eachSchema(d.Schema, visit)
	}
}

func eachOf(several []apiextensionsv1.JSONSchemaProps, visit func(s *apiextensionsv1.JSONSchemaProps)) {
	for i := range several {
		eachSchema(&several[i], visit)
	}
}
