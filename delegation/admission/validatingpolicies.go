package admission

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	registrationv1 "k8s.io/api/admissionregistration/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/portico-api/portico/handler"
)

// validatePolicies evaluates all policies that are about a write. The first denial is the answer.
func (h *hooks) validatePolicies(ctx context.Context, rv *review) error {
	var denials []denial
	for i := range h.validatingPolicies {
		p := &h.validatingPolicies[i]
		form, ok, err := p.policy.matches(ctx, rv)
		switch {
		case err == nil && !ok:
			continue
		case err == nil:
			err = p.policy.err
		}
		if err != nil {
			if !p.policy.failOpen {
				denials = append(denials, denial{policy: p.policy.name, message: "failed to configure policy: " + err.Error()})
			}
			continue
		}
		annotations := annotations{}
		for _, b := range p.bindings {
			denials = append(denials, p.policy.enforce(ctx, rv, form, b, annotations)...)
		}
		annotations.publish(ctx, p.policy.name)
	}
	if len(denials) == 0 {
		return nil
	}
	return denials[0].status(rv)
}

// denial is one reason to refuse a write.
type denial struct {
	policy, binding string
	message         string
	reason          metav1.StatusReason
}

func (d *denial) status(rv *review) error {
	text := fmt.Sprintf("ValidatingAdmissionPolicy '%s' denied request: %s", d.policy, d.message)
	if d.binding != "" {
		text = fmt.Sprintf("ValidatingAdmissionPolicy '%s' with binding '%s' denied request: %s", d.policy, d.binding, d.message)
	}
	err := apierrors.NewForbidden(rv.forms[0].Resource.GroupResource(), rv.Name, errors.New(text))
	reason := d.reason
	if reason == "" {
		reason = metav1.StatusReasonInvalid
	}
	err.ErrStatus.Reason, err.ErrStatus.Code = reason, codeFor(reason)
	err.ErrStatus.Details.Causes = append(err.ErrStatus.Details.Causes, metav1.StatusCause{Message: text})
	return err
}

func codeFor(reason metav1.StatusReason) int32 {
	switch reason {
	case metav1.StatusReasonForbidden:
		return http.StatusForbidden
	case metav1.StatusReasonUnauthorized:
		return http.StatusUnauthorized
	case metav1.StatusReasonRequestEntityTooLarge:
		return http.StatusRequestEntityTooLarge
	}
	return http.StatusUnprocessableEntity
}

// enforce evaluates the policy as one binding puts it into force.
func (p *validatingPolicy) enforce(ctx context.Context, rv *review, form int, b *binding, annotations annotations) []denial {
	misconfigured := func(err error) []denial {
		if p.failOpen {
			return nil
		}
		return []denial{{policy: p.name, binding: b.name, message: "failed to configure binding: " + err.Error()}}
	}
	_, ok, err := b.matches(ctx, rv)
	if err != nil {
		return misconfigured(err)
	}
	if !ok {
		return nil
	}
	params, err := rv.hooks.paramsOf(ctx, rv, p.params, b)
	if err != nil {
		return misconfigured(err)
	}
	namespace, err := rv.namespaceObject(ctx)
	if err != nil {
		return misconfigured(err)
	}
	var denials []denial
	for _, param := range params {
		findings, values := p.evaluate(ctx, rv, form, param, namespace)
		for _, f := range findings {
			if p.act(ctx, rv, b, f) {
				denials = append(denials, denial{p.name, b.name, f.message, f.reason})
			}
		}
		for _, a := range values {
			if a.err == nil {
				annotations.add(a.key, a.value)
				continue
			}
			rv.hooks.cfg.Metrics.Validation(p.name, b.name, problemOf(a.err), "deny", a.took)
			denials = append(denials, denial{policy: p.name, binding: b.name, message: a.err.Error()})
		}
	}
	return denials
}

// act does what the binding wants done about a finding, and tells whether the write is refused.
func (p *validatingPolicy) act(ctx context.Context, rv *review, b *binding, f finding) (denied bool) {
	m := rv.hooks.cfg.Metrics
	if !f.denied {
		if f.problem != noProblem {
			m.Validation(p.name, b.name, f.problem, "allow", f.took)
		}
		return false
	}
	for _, action := range b.actions {
		switch action {
		case registrationv1.Deny:
			denied = true
			m.Validation(p.name, b.name, f.problem, "deny", f.took)
		case registrationv1.Warn:
			handler.AddWarning(ctx, fmt.Sprintf("Validation failed for ValidatingAdmissionPolicy '%s' with binding '%s': %s", p.name, b.name, f.message))
			m.Validation(p.name, b.name, f.problem, "warn", f.took)
		case registrationv1.Audit:
			handler.RecordFrom(ctx).Annotate("validation.policy.admission.k8s.io/validation_failure", annotationOf([]validationFailure{{
				Message: f.message, Policy: p.name, Binding: b.name, ExpressionIndex: f.index, ValidationActions: b.actions,
			}}))
			m.Validation(p.name, b.name, f.problem, "audit", f.took)
		}
	}
	return denied
}

// validationFailure is what an audit event says of a finding.
type validationFailure struct {
	Message           string                            `json:"message"`
	Policy            string                            `json:"policy"`
	Binding           string                            `json:"binding"`
	ExpressionIndex   int                               `json:"expressionIndex"`
	ValidationActions []registrationv1.ValidationAction `json:"validationActions"`
}

// annotations are the values that a policy has made, by key: more than one when its bindings have different parameters.
type annotations map[string][]string

// maxAnnotation is how much of a value is written down.
const maxAnnotation = 10 << 10

func (a annotations) add(key, value string) {
	value = value[:min(len(value), maxAnnotation)]
	if !slices.Contains(a[key], value) {
		a[key] = append(a[key], value)
	}
}

func (a annotations) publish(ctx context.Context, policy string) {
	for key, values := range a {
		handler.RecordFrom(ctx).Annotate(policy+"/"+key, strings.Join(values, ", "))
	}
}
