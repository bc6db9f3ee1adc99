package extensions

import (
	"context"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/portico-api/portico/handler"
)

// warnOfFinalizers tells of new finalizers whose names another controller might use as well. They are no errors: definitions are older than the
// rule. old is nil for a new object.
func warnOfFinalizers(ctx context.Context, obj, old runtime.Object) {
	m, err := meta.Accessor(obj)
	if err != nil {
		return
	}
	var known []string
	if old != nil {
		if before, err := meta.Accessor(old); err == nil {
			known = before.GetFinalizers()
		}
	}
	names := slices.Clone(m.GetFinalizers())
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		if slices.Contains(known, name) {
			continue
		}
		for _, problem := range finalizerProblems(name) {
			handler.AddWarning(ctx, fmt.Sprintf("metadata.finalizers: %q: %s", name, problem))
		}
	}
}

func finalizerProblems(name string) []string {
	problems := validation.IsQualifiedName(name)
	switch name {
	case metav1.FinalizerOrphanDependents, metav1.FinalizerDeleteDependents, string(corev1.FinalizerKubernetes):
		return problems
	}
	if strings.Contains(name, "/") {
		return problems
	}
	advice := "prefer a domain-qualified finalizer name "
	if strings.Contains(name, ".") {
		advice += "including a path (/) "
	}
	return append(problems, advice+"to avoid accidental conflicts with other finalizer writers")
}
