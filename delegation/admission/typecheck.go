package admission

import (
	"fmt"
	"slices"
	"strings"

	"github.com/google/cel-go/cel"
	registrationv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apimachinery/pkg/util/version"
	plugincel "k8s.io/apiserver/pkg/admission/plugin/cel"
	apiservercel "k8s.io/apiserver/pkg/cel"
	"k8s.io/apiserver/pkg/cel/common"
	"k8s.io/apiserver/pkg/cel/environment"
	"k8s.io/apiserver/pkg/cel/library"
	"k8s.io/apiserver/pkg/cel/openapi"
	"k8s.io/kube-openapi/pkg/validation/spec"
)

// Kinds knows what the objects of a server look like.
type Kinds interface {
	// KindOf is the kind of a resource.
	KindOf(resource schema.GroupVersionResource) (schema.GroupVersionKind, bool)
	// SchemaOf is the schema of a kind, without references; nil when there is none.
	SchemaOf(kind schema.GroupVersionKind) (*spec.Schema, error)
}

// maxTypes is how many kinds a policy is checked for.
const maxTypes = 10

// CheckTypes compiles the validations of a policy as if object had the type of each kind that the policy names, and params
// that of its parameters, and returns what does not compile. It is advice: the policy is evaluated without types.
func (h *Hooks) CheckTypes(p *registrationv1.ValidatingAdmissionPolicy, kinds Kinds) ([]registrationv1.ExpressionWarning, error) {
	params, err := paramType(p, kinds)
	if err != nil {
		return nil, err
	}
	var checks []typeCheck
	for _, kind := range namedKinds(p.Spec.MatchConstraints, kinds) {
		object, err := declaredType(kind, kinds)
		if err != nil {
			return nil, err
		}
		if object == nil {
			continue
		}
		compiler, err := typedCompiler(p, object, params)
		if err != nil {
			return nil, fmt.Errorf("preparing to check types of %v: %w", kind, err)
		}
		checks = append(checks, typeCheck{kind, compiler})
	}
	var warnings []registrationv1.ExpressionWarning
	look := func(expression string, path *field.Path) {
		if text := problems(checks, expression); text != "" {
			warnings = append(warnings, registrationv1.ExpressionWarning{FieldRef: path.String(), Warning: text})
		}
	}
	for i, v := range p.Spec.Validations {
		at := field.NewPath("spec", "validations").Index(i)
		look(v.Expression, at.Child("expression"))
		if v.MessageExpression != "" {
			look(v.MessageExpression, at.Child("messageExpression"))
		}
	}
	return warnings, nil
}

// typeCheck compiles for one kind.
type typeCheck struct {
	kind     schema.GroupVersionKind
	compiler plugincel.Compiler
}

// problems is what does not compile, by kind.
func problems(checks []typeCheck, text string) string {
	var found []string
	for _, c := range checks {
		any := &expression{text: text, results: []*cel.Type{cel.AnyType}}
		if err := c.compiler.CompileCELExpression(any, plugincel.OptionalVariableDeclarations{}, environment.StoredExpressions).Error; err != nil {
			found = append(found, fmt.Sprintf("%v: %v\n", c.kind, err))
		}
	}
	return strings.Join(found, "\n")
}

// namedKinds are the kinds of the resources that rules name. What wildcards mean may change any time, so it is not asked.
func namedKinds(m *registrationv1.MatchResources, kinds Kinds) []schema.GroupVersionKind {
	var all []schema.GroupVersionKind
	if m == nil {
		return nil
	}
	for i := range m.ResourceRules {
		r := &m.ResourceRules[i].Rule
		for _, group := range r.APIGroups {
			for _, version := range r.APIVersions {
				for _, resource := range r.Resources {
					kind, ok := kinds.KindOf(schema.GroupVersionResource{Group: group, Version: version, Resource: resource})
					if ok && !slices.Contains(all, kind) && len(all) < maxTypes {
						all = append(all, kind)
					}
				}
			}
		}
	}
	slices.SortFunc(all, func(a, b schema.GroupVersionKind) int { return strings.Compare(a.String(), b.String()) })
	return all
}

