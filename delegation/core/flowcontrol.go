package core

import (
	"context"
	"fmt"
	"slices"
	"strings"

	flowcontrolv1 "k8s.io/api/flowcontrol/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/portico-api/portico/delegation/registry"
	"github.com/portico-api/portico/delegation/registry/declare"
)

// Flow schemas and priority levels are stored for the extension API servers behind this one, whose
// own flow control follows them; Portico's limits are still those of its flags.

const defaultMatchingPrecedence = 1000

func flowSchemas() registry.Resource {
	strategy := declare.Rules[*flowcontrolv1.FlowSchema]{
		SetDefaults: func(s *flowcontrolv1.FlowSchema) {
			if s.Spec.MatchingPrecedence == 0 {
				s.Spec.MatchingPrecedence = defaultMatchingPrecedence
			}
		},
		Create: func(_ context.Context, s *flowcontrolv1.FlowSchema) { s.Status = flowcontrolv1.FlowSchemaStatus{} },
		Update: func(_ context.Context, s, old *flowcontrolv1.FlowSchema) { s.Status = old.Status },
		Validate: func(s *flowcontrolv1.FlowSchema) field.ErrorList {
			return append(validateFlowSchema(s), validateFlowSchemaStatus(s)...)
		},
		ValidateStatus: func(s, _ *flowcontrolv1.FlowSchema) field.ErrorList { return validateFlowSchemaStatus(s) },
	}.Strategy()
	strategy.Generation = true
	strategy.AllowUnconditionalUpdate = true
	return registry.Resource{
		GroupVersion: flowcontrolv1.SchemeGroupVersion,
		Kind:         "FlowSchema",
		Name:         "flowschemas",
		SingularName: "flowschema",
		New:          func() runtime.Object { return &flowcontrolv1.FlowSchema{} },
		NewList:      func() runtime.Object { return &flowcontrolv1.FlowSchemaList{} },
		Strategy:     strategy,
		Status:       true,
		Table: declare.Table(flowSchemaCells, declare.NameColumn(),
			declare.Column("PriorityLevel", flowcontrolv1.FlowSchemaSpec{}.SwaggerDoc()["priorityLevelConfiguration"]),
			declare.IntegerColumn("MatchingPrecedence", flowcontrolv1.FlowSchemaSpec{}.SwaggerDoc()["matchingPrecedence"]),
			declare.Column("DistinguisherMethod", flowcontrolv1.FlowSchemaSpec{}.SwaggerDoc()["distinguisherMethod"]),
			declare.AgeColumn(),
			declare.Column("MissingPL", "Whether the priority level that the schema refers to is missing.")),
	}
}

func flowSchemaCells(s *flowcontrolv1.FlowSchema) []any {
	method := declare.NoneCell
	if s.Spec.DistinguisherMethod != nil {
		method = string(s.Spec.DistinguisherMethod.Type)
	}
	missing := "?"
	for _, condition := range s.Status.Conditions {
		if condition.Type == flowcontrolv1.FlowSchemaConditionDangling {
			missing = string(condition.Status)
		}
	}
	return []any{s.Name, s.Spec.PriorityLevelConfiguration.Name, int64(s.Spec.MatchingPrecedence), method, declare.Age(&s.ObjectMeta), missing}
}

func validateFlowSchema(s *flowcontrolv1.FlowSchema) field.ErrorList {
	spec := field.NewPath("spec")
	var errs field.ErrorList
	precedence := s.Spec.MatchingPrecedence
	if precedence < 1 || precedence > flowcontrolv1.FlowSchemaMaxMatchingPrecedence {
		errs = append(errs, field.Invalid(spec.Child("matchingPrecedence"), precedence, fmt.Sprintf("must be in the range 1 to %d", flowcontrolv1.FlowSchemaMaxMatchingPrecedence)))
	}
	if precedence == 1 && s.Name != flowcontrolv1.FlowSchemaNameExempt {
		errs = append(errs, field.Invalid(spec.Child("matchingPrecedence"), precedence, "only the schema named 'exempt' may have matchingPrecedence 1"))
	}
	if method := s.Spec.DistinguisherMethod; method != nil {
		errs = append(errs, declare.OneOf(&method.Type, spec.Child("distinguisherMethod", "type"),
			flowcontrolv1.FlowDistinguisherMethodByUserType, flowcontrolv1.FlowDistinguisherMethodByNamespaceType)...)
	}
	level := s.Spec.PriorityLevelConfiguration.Name
	if at := spec.Child("priorityLevelConfiguration", "name"); level == "" {
		errs = append(errs, field.Required(at, "must reference a priority level"))
	} else {
		errs = append(errs, declare.Invalid(validation.IsDNS1123Subdomain(level), at, level)...)
	}
	for i := range s.Spec.Rules {
		errs = append(errs, validateFlowRule(&s.Spec.Rules[i], spec.Child("rules").Index(i))...)
	}
	return errs
}

