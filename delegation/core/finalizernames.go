package core

import (
	"context"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/portico-api/portico/delegation/registry"
)

// withFinalizerNames adds a rule that all built-in kinds have and custom ones have not: a finalizer without a domain must be one
// of those that every server knows. A misspelt one would keep its object for ever.
func withFinalizerNames(resource registry.Resource) registry.Resource {
	rules := resource.Strategy.Validate
	resource.Strategy.Validate = func(ctx context.Context, obj runtime.Object) field.ErrorList {
		problems := validateFinalizerNames(obj)
		if rules != nil {
			problems = append(problems, rules(ctx, obj)...)
		}
		return problems
	}
	return resource
}

func validateFinalizerNames(obj runtime.Object) field.ErrorList {
	m, err := meta.Accessor(obj)
	if err != nil {
		return nil
	}
	var problems field.ErrorList
	for i, name := range m.GetFinalizers() {
		switch name {
		case string(corev1.FinalizerKubernetes), metav1.FinalizerOrphanDependents, metav1.FinalizerDeleteDependents:
			continue
		}
		if !strings.Contains(name, "/") {
			path := field.NewPath("metadata", "finalizers").Index(i)
			problems = append(problems, field.Invalid(path, name, "name is neither a standard finalizer name nor is it fully qualified"))
		}
	}
	return problems
}
