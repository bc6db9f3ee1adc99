package admission

import (
	"strings"

	registrationv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
	plugincel "k8s.io/apiserver/pkg/admission/plugin/cel"
	"k8s.io/apiserver/pkg/admission/plugin/policy/mutating/patch"
	apiservercel "k8s.io/apiserver/pkg/cel"
	"k8s.io/apiserver/pkg/cel/environment"
)

// Expressions finds what is wrong with expressions before they are stored. An empty one is somebody else's to refuse.
type Expressions struct{ compile *compiler }

// Expressions checks what hooks will evaluate.
func (h *Hooks) Expressions() *Expressions { return &Expressions{h.compile} }

// Conditions checks the match conditions of a webhook, which are at path.
func (e *Expressions) Conditions(declared []registrationv1.MatchCondition, path *field.Path) field.ErrorList {
	if len(declared) == 0 {
		return nil
	}
	given := plugincel.OptionalVariableDeclarations{HasAuthorizer: true}
	c := checking{compiler: e.compile.webhook(), costs: e.compile.costs, given: given}
	c.conditions(declared, path)
	return c.problems
}

// ValidatingPolicy checks all expressions of a policy.
func (e *Expressions) ValidatingPolicy(p *registrationv1.ValidatingAdmissionPolicy) field.ErrorList {
	spec := field.NewPath("spec")
	c := e.checking(p.Spec.ParamKind != nil, p.Spec.Variables)
	c.conditions(p.Spec.MatchConditions, spec.Child("matchConditions"))
	for i, v := range p.Spec.Validations {
		at := spec.Child("validations").Index(i)
		c.check(truth(v.Expression), c.given, at.Child("expression"))
		withoutAuthorizer := c.given
		withoutAuthorizer.HasAuthorizer = false
		c.check(message(v.MessageExpression), withoutAuthorizer, at.Child("messageExpression"))
	}
	for i, a := range p.Spec.AuditAnnotations {
		c.check(annotation(a.ValueExpression), c.given, spec.Child("auditAnnotations").Index(i).Child("valueExpression"))
	}
	return c.problems
}

// MutatingPolicy checks all expressions of a policy.
func (e *Expressions) MutatingPolicy(p *registrationv1.MutatingAdmissionPolicy) field.ErrorList {
	spec := field.NewPath("spec")
	c := e.checking(p.Spec.ParamKind != nil, p.Spec.Variables)
	c.conditions(p.Spec.MatchConditions, spec.Child("matchConditions"))
	patching := c.given
	patching.HasPatchTypes = true
	for i, m := range p.Spec.Mutations {
		at := spec.Child("mutations").Index(i)
		if m.PatchType == registrationv1.PatchTypeApplyConfiguration && m.ApplyConfiguration != nil {
			c.check(&patch.ApplyConfigurationCondition{Expression: m.ApplyConfiguration.Expression}, patching, at.Child("applyConfiguration", "expression"))
		}
		if m.PatchType == registrationv1.PatchTypeJSONPatch && m.JSONPatch != nil {
			c.check(&patch.JSONPatchCondition{Expression: m.JSONPatch.Expression}, patching, at.Child("jsonPatch", "expression"))
		}
	}
	return c.problems
}

// checking is the check of one object's expressions.
type checking struct {
	compiler plugincel.Compiler
	costs    *costs
	given    plugincel.OptionalVariableDeclarations
	problems field.ErrorList
}

// checking begins with the variables of a policy, which its other expressions may use.
func (e *Expressions) checking(params bool, variables []registrationv1.Variable) *checking {
	c := &checking{costs: e.compile.costs, given: plugincel.OptionalVariableDeclarations{HasParams: params, HasAuthorizer: true}}
	compiler, err := e.compile.plain()
	if len(variables) > 0 {
		compiler, err = newCompositedCompiler()
	}
	if err != nil {
		c.problems = field.ErrorList{field.InternalError(field.NewPath("spec"), err)}
		return c
	}
	c.compiler = compiler
	for i, v := range variables {
		if isBlank(v.Expression) {
			continue
		}
		result := compiler.CompileAndStoreVariable(variable(v), c.given, environment.NewExpressions)
		c.note(result.Error, v.Expression, field.NewPath("spec", "variables").Index(i).Child("expression"))
	}
	return c
}

func (c *checking) conditions(declared []registrationv1.MatchCondition, path *field.Path) {
	for i := range declared {
		c.check(truth(declared[i].Expression), c.given, path.Index(i).Child("expression"))
	}
}

func (c *checking) check(e plugincel.ExpressionAccessor, given plugincel.OptionalVariableDeclarations, path *field.Path) {
	if isBlank(e.GetExpression()) || c.compiler == nil {
		return
	}
	result := c.compiler.CompileCELExpression(e, given, environment.NewExpressions)
	c.note(result.Error, e.GetExpression(), path)
}

func isBlank(expression string) bool { return strings.TrimSpace(expression) == "" }

func (c *checking) note(err *apiservercel.Error, expression string, path *field.Path) {
	switch {
	case err == nil:
		if problem := c.costs.exceeded(expression); problem != "" {
			c.problems = append(c.problems, field.Invalid(path, expression, problem))
		}
	case err.Type == apiservercel.ErrorTypeInternal:
		c.problems = append(c.problems, field.InternalError(path, err))
	default:
		c.problems = append(c.problems, field.Invalid(path, expression, err.Error()))
	}
}
