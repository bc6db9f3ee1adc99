package core

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// namespaceRemains is what one pass over a namespace has found.
type namespaceRemains struct {
	objects    map[string]int // by resource
	finalizers map[string]int
	errs       []error
}

func newNamespaceRemains() *namespaceRemains {
	return &namespaceRemains{objects: make(map[string]int), finalizers: make(map[string]int)}
}

func (r *namespaceRemains) add(remaining Remaining, err error) {
	if err != nil {
		r.errs = append(r.errs, err)
	}
	if remaining.Objects > 0 {
		r.objects[remaining.Resource.Resource+"."+remaining.Resource.Group] += remaining.Objects
	}
	for finalizer, n := range remaining.Finalizers {
		r.finalizers[finalizer] += n
	}
}

func (r *namespaceRemains) isEmpty() bool { return len(r.objects) == 0 && len(r.errs) == 0 }

// conditions are the five that a namespace on its way out always has. A condition that says what
// it said before keeps the time since when it does.
func (r *namespaceRemains) conditions(before []corev1.NamespaceCondition, now metav1.Time) []corev1.NamespaceCondition {
	all := []corev1.NamespaceCondition{
		{Type: corev1.NamespaceDeletionDiscoveryFailure, Status: corev1.ConditionFalse, Reason: "ResourcesDiscovered", Message: "All resources successfully discovered"},
		{Type: corev1.NamespaceDeletionGVParsingFailure, Status: corev1.ConditionFalse, Reason: "ParsedGroupVersions", Message: "All legacy kube types successfully parsed"},
		{Type: corev1.NamespaceDeletionContentFailure, Status: corev1.ConditionFalse, Reason: "ContentDeleted", Message: "All content successfully deleted, may be waiting on finalization"},
		{Type: corev1.NamespaceContentRemaining, Status: corev1.ConditionFalse, Reason: "ContentRemoved", Message: "All content successfully removed"},
		{Type: corev1.NamespaceFinalizersRemaining, Status: corev1.ConditionFalse, Reason: "ContentHasNoFinalizers", Message: "All content-preserving finalizers finished"},
	}
	isTrue := func(i int, reason, message string) {
		all[i].Status, all[i].Reason, all[i].Message = corev1.ConditionTrue, reason, message
	}
	if len(r.errs) > 0 {
		messages := make([]string, len(r.errs))
		for i, err := range r.errs {
			messages[i] = err.Error()
		}
		isTrue(2, "ContentDeletionFailed", fmt.Sprintf("Failed to delete all resource types, %d remaining: %s", len(r.errs), strings.Join(messages, ", ")))
	}
	if len(r.objects) > 0 {
		isTrue(3, "SomeResourcesRemain", "Some resources are remaining: "+counted(r.objects, "%s has %d resource instances"))
	}
	if len(r.finalizers) > 0 {
		isTrue(4, "SomeFinalizersRemain", "Some content in the namespace has finalizers remaining: "+counted(r.finalizers, "%s in %d resource instances"))
	}
	for i := range all {
		all[i].LastTransitionTime = now
		for _, old := range before {
			if old.Type == all[i].Type && old.Status == all[i].Status {
				all[i].LastTransitionTime = old.LastTransitionTime
			}
		}
	}
	return all
}

func counted(counts map[string]int, format string) string {
	var parts []string
	for _, key := range slices.Sorted(maps.Keys(counts)) {
		parts = append(parts, fmt.Sprintf(format, key, counts[key]))
	}
	return strings.Join(parts, ", ")
}
