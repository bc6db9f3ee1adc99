package workload

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	schedulingv1 "k8s.io/api/scheduling/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/portico-api/portico/delegation/registry"
)

// Priorities is the admission that gives pods the priority of their class, and keeps one class at most that pods have who
// name none, as kube-apiserver does.
type Priorities struct {
	// Classes are all there are.
	Classes func(ctx context.Context) ([]*schedulingv1.PriorityClass, error)
}

// SystemPriorityClasses are the classes that every cluster has.
func SystemPriorityClasses() []*schedulingv1.PriorityClass {
	return []*schedulingv1.PriorityClass{
		{
			ObjectMeta:  metav1.ObjectMeta{Name: "system-node-critical"},
			Value:       2*highestPriority + 1000,
			Description: "Used for system critical pods that must not be moved from their current node.",
		},
		{
			ObjectMeta:  metav1.ObjectMeta{Name: "system-cluster-critical"},
			Value:       2 * highestPriority,
			Description: "Used for system critical pods that must run in the cluster, but can be moved to another node if necessary.",
		},
	}
}

// Admit settles the priority of a pod. It does not change later.
func (p *Priorities) Admit(ctx context.Context, r *registry.Request) error {
	pod, ok := r.Object.(*corev1.Pod)
	if !ok || r.Subresource != "" {
		return nil
	}
	if old, ok := r.Old.(*corev1.Pod); ok {
		if pod.Spec.Priority == nil {
			pod.Spec.Priority = old.Spec.Priority
		}
		if pod.Spec.PreemptionPolicy == nil {
			pod.Spec.PreemptionPolicy = old.Spec.PreemptionPolicy
		}
		return nil
	}
	classes, err := p.Classes(ctx)
	if err != nil {
		return fmt.Errorf("reading priority classes: %w", err)
	}
	refuse := func(format string, args ...any) error {
		return apierrors.NewForbidden(r.Resource.GroupResource(), r.Name, fmt.Errorf(format, args...))
	}
	class := classOf(classes, pod.Spec.PriorityClassName)
	if class == nil && pod.Spec.PriorityClassName != "" {
		return refuse("no PriorityClass with name %v was found", pod.Spec.PriorityClassName)
	}
	value, policy := int32(0), corev1.PreemptLowerPriority
	if class != nil {
		pod.Spec.PriorityClassName, value = class.Name, class.Value
		if class.PreemptionPolicy != nil {
			policy = *class.PreemptionPolicy
		}
	}
	if said := pod.Spec.Priority; said != nil && *said != value {
		return refuse("the integer value of priority (%d) must not be provided in pod spec; priority admission controller computed %d from the given PriorityClass name", *said, value)
	}
	if said := pod.Spec.PreemptionPolicy; said != nil && *said != policy {
		return refuse("the string value of PreemptionPolicy (%s) must not be provided in pod spec; priority admission controller computed %s from the given PriorityClass name", *said, policy)
	}
	pod.Spec.Priority, pod.Spec.PreemptionPolicy = &value, &policy
	return nil
}

// classOf is the class of a name, or the one for pods that name none. If there are several of those, the least of them.
func classOf(classes []*schedulingv1.PriorityClass, name string) *schedulingv1.PriorityClass {
	var found *schedulingv1.PriorityClass
	for _, c := range classes {
		switch {
		case name != "" && c.Name == name:
			return c
		case name == "" && c.GlobalDefault && (found == nil || c.Value < found.Value):
			found = c
		}
	}
	return found
}

// Validate refuses a second class for pods that name none.
func (p *Priorities) Validate(ctx context.Context, r *registry.Request) error {
	class, ok := r.Object.(*schedulingv1.PriorityClass)
	if !ok || !class.GlobalDefault || r.Subresource != "" {
		return nil
	}
	classes, err := p.Classes(ctx)
	if err != nil {
		return fmt.Errorf("reading priority classes: %w", err)
	}
	if other := classOf(classes, ""); other != nil && other.Name != class.Name {
		return apierrors.NewForbidden(r.Resource.GroupResource(), class.Name,
			fmt.Errorf("PriorityClass %v is already marked as default. Only one default can exist", other.Name))
	}
	return nil
}
