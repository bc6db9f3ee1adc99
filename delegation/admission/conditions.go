package admission

import (
	"context"
	"errors"
	"sync"
	"time"

	celtypes "github.com/google/cel-go/common/types"
	registrationv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/runtime"
	plugincel "k8s.io/apiserver/pkg/admission/plugin/cel"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	"k8s.io/apiserver/pkg/cel/environment"
)

// conditions are the expressions that must all be true of a write for a hook to be about it.
type conditions struct {
	name, kind string // "webhook" or "policy"
	failOpen   bool
	compiled   func() programs // at the first call
	variables  func(context.Context) plugincel.CompositionContext
}

// programs are compiled expressions. One that is nil stands for an expression that there is not.
type programs []*plugincel.CompilationResult

func compileAll(c plugincel.Compiler, all []plugincel.ExpressionAccessor, given plugincel.OptionalVariableDeclarations) programs {
	compiled := make(programs, len(all))
	for i, e := range all {
		if e != nil {
			program := c.CompileCELExpression(e, given, environment.StoredExpressions)
			compiled[i] = &program
		}
	}
	return compiled
}

// newConditions returns those of a webhook.
func newConditions(name, kind string, declared []registrationv1.MatchCondition, failOpen bool, c *compiler) *conditions {
	return &conditions{name: name, kind: kind, failOpen: failOpen, compiled: sync.OnceValue(func() programs {
		return compileAll(c.webhook(), conditionExpressions(declared), plugincel.OptionalVariableDeclarations{HasAuthorizer: true})
	})}
}

// policyConditions returns those of a policy, which its compiler knows the variables of; nil when there are none.
func policyConditions(p *policy, declared []registrationv1.MatchCondition, c plugincel.Compiler, given plugincel.OptionalVariableDeclarations,
	variables func(context.Context) plugincel.CompositionContext,
) *conditions {
	if len(declared) == 0 {
		return nil
	}
	all := compileAll(c, conditionExpressions(declared), given)
	return &conditions{name: p.name, kind: "policy", failOpen: p.failOpen, compiled: func() programs { return all }, variables: variables}
}

// met tells whether all conditions are true. One that is false decides, whatever is wrong with others; else what cannot
// be evaluated keeps the write from a hook that fails open, and is the error of one that does not.
func (c *conditions) met(ctx context.Context, rv *review, form int, step string, params runtime.Object) (bool, error) {
	begin := time.Now()
	met, failed := c.evaluate(ctx, rv, form, params)
	rv.hooks.cfg.Metrics.Conditions(c.name, c.kind, step, string(rv.Operation), !met && failed == nil, failed, time.Since(begin))
	if failed != nil && c.failOpen {
		return false, nil
	}
	return met, failed
}

func (c *conditions) evaluate(ctx context.Context, rv *review, form int, params runtime.Object) (bool, error) {
	e, err := rv.begin(ctx, form, c.variables, params, nil, celconfig.RuntimeCELCostBudgetMatchConditions)
	if err != nil {
		return false, err
	}
	var failures []error
	for _, p := range c.compiled() {
		r, err := e.run(p)
		switch {
		case err != nil:
			return false, err
		case r.err != nil:
			failures = append(failures, r.err)
		case r.value == celtypes.False:
			return false, nil
		}
	}
	return len(failures) == 0, errors.Join(failures...)
}
