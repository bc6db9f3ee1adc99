package core

import (
	"fmt"
	"strings"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/portico-api/portico/delegation/registry/declare"
)

func defaultMatch(m *admissionv1.MatchResources) {
	if m == nil {
		return
	}
	declare.SetDefault(&m.MatchPolicy, admissionv1.Equivalent)
	declare.SetDefault(&m.NamespaceSelector, metav1.LabelSelector{})
	declare.SetDefault(&m.ObjectSelector, metav1.LabelSelector{})
	for i := range m.ResourceRules {
		defaultRule(&m.ResourceRules[i].Rule)
	}
	for i := range m.ExcludeResourceRules {
		defaultRule(&m.ExcludeResourceRules[i].Rule)
	}
}

func validateValidatingPolicy(p *admissionv1.ValidatingAdmissionPolicy) field.ErrorList {
	spec := field.NewPath("spec")
	errs := validatePolicy(p.Spec.ParamKind, p.Spec.MatchConstraints, p.Spec.FailurePolicy, p.Spec.Variables, p.Spec.MatchConditions)
	if len(p.Spec.Validations) == 0 && len(p.Spec.AuditAnnotations) == 0 {
		errs = append(errs,
			field.Required(spec.Child("validations"), "validations or auditAnnotations must be non-empty; specify one or both"),
			field.Required(spec.Child("auditAnnotations"), "validations or auditAnnotations must be non-empty; specify one or both"))
	}
	for i, v := range p.Spec.Validations {
		at := spec.Child("validations").Index(i)
		errs = append(errs, validateExpression(v.Expression, at.Child("expression"))...)
		errs = append(errs, validateMessage(v.Message, at.Child("message"))...)
		if v.MessageExpression != "" && strings.TrimSpace(v.MessageExpression) == "" {
			errs = append(errs, field.Invalid(at.Child("messageExpression"), v.MessageExpression, "must be non-empty if specified"))
		}
		errs = append(errs, declare.OneOf(v.Reason, at.Child("reason"), metav1.StatusReasonForbidden, metav1.StatusReasonInvalid,
			metav1.StatusReasonRequestEntityTooLarge, metav1.StatusReasonUnauthorized)...)
	}
	if n := len(p.Spec.AuditAnnotations); n > maxAuditAnnotations {
		errs = append(errs, field.Invalid(spec.Child("auditAnnotations"), n, fmt.Sprintf("must not have more than %d auditAnnotations", maxAuditAnnotations)))
	}
	seen := make(map[string]bool)
	for i, a := range p.Spec.AuditAnnotations {
		at := spec.Child("auditAnnotations").Index(i)
		errs = append(errs, validateExpression(a.ValueExpression, at.Child("valueExpression"))...)
		if len(a.ValueExpression) > maxValueExpression {
			errs = append(errs, field.TooLong(at.Child("valueExpression"), a.ValueExpression, maxValueExpression))
		}
		errs = append(errs, declare.Invalid(validation.IsQualifiedName(p.Name+"/"+a.Key), at.Child("key"), a.Key)...)
		if seen[a.Key] {
			errs = append(errs, field.Duplicate(at.Child("key"), a.Key))
		}
		seen[a.Key] = true
	}
	return errs
}

const (
	maxAuditAnnotations = 20
	maxValueExpression  = 5 << 10
)

func validateMessage(message string, path *field.Path) field.ErrorList {
	switch trimmed := strings.TrimSpace(message); {
	case message != "" && trimmed == "":
		return field.ErrorList{field.Invalid(path, message, "message must be non-empty if specified")}
	case strings.ContainsAny(trimmed, "\r\n"):
		return field.ErrorList{field.Invalid(path, message, "message must not contain line breaks")}
	}
	return nil
}

