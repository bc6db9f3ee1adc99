package admission

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	plugincel "k8s.io/apiserver/pkg/admission/plugin/cel"
)

// policyInvocation is a policy that is about a write, as one binding puts it into force, with one of its parameters.
type policyInvocation struct {
	policy  *mutatingPolicy
	binding *binding
	form    int
	param   runtime.Object
}

// id tells the invocation from every other.
func (i *policyInvocation) id() string {
	id := i.policy.name + "/" + i.binding.name
	if i.param != nil {
		if m, err := meta.Accessor(i.param); err == nil {
			id += "/" + m.GetNamespace() + "/" + m.GetName()
		}
	}
	return id
}

// askPolicies evaluates one policy after another; each sees what those before it have made.
func (m *mutation) askPolicies(ctx context.Context, h *hooks) (changed bool, err error) {
	if len(h.mutatingPolicies) == 0 {
		return false, nil
	}
	invocations, failures := m.invocations(ctx, h)
	namespace, err := m.namespaceObject(ctx)
	if err != nil && len(invocations) > 0 {
		return false, statusOf(err)
	}
	for _, i := range invocations {
		in := &mutationInput{
			review: m.review, form: i.form, namespace: namespace,
			given: plugincel.OptionalVariableBindings{VersionedParams: i.param, Authorizer: m.hooks.cfg.Authorizer},
		}
		difference, err := m.invoke(ctx, i, in)
		if err != nil {
			failures = append(failures, policyFailure{i.policy, i.binding, err, metav1.StatusReasonInvalid})
		}
		if difference {
			changed = true
			m.policies.changed()
		}
		if i.policy.reinvoke {
			m.policies.invoked(i.id())
		}
	}
	return changed, m.refuse(failures)
}

// invocations are the policies that are about the write as it is now, and what keeps others from being evaluated.
func (m *mutation) invocations(ctx context.Context, h *hooks) (all []policyInvocation, failures []policyFailure) {
	for i := range h.mutatingPolicies {
		p := h.mutatingPolicies[i].policy
		form, ok, err := p.matches(ctx, m.review)
		if err == nil && !ok {
			continue
		}
		if err == nil {
			err = p.err
		}
		if err != nil {
			failures = append(failures, policyFailure{p, nil, fmt.Errorf("failed to configure policy: %w", err), ""})
			continue
		}
		for _, b := range h.mutatingPolicies[i].bindings {
			_, ok, err := b.matches(ctx, m.review)
			var params []runtime.Object
			if ok && err == nil {
				params, err = m.hooks.paramsOf(ctx, m.review, p.params, b)
			}
			if err != nil {
				failures = append(failures, policyFailure{p, b, fmt.Errorf("failed to configure binding: %w", err), ""})
				continue
			}
			for _, param := range params {
				all = append(all, policyInvocation{p, b, form, param})
			}
		}
	}
	return all, failures
}

// invoke evaluates one policy and tells whether it has made a difference.
func (m *mutation) invoke(ctx context.Context, i policyInvocation, in *mutationInput) (changed bool, err error) {
	compiled, err := i.policy.compiled()
	if err != nil {
		return false, err
	}
	if compiled.conditions != nil {
		if met, err := compiled.conditions.met(ctx, m.review, i.form, stepAdmit, i.param); err != nil || !met {
			return false, err
		}
	}
	if m.second && !m.policies.again[i.id()] || m.Object == nil {
		return false, nil
	}
	var failures []error
	for _, mutator := range compiled.all {
		begin := time.Now()
		difference, err := m.applyOne(compiled.variables(ctx), mutator, in)
		problem := noProblem
		if err != nil {
			failures, problem = append(failures, err), problemOf(err)
		}
		m.hooks.cfg.Metrics.Mutation(i.policy.name, i.binding.name, problem, time.Since(begin))
		changed = changed || difference
	}
	return changed, errors.Join(failures...)
}

func (m *mutation) applyOne(ctx context.Context, mutator mutator, in *mutationInput) (changed bool, err error) {
	before, _, err := m.encoded(in.form)
	if err != nil {
		return false, err
	}
	body, err := mutator.mutate(ctx, in)
	if err != nil || body == nil {
		return false, err
	}
	if err := m.change(in.form, body, true); err != nil {
		return false, err
	}
	after, _, err := m.encoded(in.form)
	return !bytes.Equal(before, after), err
}

// policyFailure is a policy that could not be evaluated. Whether that matters is the policy's to say.
type policyFailure struct {
	policy  *mutatingPolicy
	binding *binding // nil when it is the policy itself
	err     error
	reason  metav1.StatusReason
}

func (f *policyFailure) text() string {
	if f.binding == nil {
		return fmt.Sprintf("policy %q denied request: %v", f.policy.name, f.err)
	}
	return fmt.Sprintf("policy '%s' with binding '%s' denied request: %v", f.policy.name, f.binding.name, f.err)
}

// refuse is the Status of the failures that matter, nil when none does. The first gives it its message.
func (m *mutation) refuse(failures []policyFailure) error {
	var refusal *apierrors.StatusError
	for i := range failures {
		f := &failures[i]
		if f.policy.failOpen {
			continue
		}
		if refusal == nil {
			refusal = apierrors.NewForbidden(m.forms[0].Resource.GroupResource(), m.Name, errors.New("admission request denied by policy"))
			refusal.ErrStatus.Message = f.text()
			if f.reason != "" {
				refusal.ErrStatus.Reason = f.reason
			}
		}
		refusal.ErrStatus.Details.Causes = append(refusal.ErrStatus.Details.Causes, metav1.StatusCause{Message: f.text()})
	}
	if refusal == nil {
		return nil
	}
	return refusal
}
