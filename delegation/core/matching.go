package core

import (
	"fmt"
	"slices"
	"strings"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metav1validation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/portico-api/portico/delegation/registry/declare"
)

// This file holds what webhook configurations and admission policies share: which requests they match.

const maxMatchConditions = 64

func defaultRule(r *admissionv1.Rule) {
	if r.Scope == nil {
		all := admissionv1.AllScopes
		r.Scope = &all
	}
}

func validateSelector(selector *metav1.LabelSelector, path *field.Path) field.ErrorList {
	if selector == nil {
		return nil
	}
	return metav1validation.ValidateLabelSelector(selector, metav1validation.LabelSelectorValidationOptions{}, path)
}

func validateRule(r *admissionv1.RuleWithOperations, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	if len(r.Operations) == 0 {
		errs = append(errs, field.Required(path.Child("operations"), ""))
	}
	for i, operation := range r.Operations {
		at := path.Child("operations").Index(i)
		if operation == admissionv1.OperationAll && len(r.Operations) > 1 {
			errs = append(errs, field.Invalid(at, operation, "if '*' is present, must not specify other operations"))
		}
		errs = append(errs, declare.OneOf(&operation, at, admissionv1.OperationAll, admissionv1.Create, admissionv1.Update, admissionv1.Delete, admissionv1.Connect)...)
	}
	errs = append(errs, validatePatterns(r.APIGroups, path.Child("apiGroups"))...)
	errs = append(errs, validatePatterns(r.APIVersions, path.Child("apiVersions"))...)
	for i, version := range r.APIVersions {
		if version == "" {
			errs = append(errs, field.Required(path.Child("apiVersions").Index(i), ""))
		}
	}
	errs = append(errs, validateResourcePatterns(r.Resources, path.Child("resources"))...)
	return append(errs, declare.OneOf(r.Scope, path.Child("scope"), admissionv1.ClusterScope, admissionv1.NamespacedScope, admissionv1.AllScopes)...)
}

func validatePatterns(patterns []string, path *field.Path) field.ErrorList {
	if len(patterns) == 0 {
		return field.ErrorList{field.Required(path, "")}
	}
	if len(patterns) > 1 && slices.Contains(patterns, "*") {
		return field.ErrorList{field.Invalid(path, patterns, "if '*' is present, must not specify other values")}
	}
	return nil
}

// validateResourcePatterns refuses a pattern beside one that covers it: its author meant something else.
func validateResourcePatterns(patterns []string, path *field.Path) field.ErrorList {
	if len(patterns) == 0 {
		return field.ErrorList{field.Required(path, "")}
	}
	if len(patterns) > 1 && slices.Contains(patterns, "*/*") {
		return field.ErrorList{field.Invalid(path, patterns, "if '*/*' is present, must not specify other resources")}
	}
	var errs field.ErrorList
	all, wholes, subs := slices.Contains(patterns, "*"), map[string]bool{}, map[string]bool{}
	for _, pattern := range patterns {
		resource, sub, _ := strings.Cut(pattern, "/")
		wholes[resource] = wholes[resource] || sub == "*"
		subs[sub] = subs[sub] || resource == "*" && sub != ""
	}
	for i, pattern := range patterns {
		resource, sub, nested := strings.Cut(pattern, "/")
		at := path.Index(i)
		switch {
		case resource == "" || nested && sub == "":
			errs = append(errs, field.Invalid(at, pattern, "must be a resource, or a resource and a subresource"))
		case nested && sub != "*" && wholes[resource]:
			errs = append(errs, field.Invalid(at, pattern, fmt.Sprintf("if '%s/*' is present, must not specify %s", resource, pattern)))
		case nested && resource != "*" && subs[sub]:
			errs = append(errs, field.Invalid(at, pattern, fmt.Sprintf("if '*/%s' is present, must not specify %s", sub, pattern)))
		case !nested && resource != "*" && all:
			errs = append(errs, field.Invalid(at, pattern, "if '*' is present, must not specify other resources"))
		}
	}
	return errs
}

// validateMatchConditions checks the shape of conditions; what their expressions say, admission.Expressions does.
func validateMatchConditions(conditions []admissionv1.MatchCondition, path *field.Path) field.ErrorList {
	if len(conditions) > maxMatchConditions {
		return field.ErrorList{field.TooMany(path, len(conditions), maxMatchConditions)}
	}
	var errs field.ErrorList
	seen := make(map[string]bool)
	for i, condition := range conditions {
		at := path.Index(i)
		errs = append(errs, validateExpression(condition.Expression, at.Child("expression"))...)
		switch {
		case condition.Name == "":
			errs = append(errs, field.Required(at.Child("name"), ""))
		case seen[condition.Name]:
			errs = append(errs, field.Duplicate(at.Child("name"), condition.Name))
		default:
			errs = append(errs, declare.Invalid(validation.IsQualifiedName(condition.Name), at.Child("name"), condition.Name)...)
		}
		seen[condition.Name] = true
	}
	return errs
}

func validateExpression(expression string, path *field.Path) field.ErrorList {
	if strings.TrimSpace(expression) == "" {
		return field.ErrorList{field.Required(path, "")}
	}
	return nil
}
