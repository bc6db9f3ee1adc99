package admission

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"sync"

	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/common/types/traits"
	"google.golang.org/protobuf/types/known/structpb"
	registrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	plugincel "k8s.io/apiserver/pkg/admission/plugin/cel"
	"k8s.io/apiserver/pkg/admission/plugin/policy/mutating/patch"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	"k8s.io/apiserver/pkg/cel/environment"
	celmutation "k8s.io/apiserver/pkg/cel/mutation"
	"k8s.io/apiserver/pkg/cel/mutation/dynamic"

	"github.com/portico-api/portico/handler/rest"
)

// mutatingPolicy is a stored policy; its expressions are compiled when a write first needs them.
type mutatingPolicy struct {
	policy
	spec     *registrationv1.MutatingAdmissionPolicySpec
	reinvoke bool
	compiled func() (*mutators, error)
}

// mutators are the expressions of a policy as programs.
type mutators struct {
	conditions *conditions
	all        []mutator
	// variables makes a context in which expressions find the policy's variables.
	variables func(context.Context) plugincel.CompositionContext
}

// mutator is one mutation of a policy.
type mutator interface {
	// mutate returns the object as it is to be, in JSON; nil when it stays as it is.
	mutate(ctx context.Context, in *mutationInput) ([]byte, error)
}

// mutationInput is what a mutation is evaluated on.
type mutationInput struct {
	*review
	form      int
	given     plugincel.OptionalVariableBindings
	namespace *corev1.Namespace
}

func newMutatingPolicy(declared *registrationv1.MutatingAdmissionPolicy, c *compiler) *mutatingPolicy {
	spec := &declared.Spec
	p := &mutatingPolicy{
		policy:   newPolicy(declared.Name, spec.MatchConstraints, spec.FailurePolicy, spec.ParamKind),
		spec:     spec,
		reinvoke: spec.ReinvocationPolicy == registrationv1.IfNeededReinvocationPolicy,
	}
	p.compiled = sync.OnceValues(func() (*mutators, error) { return p.compile(c) })
	return p
}

func (p *mutatingPolicy) compile(c *compiler) (*mutators, error) {
	const mode = environment.StoredExpressions
	given := plugincel.OptionalVariableDeclarations{HasParams: p.params != nil, HasAuthorizer: true}
	compiler, err := c.with(p.spec.Variables, given)
	if err != nil {
		return nil, err
	}
	m := &mutators{variables: compiler.CreateContext}
	m.conditions = policyConditions(&p.policy, p.spec.MatchConditions, compiler, given, variablesOf(compiler, p.spec.Variables))
	given.HasPatchTypes = true
	for i := range p.spec.Mutations {
		switch declared := &p.spec.Mutations[i]; {
		case declared.JSONPatch != nil:
			text := &patch.JSONPatchCondition{Expression: declared.JSONPatch.Expression}
			m.all = append(m.all, &jsonPatcher{compiler.CompileMutatingEvaluator(text, given, mode)})
		case declared.ApplyConfiguration != nil:
			text := &patch.ApplyConfigurationCondition{Expression: declared.ApplyConfiguration.Expression}
			m.all = append(m.all, &configurationMerger{patch.NewApplyConfigurationPatcher(compiler.CompileMutatingEvaluator(text, given, mode))})
		}
	}
	forgetCompiler(compiler, p.spec.Variables)
	return m, nil
}

// configurationMerger merges an object that an expression makes, as server-side apply does.
type configurationMerger struct{ patcher patch.Patcher }

func (c *configurationMerger) mutate(ctx context.Context, in *mutationInput) ([]byte, error) {
	attributes, _, err := in.evaluable(in.form)
	if err != nil {
		return nil, err
	}
	fields, err := in.Types()
	if err != nil {
		return nil, err
	}
	merged, err := c.patcher.Patch(ctx, patch.Request{
		MatchedResource:     in.forms[in.form].Resource,
		VersionedAttributes: attributes,
		OptionalVariables:   in.given,
		Namespace:           in.namespace,
		TypeConverter:       fields,
	}, celconfig.RuntimeCELCostBudget)
	if err != nil {
		return nil, err
	}
	loose, ok := merged.(runtime.Unstructured)
	if !ok {
		return nil, fmt.Errorf("merging made a %T", merged)
	}
	return json.Marshal(loose.UnstructuredContent())
}

// jsonPatcher applies a JSON patch that an expression makes.
type jsonPatcher struct{ evaluator plugincel.MutatingEvaluator }

func (j *jsonPatcher) mutate(ctx context.Context, in *mutationInput) ([]byte, error) {
	attributes, request, err := in.evaluable(in.form)
	if err != nil {
		return nil, err
	}
	if errs := j.evaluator.CompilationErrors(); len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	result, _, err := j.evaluator.ForInput(ctx, attributes, request, in.given, in.namespace, celconfig.RuntimeCELCostBudget)
	if err != nil {
		return nil, err
	}
	if result.Error != nil {
		return nil, result.Error
	}
	operations, err := operationsOf(result.EvalResult)
	if err != nil {
		return nil, err
	}
	object, _, err := in.encoded(in.form)
	if err != nil {
		return nil, err
	}
	patched, err := operations.Apply(object)
	if errors.Is(err, rest.ErrPatchTestFailed) {
		return nil, nil // the expression says when the patch is not for this object
	}
	return patched, err
}

// operationsOf reads the JSON patch that an expression results in.
func operationsOf(result ref.Val) (rest.JSONPatch, error) {
	list, ok := result.(traits.Lister)
	if !ok {
		return nil, fmt.Errorf("the expression results in a %v, not in a list", result.Type())
	}
	var all rest.JSONPatch
	for it := list.Iterator(); it.HasNext() == types.True; {
		native, err := it.Next().ConvertToNative(reflect.TypeFor[*celmutation.JSONPatchVal]())
		if err != nil {
			return nil, fmt.Errorf("reading operation %d of the JSON patch: %w", len(all), err)
		}
		declared, ok := native.(*celmutation.JSONPatchVal)
		if !ok {
			return nil, fmt.Errorf("reading operation %d of the JSON patch: it is a %T", len(all), native)
		}
		operation := rest.PatchOperation{Op: declared.Op, Path: &declared.Path}
		if declared.From != "" {
			operation.From = &declared.From
		}
		if declared.Val != nil {
			if operation.Value, err = valueOf(declared.Val); err != nil {
				return nil, fmt.Errorf("reading the value of operation %d of the JSON patch: %w", len(all), err)
			}
		}
		all = append(all, operation)
	}
	return all, nil
}

// valueOf is a value of an expression as JSON.
func valueOf(v ref.Val) ([]byte, error) {
	if object, ok := v.(*dynamic.ObjectVal); ok {
		if err := object.CheckTypeNamesMatchFieldPathNames(); err != nil {
			return nil, fmt.Errorf("type mismatch: %w", err)
		}
	}
	native, err := v.ConvertToNative(reflect.TypeFor[*structpb.Value]())
	if err != nil {
		return nil, fmt.Errorf("it cannot be written as JSON: %w", err)
	}
	return json.Marshal(native)
}
