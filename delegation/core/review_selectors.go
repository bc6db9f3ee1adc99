package core

import (
	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apiserver/pkg/authorization/authorizer"
)

// A review may ask about a list that is narrowed by selectors. A raw selector is only carried for webhooks: who asks here has
// to take it apart, and one that is left raw narrows nothing.

// selectInto adds the selectors of a review to what is asked.
func selectInto(attributes *authorizer.AttributesRecord, resource *authorizationv1.ResourceAttributes) {
	if s := resource.FieldSelector; s != nil {
		for _, r := range s.Requirements {
			attributes.FieldSelectorRequirements = append(attributes.FieldSelectorRequirements, fieldRequirements(r)...)
		}
	}
	if s := resource.LabelSelector; s != nil {
		for _, r := range s.Requirements {
			made, err := labels.NewRequirement(r.Key, labelOperators[r.Operator], r.Values)
			if err != nil {
				attributes.LabelSelectorParsingErr = err
				continue
			}
			attributes.LabelSelectorRequirements = append(attributes.LabelSelectorRequirements, *made)
		}
	}
}

// fieldRequirements is what of a requirement a field selector can say: that a field has one value, or has it not.
func fieldRequirements(r metav1.FieldSelectorRequirement) fields.Requirements {
	switch {
	case r.Operator == metav1.FieldSelectorOpIn && len(r.Values) == 1:
		return fields.Requirements{{Operator: selection.Equals, Field: r.Key, Value: r.Values[0]}}
	case r.Operator == metav1.FieldSelectorOpNotIn:
		var all fields.Requirements
		for _, value := range r.Values {
			all = append(all, fields.Requirement{Operator: selection.NotEquals, Field: r.Key, Value: value})
		}
		return all
	}
	return nil // to narrow less is the safe side
}

var labelOperators = map[metav1.LabelSelectorOperator]selection.Operator{
	metav1.LabelSelectorOpIn: selection.In, metav1.LabelSelectorOpNotIn: selection.NotIn,
	metav1.LabelSelectorOpExists: selection.Exists, metav1.LabelSelectorOpDoesNotExist: selection.DoesNotExist,
}

// validateSelectors checks the selectors of a review.
func validateSelectors(resource *authorizationv1.ResourceAttributes, path *field.Path) field.ErrorList {
	var problems field.ErrorList
	if s := resource.FieldSelector; s != nil {
		at := path.Child("fieldSelector")
		problems = append(problems, eitherForm(s.RawSelector, len(s.Requirements), at)...)
		for i, r := range s.Requirements {
			problems = append(problems, validateRequirement(r.Key, string(r.Operator), r.Values, at.Child("requirements").Index(i))...)
		}
	}
	if s := resource.LabelSelector; s != nil {
		at := path.Child("labelSelector")
		problems = append(problems, eitherForm(s.RawSelector, len(s.Requirements), at)...)
		for i, r := range s.Requirements {
			problems = append(problems, validateRequirement(r.Key, string(r.Operator), r.Values, at.Child("requirements").Index(i))...)
		}
	}
	return problems
}

func eitherForm(raw string, requirements int, path *field.Path) field.ErrorList {
	switch {
	case raw != "" && requirements > 0:
		return field.ErrorList{field.Invalid(path.Child("rawSelector"), raw, "may not specified at the same time as requirements")}
	case raw == "" && requirements == 0:
		return field.ErrorList{field.Required(path.Child("requirements"), "when fieldSelector or labelSelector is specified, requirements or rawSelector is required")}
	}
	return nil
}

func validateRequirement(key, operator string, values []string, path *field.Path) field.ErrorList {
	var problems field.ErrorList
	if key == "" {
		problems = append(problems, field.Required(path.Child("key"), "must be specified"))
	}
	switch metav1.LabelSelectorOperator(operator) {
	case metav1.LabelSelectorOpIn, metav1.LabelSelectorOpNotIn:
		if len(values) == 0 {
			problems = append(problems, field.Required(path.Child("values"), "must be specified when `operator` is 'In' or 'NotIn'"))
		}
	case metav1.LabelSelectorOpExists, metav1.LabelSelectorOpDoesNotExist:
		if len(values) > 0 {
			problems = append(problems, field.Forbidden(path.Child("values"), "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"))
		}
	default:
		problems = append(problems, field.Invalid(path.Child("operator"), operator, "not a valid selector operator"))
	}
	return problems
}
