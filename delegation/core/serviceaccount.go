package core

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/portico-api/portico/delegation/registry"
)

func serviceAccounts() registry.Resource {
	strategy := rules[*corev1.ServiceAccount]{validate: validateServiceAccount}.strategy()
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
		Table: table(func(sa *corev1.ServiceAccount) []any {
			return []any{sa.Name, age(&sa.ObjectMeta)}
		}, nameColumn(), ageColumn()),
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
