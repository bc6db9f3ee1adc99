package admission

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	celtypes "github.com/google/cel-go/common/types"
	registrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	plugincel "k8s.io/apiserver/pkg/admission/plugin/cel"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	apiservercel "k8s.io/apiserver/pkg/cel"
)

// validatingPolicy is a stored policy; its expressions are compiled when a write first needs them.
type validatingPolicy struct {
	policy
	spec     *registrationv1.ValidatingAdmissionPolicySpec
	compiled func() (*validation, error)
}

// validation is the expressions of a policy as programs. messages are in the order of the checks.
type validation struct {
	conditions                    *conditions // nil when there are none
	checks, messages, annotations programs
	variables                     func(context.Context) plugincel.CompositionContext // nil when there are none
}

func newValidatingPolicy(declared *registrationv1.ValidatingAdmissionPolicy, c *compiler) *validatingPolicy {
	spec := &declared.Spec
	p := &validatingPolicy{policy: newPolicy(declared.Name, spec.MatchConstraints, spec.FailurePolicy, spec.ParamKind), spec: spec}
	p.compiled = sync.OnceValues(func() (*validation, error) { return p.compile(c) })
	return p
}

func (p *validatingPolicy) compile(c *compiler) (*validation, error) {
	given := plugincel.OptionalVariableDeclarations{HasParams: p.params != nil, HasAuthorizer: true}
	withoutAuthorizer := plugincel.OptionalVariableDeclarations{HasParams: p.params != nil}
	compiler, err := c.with(p.spec.Variables, given)
	if err != nil {
		return nil, err
	}
	checks, messages := make([]plugincel.ExpressionAccessor, len(p.spec.Validations)), make([]plugincel.ExpressionAccessor, len(p.spec.Validations))
	for i, declared := range p.spec.Validations {
		checks[i] = truth(declared.Expression)
		if declared.MessageExpression != "" {
			messages[i] = message(declared.MessageExpression)
		}
	}
	annotations := make([]plugincel.ExpressionAccessor, len(p.spec.AuditAnnotations))
	for i, declared := range p.spec.AuditAnnotations {
		annotations[i] = annotation(declared.ValueExpression)
	}
	v := &validation{
		checks:      compileAll(compiler, checks, given),
		messages:    compileAll(compiler, messages, withoutAuthorizer),
		annotations: compileAll(compiler, annotations, given),
		variables:   variablesOf(compiler, p.spec.Variables),
	}
	v.conditions = policyConditions(&p.policy, p.spec.MatchConditions, compiler, given, v.variables)
	forgetCompiler(compiler, p.spec.Variables)
	return v, nil
}

// finding is what one expression of a policy says about a write.
type finding struct {
	index   int // of the validation
	denied  bool
	message string
	reason  metav1.StatusReason
	problem string // what was wrong with the expression, as metrics have it
	took    time.Duration
}

const (
	noProblem       = "no_error"
	problemCompile  = "compile_error"
	problemInvalid  = "invalid_error"
	problemOfBudget = "out_of_budget"
)

// problemOf is what metrics call an error of an expression.
func problemOf(err error) string {
	switch {
	case errors.Is(err, apiservercel.ErrCompilation):
		return problemCompile
	case errors.Is(err, apiservercel.ErrOutOfBudget):
		return problemOfBudget
	}
	return problemInvalid
}

// failed is the finding of an expression that cannot be evaluated.
func (p *validatingPolicy) failed(index int, err error, took time.Duration) finding {
	return finding{index: index, denied: !p.failOpen, message: err.Error(), problem: problemOf(err), took: took}
}

// evaluate returns what the policy finds about a write, and what it wants written down of it.
func (p *validatingPolicy) evaluate(ctx context.Context, rv *review, form int, params runtime.Object, namespace *corev1.Namespace) ([]finding, []auditAnnotation) {
	v, err := p.compiled()
	if err != nil {
		return []finding{p.failed(0, err, 0)}, nil
	}
	if v.conditions != nil {
		met, err := v.conditions.met(ctx, rv, form, stepValidate, params)
		if err != nil {
			return []finding{p.failed(0, err, 0)}, nil
		}
		if !met {
			return nil, nil
		}
	}
	e, err := rv.begin(ctx, form, v.variables, params, namespace, celconfig.RuntimeCELCostBudget)
	if err != nil {
		return []finding{p.failed(0, err, 0)}, nil
	}
	findings := make([]finding, len(v.checks))
	for i, check := range v.checks {
		r, err := e.run(check)
		switch {
		case err != nil:
			return []finding{p.failed(i, err, r.took)}, nil
		case r.err != nil:
			findings[i] = p.failed(i, r.err, r.took)
		case r.value == celtypes.True:
			findings[i] = finding{index: i, problem: noProblem, took: r.took}
		default:
			findings[i] = p.denial(i, r.took, v.messages[i], e)
		}
	}
	values, err := p.annotate(ctx, rv, form, v, params, namespace)
	if err != nil {
		return append(findings, p.failed(0, err, 0)), nil
	}
	return findings, values
}

// denial is the finding of a validation that is not true. A message that cannot be made is left out, unless all there is
// to spend was spent on it.
func (p *validatingPolicy) denial(i int, took time.Duration, text *plugincel.CompilationResult, e *evaluation) finding {
	declared := &p.spec.Validations[i]
	var said result
	if text != nil {
		var err error
		if said, err = e.run(text); err != nil {
			return p.failed(i, fmt.Errorf("failed messageExpression: %w", err), took)
		}
	}
	f := finding{index: i, denied: true, reason: metav1.StatusReasonInvalid, problem: noProblem, took: took}
	if declared.Reason != nil {
		f.reason = *declared.Reason
	}
	if said.value != nil {
		text, _ := said.value.Value().(string)
		if text = strings.TrimSpace(text); len(text) <= celconfig.MaxEvaluatedMessageExpressionSizeBytes && !strings.Contains(text, "\n") {
			f.message = text
		}
	}
	if f.message == "" {
		f.message = strings.TrimSpace(declared.Message)
	}
	if f.message == "" {
		f.message = "failed expression: " + strings.TrimSpace(declared.Expression)
	}
	return f
}

// auditAnnotation is what a policy wants written down of a write.
type auditAnnotation struct {
	key, value string
	err        error
	took       time.Duration
}

func (p *validatingPolicy) annotate(ctx context.Context, rv *review, form int, v *validation, params runtime.Object, namespace *corev1.Namespace) ([]auditAnnotation, error) {
	if len(v.annotations) == 0 {
		return nil, nil
	}
	e, err := rv.begin(ctx, form, v.variables, params, namespace, celconfig.RuntimeCELCostBudget)
	if err != nil {
		return nil, err
	}
	var all []auditAnnotation
	for i, program := range v.annotations {
		r, err := e.run(program)
		if err != nil {
			return nil, err
		}
		a := auditAnnotation{key: p.spec.AuditAnnotations[i].Key, err: r.err, took: r.took}
		switch {
		case r.err != nil && p.failOpen:
			continue
		case r.err != nil:
		case r.value.Type() == celtypes.StringType:
			if a.value = strings.TrimSpace(r.value.Value().(string)); a.value == "" {
				continue
			}
		case r.value.Type() == celtypes.NullType:
			continue
		default:
			a.err = fmt.Errorf("valueExpression '%v' resulted in unsupported return type: %v. Return type must be either string or null",
				p.spec.AuditAnnotations[i].ValueExpression, r.value.Type())
		}
		all = append(all, a)
	}
	return all, nil
}