func validateFlowRule(r *flowcontrolv1.PolicyRulesWithSubjects, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	if len(r.Subjects) == 0 {
		errs = append(errs, field.Required(path.Child("subjects"), "subjects must contain at least one value"))
	}
	for i := range r.Subjects {
		errs = append(errs, validateFlowSubject(&r.Subjects[i], path.Child("subjects").Index(i))...)
	}
	if len(r.ResourceRules) == 0 && len(r.NonResourceRules) == 0 {
		errs = append(errs, field.Required(path, "at least one of resourceRules and nonResourceRules has to be non-empty"))
	}
	for i, rule := range r.ResourceRules {
		at := path.Child("resourceRules").Index(i)
		errs = append(errs, validateFlowList(rule.Verbs, at.Child("verbs"))...)
		errs = append(errs, validateFlowList(rule.APIGroups, at.Child("apiGroups"))...)
		errs = append(errs, validateFlowList(rule.Resources, at.Child("resources"))...)
		if len(rule.Namespaces) == 0 && !rule.ClusterScope {
			errs = append(errs, field.Required(at.Child("namespaces"), "resource rules that are not cluster scoped must supply at least one namespace"))
		}
		if len(rule.Namespaces) > 1 && slices.Contains(rule.Namespaces, flowcontrolv1.NamespaceEvery) {
			errs = append(errs, field.Invalid(at.Child("namespaces"), rule.Namespaces, "if '*' is present, must not specify other namespaces"))
		}
		for j, namespace := range rule.Namespaces {
			if namespace != flowcontrolv1.NamespaceEvery {
				errs = append(errs, declare.Invalid(validation.IsDNS1123Label(namespace), at.Child("namespaces").Index(j), namespace)...)
			}
		}
	}
	for i, rule := range r.NonResourceRules {
		at := path.Child("nonResourceRules").Index(i)
		errs = append(errs, validateFlowList(rule.Verbs, at.Child("verbs"))...)
		errs = append(errs, validateFlowList(rule.NonResourceURLs, at.Child("nonResourceURLs"))...)
		for j, url := range rule.NonResourceURLs {
			errs = append(errs, validateFlowURL(url, at.Child("nonResourceURLs").Index(j))...)
		}
	}
	return errs
}

func validateFlowList(values []string, path *field.Path) field.ErrorList {
	if len(values) == 0 {
		return field.ErrorList{field.Required(path, "must contain at least one value")}
	}
	if len(values) > 1 && slices.Contains(values, "*") {
		return field.ErrorList{field.Invalid(path, values, "if '*' is present, must not specify other values")}
	}
	return nil
}

func validateFlowURL(url string, path *field.Path) field.ErrorList {
	stem := strings.TrimSuffix(url, "*")
	switch {
	case url == flowcontrolv1.NonResourceAll:
		return nil
	case !strings.HasPrefix(url, "/"):
		return field.ErrorList{field.Invalid(path, url, "must start with slash")}
	case strings.ContainsAny(url, " "), strings.Contains(url, "//"):
		return field.ErrorList{field.Invalid(path, url, "must not contain white-space or double slash")}
	case strings.Contains(stem, "*"), stem != url && !strings.HasSuffix(stem, "/"):
		return field.ErrorList{field.Invalid(path, url, "wildcard can only do suffix matching")}
	}
	return nil
}

func validateFlowSubject(s *flowcontrolv1.Subject, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for _, member := range []struct {
		kind flowcontrolv1.SubjectKind
		name string
		set  bool
	}{
		{flowcontrolv1.SubjectKindUser, "user", s.User != nil},
		{flowcontrolv1.SubjectKindGroup, "group", s.Group != nil},
		{flowcontrolv1.SubjectKindServiceAccount, "serviceAccount", s.ServiceAccount != nil},
	} {
		switch {
		case member.kind == s.Kind && !member.set:
			errs = append(errs, field.Required(path.Child(member.name), fmt.Sprintf("%s is required when subject kind is '%s'", member.name, s.Kind)))
		case member.kind != s.Kind && member.set:
			errs = append(errs, field.Forbidden(path.Child(member.name), fmt.Sprintf("%s is forbidden when subject kind is not '%s'", member.name, member.kind)))
		}
	}
	errs = append(errs, declare.OneOf(&s.Kind, path.Child("kind"), flowcontrolv1.SubjectKindUser, flowcontrolv1.SubjectKindGroup, flowcontrolv1.SubjectKindServiceAccount)...)
	required := func(value string, at *field.Path) {
		if value == "" {
			errs = append(errs, field.Required(at, ""))
		}
	}
	if s.User != nil {
		required(s.User.Name, path.Child("user", "name"))
	}
	if s.Group != nil {
		required(s.Group.Name, path.Child("group", "name"))
	}
	if s.ServiceAccount != nil {
		required(s.ServiceAccount.Name, path.Child("serviceAccount", "name"))
		required(s.ServiceAccount.Namespace, path.Child("serviceAccount", "namespace"))
	}
	return errs
}

func validateFlowSchemaStatus(s *flowcontrolv1.FlowSchema) field.ErrorList {
	var errs field.ErrorList
	seen := make(map[flowcontrolv1.FlowSchemaConditionType]bool)
	for i, condition := range s.Status.Conditions {
		path := field.NewPath("status", "conditions").Index(i).Child("type")
		switch {
		case condition.Type == "":
			errs = append(errs, field.Required(path, ""))
		case seen[condition.Type]:
			errs = append(errs, field.Duplicate(path, condition.Type))
		}
		seen[condition.Type] = true
	}
	return errs
}
