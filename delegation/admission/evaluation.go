package admission

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/interpreter"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	plugincel "k8s.io/apiserver/pkg/admission/plugin/cel"
	apiservercel "k8s.io/apiserver/pkg/cel"
	"k8s.io/apiserver/pkg/cel/library"
)

// evaluation is one write as the expressions of one hook see it: the names that they know, and what they may still cost. What
// does not depend on the hook is made once for all (review.names). The library's own evaluator makes it anew for every list
// of expressions.
type evaluation struct {
	names
	params    any
	asks      *review // on behalf of whom expressions may ask what is allowed; nil for those that may not
	variables ref.Val // nil when there are none
	context   context.Context
	composed  plugincel.CompositionContext // of variables; nil when there are none
	left      int64                        // what all expressions together may still cost
}

// names are the values that all hooks see.
type names struct {
	object, old, request, namespace any
}

// begin returns an evaluation of expressions that were compiled with variables, which may be nil, on one form of a write.
func (rv *review) begin(ctx context.Context, form int, variables func(context.Context) plugincel.CompositionContext, params runtime.Object, namespace *corev1.Namespace, budget int64) (*evaluation, error) {
	e := &evaluation{context: ctx, left: budget, asks: rv}
	var err error
	if e.names, err = rv.namesOf(form, namespace); err != nil {
		return nil, err
	}
	if params != nil {
		loose, err := runtime.DefaultUnstructuredConverter.ToUnstructured(params)
		if err != nil {
			return nil, fmt.Errorf("preparing the parameters: %w", err)
		}
		e.params = loose
	}
	if variables != nil {
		e.composed = variables(ctx)
		e.context, e.variables = e.composed, e.composed.Variables(e)
	}
	return e, nil
}

// ResolveName implements interpreter.Activation.
func (e *evaluation) ResolveName(name string) (any, bool) {
	switch name {
	case plugincel.ObjectVarName:
		return e.object, true
	case plugincel.OldObjectVarName:
		return e.old, true
	case plugincel.RequestVarName:
		return e.request, true
	case plugincel.NamespaceVarName:
		return e.namespace, true
	case plugincel.ParamsVarName:
		return e.params, true
	case plugincel.VariableVarName:
		return e.variables, e.variables != nil
	}
	if e.asks == nil {
		return nil, false
	}
	switch name {
	case plugincel.AuthorizerVarName:
		return library.NewAuthorizerVal(e.asks.user, e.asks.hooks.cfg.Authorizer), true
	case plugincel.RequestResourceAuthorizerVarName:
		return library.NewResourceAuthorizerVal(e.asks.user, e.asks.hooks.cfg.Authorizer, e.asks.attributes()), true
	}
	return nil, false
}

// Parent implements interpreter.Activation.
func (e *evaluation) Parent() interpreter.Activation { return nil }

// result is what one expression has come to.
type result struct {
	value ref.Val
	err   error // of this expression: others may be right
	took  time.Duration
}

// run evaluates one expression. The error ends the evaluation of all.
func (e *evaluation) run(p *plugincel.CompilationResult) (result, error) {
	if p.Error != nil {
		return result{err: &apiservercel.Error{Type: apiservercel.ErrorTypeInvalid, Detail: fmt.Sprintf("compilation error: %v", p.Error), Cause: p.Error}}, nil
	}
	begin := time.Now()
	value, details, err := p.Program.ContextEval(e.context, e)
	r := result{value: value, took: time.Since(begin)}
	cost := int64(math.MaxInt64) // unless it is known to be less
	if details != nil {
		if actual := details.ActualCost(); actual != nil && *actual < math.MaxInt64 {
			cost = int64(*actual)
		}
	}
	if e.composed != nil {
		if of := e.composed.GetAndResetCost(); of > e.left {
			cost = of
		} else {
			e.left -= of
		}
	}
	if cost > e.left {
		return r, &apiservercel.Error{
			Type:   apiservercel.ErrorTypeInvalid,
			Detail: "validation failed due to running out of cost budget, no further validation rules will be run",
			Cause:  apiservercel.ErrOutOfBudget,
		}
	}
	e.left -= cost
	if err != nil {
		r.value = nil
		r.err = &apiservercel.Error{Type: apiservercel.ErrorTypeInvalid, Detail: fmt.Sprintf("expression '%v' resulted in error: %v", p.ExpressionAccessor.GetExpression(), err)}
	}
	return r, nil
}
