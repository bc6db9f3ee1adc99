package quota

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/portico-api/portico/delegation/registry"
	"github.com/portico-api/portico/delegation/registry/declare"
)

// ResourceQuotas declares resourcequotas.
func ResourceQuotas() registry.Resource {
	strategy := declare.Rules[*corev1.ResourceQuota]{
		Create:         func(_ context.Context, q *corev1.ResourceQuota) { q.Status = corev1.ResourceQuotaStatus{} },
		Validate:       validateQuota,
		ValidateUpdate: validateQuotaUpdate,
		ValidateStatus: func(q, _ *corev1.ResourceQuota) field.ErrorList { return validateQuotaStatus(q) },
	}.Strategy()
	strategy.AllowUnconditionalUpdate = true
	return registry.Resource{
		GroupVersion: corev1.SchemeGroupVersion,
		Kind:         "ResourceQuota",
		Name:         "resourcequotas",
		SingularName: "resourcequota",
		ShortNames:   []string{"quota"},
		Namespaced:   true,
		New:          func() runtime.Object { return &corev1.ResourceQuota{} },
		NewList:      func() runtime.Object { return &corev1.ResourceQuotaList{} },
		Strategy:     strategy,
		Status:       true,
		Table: declare.Table(func(q *corev1.ResourceQuota) []any {
			requests, limits := quotaCells(q)
			return []any{q.Name, requests, limits, declare.Age(&q.ObjectMeta)}
		}, declare.NameColumn(), declare.Column("Request", "What is used of what may be, but for limits."),
			declare.Column("Limit", "What is used of the limits that there may be."), declare.AgeColumn()),
	}
}

// quotaCells shows what is used of each, the limits of containers apart.
func quotaCells(q *corev1.ResourceQuota) (requests, limits string) {
	var plain, limited []string
	for _, name := range slices.Sorted(maps.Keys(q.Status.Hard)) {
		hard, used := q.Status.Hard[name], q.Status.Used[name]
		cell := fmt.Sprintf("%s: %s/%s", name, used.String(), hard.String())
		if strings.HasPrefix(string(name), "limits.") {
			limited = append(limited, cell)
		} else {
			plain = append(plain, cell)
		}
	}
	return strings.Join(plain, ", "), strings.Join(limited, ", ")
}

func validateQuota(q *corev1.ResourceQuota) field.ErrorList {
	problems := validateQuantities(q.Spec.Hard, field.NewPath("spec", "hard"))
	return append(problems, validateScopes(&q.Spec, field.NewPath("spec"))...)
}

func validateQuotaUpdate(q, old *corev1.ResourceQuota) field.ErrorList {
	if slices.Equal(q.Spec.Scopes, old.Spec.Scopes) && equality.Semantic.DeepEqual(q.Spec.ScopeSelector, old.Spec.ScopeSelector) {
		return nil
	}
	return field.ErrorList{field.Invalid(field.NewPath("spec", "scopes"), q.Spec.Scopes, "field is immutable")}
}

func validateQuotaStatus(q *corev1.ResourceQuota) field.ErrorList {
	problems := validateQuantities(q.Status.Hard, field.NewPath("status", "hard"))
	return append(problems, validateQuantities(q.Status.Used, field.NewPath("status", "used"))...)
}

func validateQuantities(all corev1.ResourceList, path *field.Path) field.ErrorList {
	var problems field.ErrorList
	for name, amount := range all {
		at := path.Key(string(name))
		for _, message := range validation.IsQualifiedName(string(name)) {
			problems = append(problems, field.Invalid(at, name, message))
		}
		if !strings.Contains(string(name), "/") && !slices.Contains(plainNames(), name) && !isOfContainers(name) {
			problems = append(problems, field.Invalid(at, name, "must be a standard resource type or fully qualified"))
		}
		if amount.Sign() < 0 {
			problems = append(problems, field.Invalid(at, amount.String(), "must be greater than or equal to 0"))
		}
		if isCount(name) && amount.MilliValue()%1000 != 0 {
			problems = append(problems, field.Invalid(at, amount.String(), "must be an integer"))
		}
	}
	return problems
}

// plainNames are the objects that can be counted by a name of their own.
func plainNames() []corev1.ResourceName {
	return []corev1.ResourceName{
		corev1.ResourceConfigMaps, corev1.ResourceSecrets, corev1.ResourceServices, corev1.ResourceServicesNodePorts, corev1.ResourceServicesLoadBalancers,
		corev1.ResourceQuotas, corev1.ResourcePersistentVolumeClaims, corev1.ResourceReplicationControllers, corev1.ResourcePods,
	}
}

// isOfContainers tells whether a name is about what containers use, which nobody does here.
func isOfContainers(name corev1.ResourceName) bool {
	bare := strings.TrimPrefix(strings.TrimPrefix(string(name), "requests."), "limits.")
	return slices.Contains([]string{"cpu", "memory", "storage", "ephemeral-storage"}, bare)
}

func isCount(name corev1.ResourceName) bool {
	return strings.HasPrefix(string(name), countPrefix) || slices.Contains(plainNames(), name)
}

func validateScopes(spec *corev1.ResourceQuotaSpec, path *field.Path) field.ErrorList {
	known := []corev1.ResourceQuotaScope{
		corev1.ResourceQuotaScopeTerminating, corev1.ResourceQuotaScopeNotTerminating, corev1.ResourceQuotaScopeBestEffort, corev1.ResourceQuotaScopeNotBestEffort,
		corev1.ResourceQuotaScopePriorityClass, corev1.ResourceQuotaScopeCrossNamespacePodAffinity, corev1.ResourceQuotaScopeVolumeAttributesClass,
	}
	var problems field.ErrorList
	for i := range spec.Scopes {
		problems = append(problems, declare.OneOf(&spec.Scopes[i], path.Child("scopes").Index(i), known...)...)
	}
	if spec.ScopeSelector == nil {
		return problems
	}
	for i := range spec.ScopeSelector.MatchExpressions {
		at, e := path.Child("scopeSelector", "matchExpressions").Index(i), &spec.ScopeSelector.MatchExpressions[i]
		problems = append(problems, declare.OneOf(&e.ScopeName, at.Child("scopeName"), known...)...)
		problems = append(problems, declare.OneOf(&e.Operator, at.Child("operator"),
			corev1.ScopeSelectorOpIn, corev1.ScopeSelectorOpNotIn, corev1.ScopeSelectorOpExists, corev1.ScopeSelectorOpDoesNotExist)...)
		if listed := e.Operator == corev1.ScopeSelectorOpIn || e.Operator == corev1.ScopeSelectorOpNotIn; listed != (len(e.Values) > 0) {
			problems = append(problems, field.Invalid(at.Child("values"), e.Values, "must be given for In and NotIn, and for no other operator"))
		}
	}
	return problems
}

// isScoped tells whether a quota is for some pods only. It then counts nothing else.
func isScoped(q *corev1.ResourceQuota) bool {
	return len(q.Spec.Scopes) > 0 || q.Spec.ScopeSelector != nil
}

func amount(n int64) resource.Quantity { return *resource.NewQuantity(n, resource.DecimalSI) }
