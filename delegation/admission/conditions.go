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
	evaluator  func() (plugincel.ConditionEvaluator, error) // compiles at the first call
}

// newConditions returns those of a webhook.
func newConditions(name, kind string, declared []registrationv1.MatchCondition, failOpen bool, c *compiler) *conditions {
	return &conditions{name: name, kind: kind, failOpen: failOpen, evaluator: sync.OnceValues(func() (plugincel.ConditionEvaluator, error) {
		given, compiler := plugincel.OptionalVariableDeclarations{HasAuthorizer: true}, c.webhook()
		compiled := make([]plugincel.CompilationResult, len(declared))
		for i := range declared {
			compiled[i] = compiler.CompileCELExpression(truth(declared[i].Expression), given, environment.StoredExpressions)
		}
		return plugincel.NewCondition(compiled), nil
	})}
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
	evaluator, err := c.evaluator()
	if err != nil {
		return false, err
	}
	attributes, request, err := rv.evaluable(form)
	if err != nil {
		return false, err
	}
	given := plugincel.OptionalVariableBindings{VersionedParams: params, Authorizer: rv.hooks.cfg.Authorizer}
	results, _, err := evaluator.ForInput(ctx, attributes, request, given, nil, celconfig.RuntimeCELCostBudgetMatchConditions)
	if err != nil {
		return false, err
	}
	var failures []error
	for _, r := range results {
		switch {
		case r.Error != nil:
			failures = append(failures, r.Error)
		case r.EvalResult == celtypes.False:
			return false, nil
		}
	}
	return len(failures) == 0, errors.Join(failures...)
}
