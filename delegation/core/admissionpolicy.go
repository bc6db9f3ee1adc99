package core

import (
	admissionv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/portico-api/portico/delegation/admission"
	"github.com/portico-api/portico/delegation/registry"
	"github.com/portico-api/portico/delegation/registry/declare"
)

func validatingAdmissionPolicies(e *admission.Expressions) registry.Resource {
	strategy := declare.Rules[*admissionv1.ValidatingAdmissionPolicy]{
		SetDefaults: func(p *admissionv1.ValidatingAdmissionPolicy) {
			declare.SetDefault(&p.Spec.FailurePolicy, admissionv1.Fail)
			defaultMatch(p.Spec.MatchConstraints)
		},
		Validate: func(p *admissionv1.ValidatingAdmissionPolicy) field.ErrorList {
			return append(validateValidatingPolicy(p), e.ValidatingPolicy(p)...)
		},
	}.Strategy()
	strategy.Generation = true
	return registry.Resource{
		GroupVersion: admissionv1.SchemeGroupVersion,
		Kind:         "ValidatingAdmissionPolicy",
		Name:         "validatingadmissionpolicies",
		SingularName: "validatingadmissionpolicy",
		Categories:   []string{"api-extensions"},
		New:          func() runtime.Object { return &admissionv1.ValidatingAdmissionPolicy{} },
		NewList:      func() runtime.Object { return &admissionv1.ValidatingAdmissionPolicyList{} },
		Strategy:     strategy,
		Status:       true,
		Table: declare.Table(func(p *admissionv1.ValidatingAdmissionPolicy) []any {
			return []any{p.Name, int64(len(p.Spec.Validations)), paramKindCell(p.Spec.ParamKind), declare.Age(&p.ObjectMeta)}
		}, declare.NameColumn(),
			declare.IntegerColumn("Validations", "How many validations the policy lists."),
			declare.Column("ParamKind", "The kind of the policy's parameters."), declare.AgeColumn()),
	}
}

func mutatingAdmissionPolicies(e *admission.Expressions) registry.Resource {
	strategy := declare.Rules[*admissionv1.MutatingAdmissionPolicy]{
		SetDefaults: func(p *admissionv1.MutatingAdmissionPolicy) {
			declare.SetDefault(&p.Spec.FailurePolicy, admissionv1.Fail)
			if p.Spec.ReinvocationPolicy == "" {
				p.Spec.ReinvocationPolicy = admissionv1.NeverReinvocationPolicy
			}
			defaultMatch(p.Spec.MatchConstraints)
		},
		Validate: func(p *admissionv1.MutatingAdmissionPolicy) field.ErrorList {
			return append(validateMutatingPolicy(p), e.MutatingPolicy(p)...)
		},
	}.Strategy()
	strategy.Generation = true
	return registry.Resource{
		GroupVersion: admissionv1.SchemeGroupVersion,
		Kind:         "MutatingAdmissionPolicy",
		Name:         "mutatingadmissionpolicies",
		SingularName: "mutatingadmissionpolicy",
		Categories:   []string{"api-extensions"},
		New:          func() runtime.Object { return &admissionv1.MutatingAdmissionPolicy{} },
		NewList:      func() runtime.Object { return &admissionv1.MutatingAdmissionPolicyList{} },
		Strategy:     strategy,
		Table: declare.Table(func(p *admissionv1.MutatingAdmissionPolicy) []any {
			return []any{p.Name, int64(len(p.Spec.Mutations)), paramKindCell(p.Spec.ParamKind), declare.Age(&p.ObjectMeta)}
		}, declare.NameColumn(),
			declare.IntegerColumn("Mutations", "How many mutations the policy lists."),
			declare.Column("ParamKind", "The kind of the policy's parameters."), declare.AgeColumn()),
	}
}

func validatingAdmissionPolicyBindings() registry.Resource {
	strategy := declare.Rules[*admissionv1.ValidatingAdmissionPolicyBinding]{
		SetDefaults: func(b *admissionv1.ValidatingAdmissionPolicyBinding) { defaultMatch(b.Spec.MatchResources) },
		Validate: func(b *admissionv1.ValidatingAdmissionPolicyBinding) field.ErrorList {
			errs := validateBinding(b.Spec.PolicyName, b.Spec.ParamRef, b.Spec.MatchResources)
			return append(errs, validateActions(b.Spec.ValidationActions, field.NewPath("spec", "validationActions"))...)
		},
	}.Strategy()
	strategy.Generation = true
	return registry.Resource{
		GroupVersion: admissionv1.SchemeGroupVersion,
		Kind:         "ValidatingAdmissionPolicyBinding",
		Name:         "validatingadmissionpolicybindings",
		SingularName: "validatingadmissionpolicybinding",
		Categories:   []string{"api-extensions"},
		New:          func() runtime.Object { return &admissionv1.ValidatingAdmissionPolicyBinding{} },
		NewList:      func() runtime.Object { return &admissionv1.ValidatingAdmissionPolicyBindingList{} },
		Strategy:     strategy,
		Table: declare.Table(func(b *admissionv1.ValidatingAdmissionPolicyBinding) []any {
			return []any{b.Name, b.Spec.PolicyName, paramRefCell(b.Spec.ParamRef), declare.Age(&b.ObjectMeta)}
		}, policyBindingColumns()...),
	}
}

func mutatingAdmissionPolicyBindings() registry.Resource {
	strategy := declare.Rules[*admissionv1.MutatingAdmissionPolicyBinding]{
		SetDefaults: func(b *admissionv1.MutatingAdmissionPolicyBinding) { defaultMatch(b.Spec.MatchResources) },
		Validate: func(b *admissionv1.MutatingAdmissionPolicyBinding) field.ErrorList {
			return validateBinding(b.Spec.PolicyName, b.Spec.ParamRef, b.Spec.MatchResources)
		},
	}.Strategy()
	strategy.Generation = true
	return registry.Resource{
		GroupVersion: admissionv1.SchemeGroupVersion,
		Kind:         "MutatingAdmissionPolicyBinding",
		Name:         "mutatingadmissionpolicybindings",
		SingularName: "mutatingadmissionpolicybinding",
		Categories:   []string{"api-extensions"},
		New:          func() runtime.Object { return &admissionv1.MutatingAdmissionPolicyBinding{} },
		NewList:      func() runtime.Object { return &admissionv1.MutatingAdmissionPolicyBindingList{} },
		Strategy:     strategy,
		Table: declare.Table(func(b *admissionv1.MutatingAdmissionPolicyBinding) []any {
			return []any{b.Name, b.Spec.PolicyName, paramRefCell(b.Spec.ParamRef), declare.Age(&b.ObjectMeta)}
		}, policyBindingColumns()...),
	}
}

func policyBindingColumns() []metav1.TableColumnDefinition {
	return []metav1.TableColumnDefinition{declare.NameColumn(),
		declare.Column("PolicyName", "The policy that is bound."),
		declare.Column("ParamRef", "The parameters of the policy."), declare.AgeColumn()}
}

func paramKindCell(kind *admissionv1.ParamKind) string {
	if kind == nil {
		return declare.UnsetCell
	}
	return kind.APIVersion + "/" + kind.Kind
}

func paramRefCell(ref *admissionv1.ParamRef) string {
	switch {
	case ref == nil:
		return declare.UnsetCell
	case ref.Name == "":
		return metav1.FormatLabelSelector(ref.Selector)
	case ref.Namespace == "":
		return ref.Name
	}
	return ref.Namespace + "/" + ref.Name
}
