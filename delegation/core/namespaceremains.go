package core

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/portico-api/portico/delegation"
)

// namespaceRemains is what one pass over a namespace has found. Its texts are in the order of their
// letters, so that the same find is the same condition.
type namespaceRemains struct {
	objects      map[string]int // by resource
	finalizers   map[string]int
	undiscovered []string
	failed       []string
}

func newNamespaceRemains() *namespaceRemains {
	return &namespaceRemains{objects: make(map[string]int), finalizers: make(map[string]int)}
}

func (r *namespaceRemains) add(remaining delegation.Remaining) {
	for resource, n := range remaining.Objects {
		if n > 0 {
			r.objects[resource.Resource+"."+resource.Group] += n
		}
	}
	for finalizer, n := range remaining.Finalizers {
		r.finalizers[finalizer] += n
	}
	for gv, err := range remaining.Undiscovered {
		r.undiscovered = append(r.undiscovered, fmt.Sprintf("%s: %v", gv, err))
	}
	for _, err := range remaining.Failed {
		r.failed = append(r.failed, err.Error())
	}
	slices.Sort(r.undiscovered)
	slices.Sort(r.failed)
}

func (r *namespaceRemains) isEmpty() bool {
	return len(r.objects) == 0 && len(r.undiscovered) == 0 && len(r.failed) == 0
}

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
	if len(r.undiscovered) > 0 {
		isTrue(0, "DiscoveryFailed", fmt.Sprintf("Discovery failed for some groups, %d failing: %s", len(r.undiscovered), strings.Join(r.undiscovered, ", ")))
	}
	if len(r.failed) > 0 {
		isTrue(2, "ContentDeletionFailed", fmt.Sprintf("Failed to delete all resource types, %d remaining: %s", len(r.failed), strings.Join(r.failed, ", ")))
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
