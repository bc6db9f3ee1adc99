package admission

import (
	"context"
	"sync"

	"github.com/google/cel-go/cel"
	registrationv1 "k8s.io/api/admissionregistration/v1"
	plugincel "k8s.io/apiserver/pkg/admission/plugin/cel"
	"k8s.io/apiserver/pkg/cel/environment"
)

// compiler turns expressions into programs. What it needs for that is made when the first expression comes: a server
// without any pays nothing.
type compiler struct {
	// plain is for expressions that have no variables of their own.
	plain func() (*plugincel.CompositedCompiler, error)
	// webhook is for webhooks, whose expressions know of no variables at all.
	webhook func() plugincel.Compiler
	costs   *costs
}

func newCompiler() *compiler {
	return &compiler{
		plain:   sync.OnceValues(newCompositedCompiler),
		costs:   newCosts(),
		webhook: sync.OnceValue(func() plugincel.Compiler { return plugincel.NewCompiler(baseEnvironment()) }),
	}
}

// baseEnvironment has the functions and limits that Kubernetes gives expressions (contract 7.8).
func baseEnvironment() *environment.EnvSet {
	return environment.MustBaseEnvSet(environment.DefaultCompatibilityVersion())
}

func newCompositedCompiler() (*plugincel.CompositedCompiler, error) {
	return plugincel.NewCompositedCompiler(baseEnvironment())
}

// with returns a compiler that knows variables. One without any is shared: it takes more memory than all expressions
// of a policy.
func (c *compiler) with(variables []registrationv1.Variable, given plugincel.OptionalVariableDeclarations) (*plugincel.CompositedCompiler, error) {
	if len(variables) == 0 {
		return c.plain()
	}
	own, err := newCompositedCompiler()
	if err != nil {
		return nil, err
	}
	for _, v := range variables {
		own.CompileAndStoreVariable(variable(v), given, environment.StoredExpressions)
	}
	return own, nil
}

// variablesOf makes contexts in which a policy's expressions find its variables; nil when it has none.
func variablesOf(c *plugincel.CompositedCompiler, declared []registrationv1.Variable) func(context.Context) plugincel.CompositionContext {
	if len(declared) == 0 {
		return nil
	}
	return c.CreateContext
}

// forgetCompiler keeps nothing but the variables of a compiler that is a policy's own: what it compiles with is large.
func forgetCompiler(c *plugincel.CompositedCompiler, declared []registrationv1.Variable) {
	if len(declared) > 0 {
		c.Compiler, c.ConditionCompiler, c.MutatingCompiler = nil, nil, nil
	}
}

// expression is the text of one, and what it may result in.
type expression struct {
	name    string // of a variable
	text    string
	results []*cel.Type
}

func (e *expression) GetName() string          { return e.name }
func (e *expression) GetExpression() string    { return e.text }
func (e *expression) ReturnTypes() []*cel.Type { return e.results }

func variable(v registrationv1.Variable) *expression {
	return &expression{name: v.Name, text: v.Expression, results: []*cel.Type{cel.AnyType, cel.DynType}}
}

func truth(text string) *expression {
	return &expression{text: text, results: []*cel.Type{cel.BoolType}}
}

func message(text string) *expression {
	return &expression{text: text, results: []*cel.Type{cel.StringType}}
}

func annotation(text string) *expression {
	return &expression{text: text, results: []*cel.Type{cel.StringType, cel.NullType}}
}

func conditionExpressions(declared []registrationv1.MatchCondition) []plugincel.ExpressionAccessor {
	all := make([]plugincel.ExpressionAccessor, len(declared))
	for i := range declared {
		all[i] = truth(declared[i].Expression)
	}
	return all
}