func validateMutatingPolicy(p *admissionv1.MutatingAdmissionPolicy) field.ErrorList {
	spec := field.NewPath("spec")
	errs := validatePolicy(p.Spec.ParamKind, p.Spec.MatchConstraints, p.Spec.FailurePolicy, p.Spec.Variables, p.Spec.MatchConditions)
	errs = append(errs, declare.OneOf(&p.Spec.ReinvocationPolicy, spec.Child("reinvocationPolicy"),
		admissionv1.NeverReinvocationPolicy, admissionv1.IfNeededReinvocationPolicy)...)
	if len(p.Spec.Mutations) == 0 {
		errs = append(errs, field.Required(spec.Child("mutations"), "mutations must contain at least one item"))
	}
	for i, m := range p.Spec.Mutations {
		errs = append(errs, validateMutation(m, spec.Child("mutations").Index(i))...)
	}
	return errs
}

func validateMutation(m admissionv1.Mutation, path *field.Path) field.ErrorList {
	apply, patch := path.Child("applyConfiguration"), path.Child("jsonPatch")
	var errs field.ErrorList
	switch m.PatchType {
	case admissionv1.PatchTypeApplyConfiguration:
		if m.ApplyConfiguration == nil {
			errs = append(errs, field.Required(apply, "must be specified when patchType is ApplyConfiguration"))
		} else {
			errs = append(errs, validateExpression(m.ApplyConfiguration.Expression, apply.Child("expression"))...)
		}
		if m.JSONPatch != nil {
			errs = append(errs, field.Forbidden(patch, "must not be specified when patchType is ApplyConfiguration"))
		}
	case admissionv1.PatchTypeJSONPatch:
		if m.JSONPatch == nil {
			errs = append(errs, field.Required(patch, "must be specified when patchType is JSONPatch"))
		} else {
			errs = append(errs, validateExpression(m.JSONPatch.Expression, patch.Child("expression"))...)
		}
		if m.ApplyConfiguration != nil {
			errs = append(errs, field.Forbidden(apply, "must not be specified when patchType is JSONPatch"))
		}
	case "":
		errs = append(errs, field.Required(path.Child("patchType"), ""))
	default:
		errs = append(errs, declare.OneOf(&m.PatchType, path.Child("patchType"), admissionv1.PatchTypeApplyConfiguration, admissionv1.PatchTypeJSONPatch)...)
	}
	return errs
}

// validatePolicy checks what both kinds of policy have.
func validatePolicy(params *admissionv1.ParamKind, match *admissionv1.MatchResources, failure *admissionv1.FailurePolicyType,
	variables []admissionv1.Variable, conditions []admissionv1.MatchCondition,
) field.ErrorList {
	spec := field.NewPath("spec")
	errs := declare.OneOf(failure, spec.Child("failurePolicy"), admissionv1.Ignore, admissionv1.Fail)
	errs = append(errs, validateParamKind(params, spec.Child("paramKind"))...)
	if match == nil {
		errs = append(errs, field.Required(spec.Child("matchConstraints"), ""))
	} else {
		errs = append(errs, validateMatch(match, spec.Child("matchConstraints"))...)
		if len(match.ResourceRules) == 0 {
			errs = append(errs, field.Required(spec.Child("matchConstraints", "resourceRules"), ""))
		}
	}
	seen := make(map[string]bool)
	for i, v := range variables {
		at := spec.Child("variables").Index(i)
		switch {
		case v.Name == "":
			errs = append(errs, field.Required(at.Child("name"), ""))
		case seen[v.Name]:
			errs = append(errs, field.Duplicate(at.Child("name"), v.Name))
		default:
			errs = append(errs, declare.Invalid(validation.IsCIdentifier(v.Name), at.Child("name"), v.Name)...)
		}
		seen[v.Name] = true
		errs = append(errs, validateExpression(v.Expression, at.Child("expression"))...)
	}
	return append(errs, validateMatchConditions(conditions, spec.Child("matchConditions"))...)
}

