package workload

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/portico-api/portico/delegation/registry"
	"github.com/portico-api/portico/handler"
)

// evictions delete pods as far as the disruption budgets allow it. Who counts how many may be disrupted is a controller that
// writes the budgets' status; without one, budgets allow none.
type evictions struct{ pods, budgets *registry.Store }

// Create evicts the pod of a name.
func (e *evictions) Create(ctx context.Context, namespace, name string, obj runtime.Object, opts *metav1.CreateOptions) (runtime.Object, error) {
	eviction, ok := obj.(*policyv1.Eviction)
	if !ok {
		return nil, apierrors.NewBadRequest(fmt.Sprintf("a %T evicts no pod", obj))
	}
	if eviction.Name != "" && eviction.Name != name {
		return nil, apierrors.NewBadRequest("name in URL does not match name in Eviction object")
	}
	ask := e.pods.SubresourceCreation("eviction", policyv1.SchemeGroupVersion.WithKind("Eviction"), namespace, name, eviction, opts)
	if err := ask.Admit(ctx); err != nil {
		return nil, err
	}
	if err := ask.Validate(ctx); err != nil {
		return nil, err
	}
	how := eviction.DeleteOptions
	if how == nil {
		how = &metav1.DeleteOptions{}
	}
	if opts != nil && len(opts.DryRun) > 0 {
		how.DryRun = opts.DryRun
	}
	pod, err := registry.GetAs[*corev1.Pod](ctx, e.pods, namespace, name)
	if err != nil {
		return nil, err
	}
	if err := checkUID(how, pod); err != nil {
		return nil, err
	}
	if isServing(pod) {
		if err := e.spend(ctx, pod, len(how.DryRun) > 0); err != nil {
			return nil, err
		}
	}
	if _, _, err := e.pods.Delete(ctx, namespace, name, how); err != nil {
		return nil, err
	}
	return created(), nil
}

// checkUID keeps a budget from being spent on a pod that is not the one that is meant.
func checkUID(how *metav1.DeleteOptions, pod *corev1.Pod) error {
	if how.Preconditions == nil || how.Preconditions.UID == nil || *how.Preconditions.UID == pod.UID {
		return nil
	}
	return apierrors.NewConflict(corev1.Resource("pods"), pod.Name,
		fmt.Errorf("the UID in the precondition (%s) does not match the UID in record (%s). The object might have been deleted and then recreated", *how.Preconditions.UID, pod.UID))
}

// isServing tells whether anybody would miss the pod: one that has not begun, has ended or is going is missed by none.
func isServing(pod *corev1.Pod) bool {
	switch pod.Status.Phase {
	case corev1.PodPending, corev1.PodSucceeded, corev1.PodFailed:
		return false
	}
	return pod.DeletionTimestamp == nil
}

// spend takes the pod from the budget that it counts in.
func (e *evictions) spend(ctx context.Context, pod *corev1.Pod, dryRun bool) error {
	budgets, err := e.budgetsOf(ctx, pod)
	if err != nil {
		return err
	}
	switch len(budgets) {
	case 0:
		return nil
	case 1:
	default:
		return &apierrors.StatusError{ErrStatus: metav1.Status{
			Status: metav1.StatusFailure, Code: 500, Reason: metav1.StatusReasonInternalError,
			Message: "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.",
		}}
	}
	budget := budgets[0]
	if isUnhealthyAndFree(pod, budget) {
		return nil
	}
	if dryRun {
		return take(budget.DeepCopy(), pod.Name)
	}
	_, err = registry.UpdateStatusAs(handler.WithoutRequest(ctx), e.budgets, pod.Namespace, budget.Name, func(b *policyv1.PodDisruptionBudget) error {
		return take(b, pod.Name)
	})
	return err
}

func (e *evictions) budgetsOf(ctx context.Context, pod *corev1.Pod) ([]*policyv1.PodDisruptionBudget, error) {
	all, err := registry.ListAs[*policyv1.PodDisruptionBudget](ctx, e.budgets, pod.Namespace)
	if err != nil {
		return nil, fmt.Errorf("reading the disruption budgets of %s: %w", pod.Namespace, err)
	}
	var found []*policyv1.PodDisruptionBudget
	for _, b := range all {
		if selector, err := metav1.LabelSelectorAsSelector(b.Spec.Selector); err == nil && selector.Matches(labels.Set(pod.Labels)) {
			found = append(found, b)
		}
	}
	return found, nil
}

// isUnhealthyAndFree tells whether a pod that is not ready may go without being counted, as its budget wants it.
func isUnhealthyAndFree(pod *corev1.Pod, b *policyv1.PodDisruptionBudget) bool {
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue {
			return false
		}
	}
	if policy := b.Spec.UnhealthyPodEvictionPolicy; policy != nil && *policy == policyv1.AlwaysAllow {
		return true
	}
	return b.Status.CurrentHealthy >= b.Status.DesiredHealthy && b.Status.DesiredHealthy > 0
}

// maxDisrupted is how many pods a budget counts as disrupted that nobody has confirmed to be gone.
const maxDisrupted = 2000

// take counts one more pod as disrupted, if the budget allows it.
func take(b *policyv1.PodDisruptionBudget, pod string) error {
	forbidden := func(text string) error {
		return apierrors.NewForbidden(policyv1.Resource("poddisruptionbudget"), b.Name, errors.New(text))
	}
	switch {
	case b.Status.ObservedGeneration < b.Generation:
		return tooMany("The disruption budget %s is still being processed by the server.", b.Name)
	case b.Status.DisruptionsAllowed < 0:
		return forbidden("pdb disruptions allowed is negative")
	case len(b.Status.DisruptedPods) > maxDisrupted:
		return forbidden("DisruptedPods map too big - too many evictions not confirmed by PDB controller")
	case b.Status.DisruptionsAllowed == 0:
		return tooMany("The disruption budget %s needs %d healthy pods and has %d currently", b.Name, b.Status.DesiredHealthy, b.Status.CurrentHealthy)
	}
	b.Status.DisruptionsAllowed--
	if b.Status.DisruptionsAllowed == 0 {
		meta.SetStatusCondition(&b.Status.Conditions, metav1.Condition{
			Type: policyv1.DisruptionAllowedCondition, Status: metav1.ConditionFalse, Reason: policyv1.InsufficientPodsReason, ObservedGeneration: b.Status.ObservedGeneration,
		})
	}
	if b.Status.DisruptedPods == nil {
		b.Status.DisruptedPods = map[string]metav1.Time{}
	}
	b.Status.DisruptedPods[pod] = metav1.Now().Rfc3339Copy()
	return nil
}

// tooMany carries the cause by which kubectl drain knows that it has to wait. It does not say for how long: client libraries
// would wait by themselves, and nobody would learn why.
func tooMany(format string, args ...any) error {
	err := apierrors.NewTooManyRequests("Cannot evict pod as it would violate the pod's disruption budget.", 0)
	err.ErrStatus.Details.Causes = append(err.ErrStatus.Details.Causes, metav1.StatusCause{Type: policyv1.DisruptionBudgetCause, Message: fmt.Sprintf(format, args...)})
	return err
}