// declaredType is a kind as a type of expressions; nil when its schema is not known.
func declaredType(kind schema.GroupVersionKind, kinds Kinds) (*apiservercel.DeclType, error) {
	s, err := kinds.SchemaOf(kind)
	if err != nil {
		return nil, fmt.Errorf("finding the schema of %v: %w", kind, err)
	}
	if s == nil {
		return nil, nil
	}
	declared := common.SchemaDeclType(&openapi.Schema{Schema: s}, true)
	if declared == nil {
		return nil, nil
	}
	return declared.MaybeAssignTypeName(kind.Kind), nil
}

// paramType is the type of a policy's parameters; nil when it takes none or nobody knows it.
func paramType(p *registrationv1.ValidatingAdmissionPolicy, kinds Kinds) (*apiservercel.DeclType, error) {
	if p.Spec.ParamKind == nil {
		return nil, nil
	}
	gv, err := schema.ParseGroupVersion(p.Spec.ParamKind.APIVersion)
	if err != nil {
		return nil, fmt.Errorf("reading the kind of parameters: %w", err)
	}
	declared, err := declaredType(gv.WithKind(p.Spec.ParamKind.Kind), kinds)
	if err != nil || declared == nil {
		return nil, err
	}
	return declared.MaybeAssignTypeName(p.Spec.ParamKind.Kind + ".params"), nil
}

// typedCompiler knows the policy's variables and what it is given, with their types.
func typedCompiler(p *registrationv1.ValidatingAdmissionPolicy, object, params *apiservercel.DeclType) (plugincel.Compiler, error) {
	request, namespace := plugincel.BuildRequestType(), plugincel.BuildNamespaceType()
	types := []*apiservercel.DeclType{request, namespace, object}
	variables := []cel.EnvOption{
		cel.Variable(plugincel.ObjectVarName, object.CelType()),
		cel.Variable(plugincel.OldObjectVarName, object.CelType()),
		cel.Variable(plugincel.RequestVarName, request.CelType()),
		cel.Variable(plugincel.NamespaceVarName, namespace.CelType()),
		cel.Variable(plugincel.AuthorizerVarName, library.AuthorizerType),
		cel.Variable(plugincel.RequestResourceAuthorizerVarName, library.ResourceCheckType),
	}
	switch {
	case params != nil:
		types = append(types, params)
		variables = append(variables, cel.Variable(plugincel.ParamsVarName, params.CelType()))
	case p.Spec.ParamKind != nil:
		variables = append(variables, cel.Variable(plugincel.ParamsVarName, cel.DynType))
	}
	given, err := baseEnvironment().Extend(environment.VersionedOptions{
		IntroducedVersion: version.MajorMinor(1, 0), EnvOptions: variables, DeclTypes: types,
	})
	if err != nil {
		return nil, err
	}
	compiler, err := plugincel.NewCompositedCompilerForTypeChecking(given)
	if err != nil {
		return nil, err
	}
	compiler.Compiler = typeOnly{compiler.Env}
	for _, v := range p.Spec.Variables {
		compiler.CompileAndStoreVariable(variable(v), plugincel.OptionalVariableDeclarations{}, environment.StoredExpressions)
	}
	return compiler, nil
}

// typeOnly compiles without making a program.
type typeOnly struct {
	env func(environment.Type) (*cel.Env, error)
}

func (t typeOnly) CompileCELExpression(e plugincel.ExpressionAccessor, _ plugincel.OptionalVariableDeclarations, mode environment.Type) plugincel.CompilationResult {
	result := plugincel.CompilationResult{ExpressionAccessor: e}
	env, err := t.env(mode)
	if err != nil {
		result.Error = &apiservercel.Error{Type: apiservercel.ErrorTypeInternal, Detail: err.Error()}
		return result
	}
	ast, issues := env.Compile(e.GetExpression())
	if issues != nil {
		result.Error = &apiservercel.Error{Type: apiservercel.ErrorTypeInvalid, Detail: issues.String()}
		return result
	}
	result.OutputType = ast.OutputType()
	return result
}
