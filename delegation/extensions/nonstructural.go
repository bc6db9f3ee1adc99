package extensions

import (
	"fmt"
	"slices"

	"k8s.io/apiextensions-apiserver/pkg/apihelpers"
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	structuralschema "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// structure says of a definition that its schemas are not structural (contract 7.1). Only those can be so that keep unknown fields, which nobody can
// define any more: they come with the etcd of another server. Of a definition without its schemas it is left as it was said, if it was.
func (n *naming) structure(d *definition) {
	if !d.Spec.PreserveUnknownFields {
		apihelpers.RemoveCRDCondition(d, apiextensionsv1.NonStructuralSchema)
		return
	}
	whole := slices.ContainsFunc(d.Spec.Versions, func(v apiextensionsv1.CustomResourceDefinitionVersion) bool { return v.Schema != nil })
	if !whole && apihelpers.FindCRDCondition(d, apiextensionsv1.NonStructuralSchema) != nil {
		return
	}
	violations, err := violationsOf(d)
	if err != nil {
		setCondition(d, n.now(), apiextensionsv1.NonStructuralSchema, apiextensionsv1.ConditionUnknown, "StructuralError", err.Error())
		return
	}
	setCondition(d, n.now(), apiextensionsv1.NonStructuralSchema, apiextensionsv1.ConditionTrue, "Violations", violations.ToAggregate().Error())
}

// violationsOf tells what is not structural in a definition that keeps unknown fields.
func violationsOf(d *definition) (field.ErrorList, error) {
	found := field.ErrorList{field.Invalid(field.NewPath("spec", "preserveUnknownFields"), true, "must be false")}
	for i := range d.Spec.Versions {
		v := &d.Spec.Versions[i]
		if v.Schema == nil || v.Schema.OpenAPIV3Schema == nil {
			continue
		}
		whole := &apiextensions.JSONSchemaProps{}
		err := apiextensionsv1.Convert_v1_JSONSchemaProps_To_apiextensions_JSONSchemaProps(v.Schema.OpenAPIV3Schema, whole, nil)
		var structural *structuralschema.Structural
		if err == nil {
			structural, err = structuralschema.NewStructural(whole)
		}
		if err != nil {
			return nil, fmt.Errorf("failed to check validation schema for version %s: %w", v.Name, err)
		}
		path := field.NewPath("spec", "versions").Index(i).Child("schema", "openAPIV3Schema")
		found = append(found, structuralschema.ValidateStructural(path, structural)...)
	}
	return found, nil
}
