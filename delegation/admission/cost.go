package admission

import (
	"fmt"
	"sync"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/checker"
	"k8s.io/apimachinery/pkg/util/version"
	plugincel "k8s.io/apiserver/pkg/admission/plugin/cel"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	"k8s.io/apiserver/pkg/cel/common"
	"k8s.io/apiserver/pkg/cel/environment"
	"k8s.io/apiserver/pkg/cel/library"
	celmutation "k8s.io/apiserver/pkg/cel/mutation"
)

// costs tells what an expression costs at least, whatever the object is: one that can never be evaluated within its budget is
// of no use, and only keeps the server busy before it fails.
type costs struct {
	env func() (*cel.Env, error)
}

func newCosts() *costs {
	return &costs{sync.OnceValues(func() (*cel.Env, error) {
		anything := make([]cel.EnvOption, 0, 8)
		for _, name := range []string{plugincel.ObjectVarName, plugincel.OldObjectVarName, plugincel.RequestVarName, plugincel.NamespaceVarName, plugincel.ParamsVarName, plugincel.VariableVarName} {
			anything = append(anything, cel.Variable(name, cel.DynType))
		}
		anything = append(anything,
			cel.Variable(plugincel.AuthorizerVarName, library.AuthorizerType),
			cel.Variable(plugincel.RequestResourceAuthorizerVarName, library.ResourceCheckType),
			common.ResolverEnvOption(&celmutation.DynamicTypeResolver{}),
			environment.UnversionedLib(library.JSONPatch))
		set, err := baseEnvironment().Extend(environment.VersionedOptions{IntroducedVersion: version.MajorMinor(1, 0), EnvOptions: anything})
		if err != nil {
			return nil, err
		}
		return set.Env(environment.StoredExpressions)
	})}
}

// exceeded is the problem with an expression that costs too much in any case; empty when it may be cheap.
func (c *costs) exceeded(expression string) string {
	env, err := c.env()
	if err != nil {
		return ""
	}
	ast, issues := env.Compile(expression)
	if issues != nil {
		return "" // it does without types what it does with them, or the compiler has refused it
	}
	estimate, err := env.EstimateCost(ast, &library.CostEstimator{SizeEstimator: unknownSizes{}})
	if err != nil || estimate.Min <= celconfig.PerCallLimit {
		return ""
	}
	return fmt.Sprintf("the expression costs at least %d, which is more than the limit of %d", estimate.Min, uint64(celconfig.PerCallLimit))
}

// unknownSizes knows nothing of objects.
type unknownSizes struct{}

func (unknownSizes) EstimateSize(checker.AstNode) *checker.SizeEstimate { return nil }

func (unknownSizes) EstimateCallCost(string, string, *checker.AstNode, []checker.AstNode) *checker.CallEstimate {
	return nil
}
