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
	"k8s.io/apiserver/pkg/cel/environment"
)

// validatingPolicy is a stored policy; its expressions are compiled when a write first needs them.
type validatingPolicy struct {
	policy
	spec     *registrationv1.ValidatingAdmissionPolicySpec
	compiled func() (*validation, error)
}

// validation is the expressions of a policy as programs. messages are in the order of the validations.
type validation struct {
	conditions                     *conditions
	checks, messages, annotations  plugincel.ConditionEvaluator
	saysMessages, makesAnnotations bool
}

func newValidatingPolicy(declared *registrationv1.ValidatingAdmissionPolicy, c *compiler) *validatingPolicy {
	spec := &declared.Spec
	p := &validatingPolicy{policy: newPolicy(declared.Name, spec.MatchConstraints, spec.FailurePolicy, spec.ParamKind), spec: spec}
	p.compiled = sync.OnceValues(func() (*validation, error) { return p.compile(c) })
	return p
}

func (p *validatingPolicy) compile(c *compiler) (*validation, error) {
	const mode = environment.StoredExpressions
	given := plugincel.OptionalVariableDeclarations{HasParams: p.params != nil, HasAuthorizer: true}
	withoutAuthorizer := plugincel.OptionalVariableDeclarations{HasParams: p.params != nil}
	compiler, err := c.with(p.spec.Variables, given, mode)
	if err != nil {
		return nil, err
	}
	v := &validation{}
	checks, messages := make([]plugincel.ExpressionAccessor, len(p.spec.Validations)), make([]plugincel.ExpressionAccessor, len(p.spec.Validations))
	for i, declared := range p.spec.Validations {
		checks[i] = truth(declared.Expression)
		if declared.MessageExpression != "" {
			messages[i], v.saysMessages = message(declared.MessageExpression), true
		}
	}
	annotations := make([]plugincel.ExpressionAccessor, len(p.spec.AuditAnnotations))
	for i, declared := range p.spec.AuditAnnotations {
		annotations[i], v.makesAnnotations = annotation(declared.ValueExpression), true
	}
	v.checks = compiler.CompileCondition(checks, given, mode)
	v.messages = compiler.CompileCondition(messages, withoutAuthorizer, mode)
	v.annotations = compiler.CompileCondition(annotations, given, mode)
	if len(p.spec.MatchConditions) > 0 {
		evaluator := compiler.CompileCondition(conditionExpressions(p.spec.MatchConditions), given, mode)
		v.conditions = &conditions{name: p.name, kind: "policy", failOpen: p.failOpen, evaluator: func() (plugincel.ConditionEvaluator, error) {
			return evaluator, nil
		}}
	}
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
	attributes, request, err := rv.evaluable(form)
	if err != nil {
		return []finding{p.failed(0, err, 0)}, nil
	}
	given := plugincel.OptionalVariableBindings{VersionedParams: params, Authorizer: rv.hooks.cfg.Authorizer}
	shown := plugincel.CreateNamespaceObject(namespace)
	results, left, err := v.checks.ForInput(ctx, attributes, request, given, shown, celconfig.RuntimeCELCostBudget)
	if err != nil {
		return []finding{p.failed(0, err, 0)}, nil
	}
	messages := sync.OnceValues(func() ([]plugincel.EvaluationResult, error) {
		if !v.saysMessages {
			return nil, nil
		}
		said, _, err := v.messages.ForInput(ctx, attributes, request, plugincel.OptionalVariableBindings{VersionedParams: params}, shown, left)
		return said, err
	})
	findings := make([]finding, len(results))
	for i, r := range results {
		switch {
		case r.Error != nil:
			findings[i] = p.failed(i, r.Error, r.Elapsed)
		case r.EvalResult == celtypes.True:
			findings[i] = finding{index: i, problem: noProblem, took: r.Elapsed}
		default:
			findings[i] = p.denial(i, r.Elapsed, messages)
		}
	}
	if !v.makesAnnotations {
		return findings, nil
	}
	values, _, err := v.annotations.ForInput(ctx, attributes, request, given, shown, celconfig.RuntimeCELCostBudget)
	if err != nil {
		return append(findings, p.failed(0, err, 0)), nil
	}
	return findings, p.annotate(values)
}

// denial is the finding of a validation that is not true. A message that cannot be made is left out, unless all there is
// to spend was spent on it.
func (p *validatingPolicy) denial(i int, took time.Duration, messages func() ([]plugincel.EvaluationResult, error)) finding {
	declared := &p.spec.Validations[i]
	said, err := messages()
	if errors.Is(err, apiservercel.ErrInternal) || errors.Is(err, apiservercel.ErrOutOfBudget) {
		return p.failed(i, fmt.Errorf("failed messageExpression: %w", err), took)
	}
	f := finding{index: i, denied: true, reason: metav1.StatusReasonInvalid, problem: noProblem, took: took}
	if declared.Reason != nil {
		f.reason = *declared.Reason
	}
	if i < len(said) && said[i].Error == nil && said[i].EvalResult != nil {
		text, _ := said[i].EvalResult.Value().(string)
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

func (p *validatingPolicy) annotate(values []plugincel.EvaluationResult) []auditAnnotation {
	var all []auditAnnotation
	for i, v := range values {
		a := auditAnnotation{key: p.spec.AuditAnnotations[i].Key, err: v.Error, took: v.Elapsed}
		switch {
		case v.Error != nil && p.failOpen:
			continue
		case v.Error != nil:
		case v.EvalResult.Type() == celtypes.NullType:
			continue
		case v.EvalResult.Type() == celtypes.StringType:
			if a.value = strings.TrimSpace(v.EvalResult.Value().(string)); a.value == "" {
				continue
			}
		default:
			a.err = fmt.Errorf("valueExpression '%v' resulted in unsupported return type: %v. Return type must be either string or null.",
				p.spec.AuditAnnotations[i].ValueExpression, v.EvalResult.Type())
		}
		all = append(all, a)
	}
	return all
}
