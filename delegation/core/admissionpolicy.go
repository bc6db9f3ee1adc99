package core

import (
	"context"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/portico-api/portico/delegation/registry"
	"github.com/portico-api/portico/handler"
)

func validatingAdmissionPolicies() registry.Resource {
	strategy := rules[*admissionv1.ValidatingAdmissionPolicy]{
		setDefaults: func(p *admissionv1.ValidatingAdmissionPolicy) {
			orDefault(&p.Spec.FailurePolicy, admissionv1.Fail)
			defaultMatch(p.Spec.MatchConstraints)
		},
		create: func(ctx context.Context, p *admissionv1.ValidatingAdmissionPolicy) {
			p.Status = admissionv1.ValidatingAdmissionPolicyStatus{}
			handler.AddWarning(ctx, policiesNotEvaluated)
		},
		update: func(ctx context.Context, p, old *admissionv1.ValidatingAdmissionPolicy) {
			p.Status = old.Status
			handler.AddWarning(ctx, policiesNotEvaluated)
		},
		validate: validateValidatingPolicy,
	}.strategy()
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
		Table: table(func(p *admissionv1.ValidatingAdmissionPolicy) []any {
			return []any{p.Name, int64(len(p.Spec.Validations)), paramKindCell(p.Spec.ParamKind), age(&p.ObjectMeta)}
		}, nameColumn(),
			integerColumn("Validations", "How many validations the policy lists."),
			column("ParamKind", "The kind of the policy's parameters."), ageColumn()),
	}
}

func mutatingAdmissionPolicies() registry.Resource {
	strategy := warnOnWrite(rules[*admissionv1.MutatingAdmissionPolicy]{
		setDefaults: func(p *admissionv1.MutatingAdmissionPolicy) {
			orDefault(&p.Spec.FailurePolicy, admissionv1.Fail)
			if p.Spec.ReinvocationPolicy == "" {
				p.Spec.ReinvocationPolicy = admissionv1.NeverReinvocationPolicy
			}
			defaultMatch(p.Spec.MatchConstraints)
		},
		validate: validateMutatingPolicy,
	}, policiesNotEvaluated).strategy()
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
		Table: table(func(p *admissionv1.MutatingAdmissionPolicy) []any {
			return []any{p.Name, int64(len(p.Spec.Mutations)), paramKindCell(p.Spec.ParamKind), age(&p.ObjectMeta)}
		}, nameColumn(),
			integerColumn("Mutations", "How many mutations the policy lists."),
			column("ParamKind", "The kind of the policy's parameters."), ageColumn()),
	}
}

func validatingAdmissionPolicyBindings() registry.Resource {
	strategy := warnOnWrite(rules[*admissionv1.ValidatingAdmissionPolicyBinding]{
		setDefaults: func(b *admissionv1.ValidatingAdmissionPolicyBinding) { defaultMatch(b.Spec.MatchResources) },
		validate: func(b *admissionv1.ValidatingAdmissionPolicyBinding) field.ErrorList {
			errs := validateBinding(b.Spec.PolicyName, b.Spec.ParamRef, b.Spec.MatchResources)
			return append(errs, validateActions(b.Spec.ValidationActions, field.NewPath("spec", "validationActions"))...)
		},
	}, policiesNotEvaluated).strategy()
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
		Table: table(func(b *admissionv1.ValidatingAdmissionPolicyBinding) []any {
			return []any{b.Name, b.Spec.PolicyName, paramRefCell(b.Spec.ParamRef), age(&b.ObjectMeta)}
		}, policyBindingColumns()...),
	}
}

func mutatingAdmissionPolicyBindings() registry.Resource {
	strategy := warnOnWrite(rules[*admissionv1.MutatingAdmissionPolicyBinding]{
		setDefaults: func(b *admissionv1.MutatingAdmissionPolicyBinding) { defaultMatch(b.Spec.MatchResources) },
		validate: func(b *admissionv1.MutatingAdmissionPolicyBinding) field.ErrorList {
			return validateBinding(b.Spec.PolicyName, b.Spec.ParamRef, b.Spec.MatchResources)
		},
	}, policiesNotEvaluated).strategy()
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
		Table: table(func(b *admissionv1.MutatingAdmissionPolicyBinding) []any {
			return []any{b.Name, b.Spec.PolicyName, paramRefCell(b.Spec.ParamRef), age(&b.ObjectMeta)}
		}, policyBindingColumns()...),
	}
}

func policyBindingColumns() []metav1.TableColumnDefinition {
	return []metav1.TableColumnDefinition{nameColumn(),
		column("PolicyName", "The policy that is bound."),
		column("ParamRef", "The parameters of the policy."), ageColumn()}
}

func paramKindCell(kind *admissionv1.ParamKind) string {
	if kind == nil {
		return unsetCell
	}
	return kind.APIVersion + "/" + kind.Kind
}

func paramRefCell(ref *admissionv1.ParamRef) string {
	switch {
	case ref == nil:
		return unsetCell
	case ref.Name == "":
		return metav1.FormatLabelSelector(ref.Selector)
	case ref.Namespace == "":
		return ref.Name
	}
	return ref.Namespace + "/" + ref.Name
}
