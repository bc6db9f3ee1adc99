package core

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/portico-api/portico/delegation/registry"
	"github.com/portico-api/portico/delegation/registry/declare"
)

func serviceAccounts() registry.Resource {
	strategy := declare.Rules[*corev1.ServiceAccount]{Validate: validateServiceAccount}.Strategy()
	strategy.AllowUnconditionalUpdate = true
	return registry.Resource{
		GroupVersion: corev1.SchemeGroupVersion,
		Kind:         "ServiceAccount",
		Name:         "serviceaccounts",
		SingularName: "serviceaccount",
		ShortNames:   []string{"sa"},
		Namespaced:   true,
		New:          func() runtime.Object { return &corev1.ServiceAccount{} },
		NewList:      func() runtime.Object { return &corev1.ServiceAccountList{} },
		Strategy:     strategy,
		Table: declare.Table(func(sa *corev1.ServiceAccount) []any {
			return []any{sa.Name, declare.Age(&sa.ObjectMeta)}
		}, declare.NameColumn(), declare.AgeColumn()),
	}
}

// validateServiceAccount checks the one reference that would be read as a namespace crossing: a
// service account's secrets are those of its own namespace.
func validateServiceAccount(sa *corev1.ServiceAccount) field.ErrorList {
	var errs field.ErrorList
	for i, secret := range sa.Secrets {
		if secret.Namespace != "" && secret.Namespace != sa.Namespace {
			errs = append(errs, field.Invalid(field.NewPath("secrets").Index(i).Child("namespace"), secret.Namespace, "must be the namespace of the service account"))
		}
	}
	return errs
}