func validateParamKind(kind *admissionv1.ParamKind, path *field.Path) field.ErrorList {
	if kind == nil {
		return nil
	}
	var errs field.ErrorList
	if kind.APIVersion == "" {
		errs = append(errs, field.Required(path.Child("apiVersion"), ""))
	} else if _, err := schema.ParseGroupVersion(kind.APIVersion); err != nil {
		errs = append(errs, field.Invalid(path.Child("apiVersion"), kind.APIVersion, "must be a group and a version, or a version alone"))
	}
	if kind.Kind == "" {
		errs = append(errs, field.Required(path.Child("kind"), ""))
	}
	return errs
}

func validateMatch(m *admissionv1.MatchResources, path *field.Path) field.ErrorList {
	errs := declare.OneOf(m.MatchPolicy, path.Child("matchPolicy"), admissionv1.Exact, admissionv1.Equivalent)
	errs = append(errs, validateSelector(m.NamespaceSelector, path.Child("namespaceSelector"))...)
	errs = append(errs, validateSelector(m.ObjectSelector, path.Child("objectSelector"))...)
	for _, list := range []struct {
		name  string
		rules []admissionv1.NamedRuleWithOperations
	}{{"resourceRules", m.ResourceRules}, {"excludeResourceRules", m.ExcludeResourceRules}} {
		for i := range list.rules {
			at := path.Child(list.name).Index(i)
			errs = append(errs, validateRule(&list.rules[i].RuleWithOperations, at)...)
			for j, name := range list.rules[i].ResourceNames {
				errs = append(errs, declare.Invalid(validation.IsDNS1123Subdomain(name), at.Child("resourceNames").Index(j), name)...)
			}
		}
	}
	return errs
}

func validateBinding(policy string, params *admissionv1.ParamRef, match *admissionv1.MatchResources) field.ErrorList {
	spec := field.NewPath("spec")
	var errs field.ErrorList
	if policy == "" {
		errs = append(errs, field.Required(spec.Child("policyName"), ""))
	} else {
		errs = append(errs, declare.Invalid(validation.IsDNS1123Subdomain(policy), spec.Child("policyName"), policy)...)
	}
	if match != nil {
		errs = append(errs, validateMatch(match, spec.Child("matchResources"))...)
	}
	if params == nil {
		return errs
	}
	at := spec.Child("paramRef")
	switch {
	case params.Name != "" && params.Selector != nil:
		errs = append(errs, field.Forbidden(at.Child("name"), "name and selector are mutually exclusive"))
	case params.Name == "" && params.Selector == nil:
		errs = append(errs, field.Required(at, "one of name or selector must be specified"))
	case params.Name != "":
		errs = append(errs, declare.Invalid(validation.IsDNS1123Subdomain(params.Name), at.Child("name"), params.Name)...)
	}
	errs = append(errs, validateSelector(params.Selector, at.Child("selector"))...)
	if params.ParameterNotFoundAction == nil {
		return append(errs, field.Required(at.Child("parameterNotFoundAction"), ""))
	}
	return append(errs, declare.OneOf(params.ParameterNotFoundAction, at.Child("parameterNotFoundAction"), admissionv1.DenyAction, admissionv1.AllowAction)...)
}

func validateActions(actions []admissionv1.ValidationAction, path *field.Path) field.ErrorList {
	if len(actions) == 0 {
		return field.ErrorList{field.Required(path, "at least one validation action is required")}
	}
	var errs field.ErrorList
	seen := make(map[admissionv1.ValidationAction]bool)
	for i, action := range actions {
		errs = append(errs, declare.OneOf(&action, path.Index(i), admissionv1.Deny, admissionv1.Warn, admissionv1.Audit)...)
		if seen[action] {
			errs = append(errs, field.Duplicate(path.Index(i), action))
		}
		seen[action] = true
	}
	if seen[admissionv1.Deny] && seen[admissionv1.Warn] {
		errs = append(errs, field.Invalid(path, fmt.Sprint(actions), "must not contain both Deny and Warn (repeating the same validation failure information in the API response and headers serves no purpose)"))
	}
	return errs
}
