package core

import (
	"context"
	"fmt"
	"time"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/portico-api/portico/delegation/admission"
	"github.com/portico-api/portico/delegation/controller"
	"github.com/portico-api/portico/delegation/registry"
)

// policyTypes writes into the status of each validating policy what looks wrong with it for the kinds that it names.
type policyTypes struct {
	policies *registry.Store
	hooks    *admission.Hooks
	kinds    *kinds
}

// Run looks at each policy when its spec has changed.
func (p *policyTypes) Run(ctx context.Context, started func()) error {
	queue := controller.NewQueue("validating_admission_policy_status", p.look)
	return queue.Run(ctx, 1, func(ctx context.Context) error {
		return p.policies.Follow(ctx, func(change registry.Change) {
			if policy := change.Object.(*admissionv1.ValidatingAdmissionPolicy); !change.Deleted && policy.Status.ObservedGeneration != policy.Generation {
				queue.Add(policy.Name)
			}
		}, started)
	})
}

func (p *policyTypes) look(ctx context.Context, name string) (time.Duration, error) {
	policy, err := registry.GetAs[*admissionv1.ValidatingAdmissionPolicy](ctx, p.policies, "", name)
	switch {
	case apierrors.IsNotFound(err):
		return 0, nil
	case err != nil:
		return 0, fmt.Errorf("reading policy %s: %w", name, err)
	case policy.Status.ObservedGeneration == policy.Generation:
		return 0, nil
	}
	warnings, err := p.hooks.CheckTypes(policy, p.kinds)
	if err != nil {
		return 0, fmt.Errorf("checking the types of policy %s: %w", name, err)
	}
	seen := policy.Generation
	_, err = registry.UpdateStatusAs(ctx, p.policies, "", name, func(policy *admissionv1.ValidatingAdmissionPolicy) error {
		policy.Status.ObservedGeneration = seen
		policy.Status.TypeChecking = &admissionv1.TypeChecking{ExpressionWarnings: warnings}
		return nil
	})
	if apierrors.IsNotFound(err) {
		return 0, nil
	}
	return 0, err
}
