package admission_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	registrationv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/portico-api/portico/delegation/admission"
)

const (
	validatingPolicies = "validatingadmissionpolicies"
	validatingBindings = "validatingadmissionpolicybindings"
	mutatingPolicies   = "mutatingadmissionpolicies"
	mutatingBindings   = "mutatingadmissionpolicybindings"
)

// matching matches config maps of a test's namespace.
func matching(namespace string) *registrationv1.MatchResources {
	rules := onConfigMaps(registrationv1.Create, registrationv1.Update, registrationv1.Delete)
	return &registrationv1.MatchResources{
		NamespaceSelector: selecting(namespace),
		ResourceRules:     []registrationv1.NamedRuleWithOperations{{RuleWithOperations: rules[0]}},
	}
}

// validatingPolicy stores a policy and a binding, and waits until they are in force.
func validatingPolicy(t *testing.T, namespace string, spec registrationv1.ValidatingAdmissionPolicySpec, binding registrationv1.ValidatingAdmissionPolicyBindingSpec) string {
	t.Helper()
	name := namespace // a test has one policy
	if spec.MatchConstraints == nil {
		spec.MatchConstraints = matching(namespace)
	}
	spec.Validations = append(spec.Validations, registrationv1.Validation{Expression: "!has(object.metadata) || object.metadata.name != 'refused-when-ready'"})
	binding.PolicyName = name
	if binding.ValidationActions == nil {
		binding.ValidationActions = []registrationv1.ValidationAction{registrationv1.Deny}
	}
	create(t, validatingPolicies, name, registrationv1.ValidatingAdmissionPolicy{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: spec})
	create(t, validatingBindings, name, registrationv1.ValidatingAdmissionPolicyBinding{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: binding})
	eventually(t, "the policy to be in force", func() bool {
		a := do(t, http.MethodPost, maps(namespace)+"?dryRun=All", configMap("refused-when-ready", nil))
		return a.code != 201 || len(a.warnings) > 0
	})
	return name
}

func TestAValidatingPolicyRefuses(t *testing.T) {
	ns := namespace(t)
	name := validatingPolicy(t, ns, registrationv1.ValidatingAdmissionPolicySpec{
		Variables: []registrationv1.Variable{
			{Name: "keys", Expression: "object == null || !has(object.data) ? [] : object.data.map(k, k)"},
			{Name: "many", Expression: "size(variables.keys) > 2"},
		},
		MatchConditions: []registrationv1.MatchCondition{{Name: "not-exempt", Expression: "object == null || object.metadata.name != 'exempt'"}},
		Validations: []registrationv1.Validation{
			{Expression: "!variables.many", Message: "too many keys"},
			{Expression: "!('b' in variables.keys)", MessageExpression: "'key b of ' + object.metadata.name + ' in ' + namespaceObject.metadata.name", Reason: ptr(metav1.StatusReasonForbidden)},
			{Expression: "!('c' in variables.keys) || authorizer.group('').resource('pods').namespace(request.namespace).check('list').allowed()", MessageExpression: "'broken ' + object.nothing"},
			{Expression: "oldObject == null || request.operation != 'DELETE' || oldObject.metadata.name != 'stays'"},
		},
	}, registrationv1.ValidatingAdmissionPolicyBindingSpec{})

	for _, test := range []struct {
		name, user string
		keys       []string
		code       int
		reason     metav1.StatusReason
		want       string
	}{
		{"a", "", []string{"x"}, 201, "", ""},
		{"b", "", []string{"x", "y", "z"}, 422, metav1.StatusReasonInvalid, "denied request: too many keys"},
		{"exempt", "", []string{"x", "y", "z"}, 201, "", ""},
		{"d", "", []string{"b"}, 403, metav1.StatusReasonForbidden, "denied request: key b of d in " + ns},
		{"e", "", []string{"c"}, 201, "", ""},
		{"f", "nobody", []string{"c"}, 422, metav1.StatusReasonInvalid, "denied request: failed expression: !('c' in variables.keys)"},
		{"stays", "", nil, 201, "", ""},
	} {
		data := map[string]string{}
		for _, key := range test.keys {
			data[key] = "1"
		}
		a := do(t, http.MethodPost, maps(ns), configMap(test.name, data), "X-Name", test.user)
		status := a.status()
		if a.code != test.code || !strings.Contains(a.message(), test.want) {
			t.Errorf("%s: got %d %q, want %d %q", test.name, a.code, a.message(), test.code, test.want)
		}
		if test.code == 201 {
			continue
		}
		prefix := `configmaps "` + test.name + `" is forbidden: ValidatingAdmissionPolicy '` + name + `' with binding '` + name + `' denied request: `
		if status.Reason != test.reason || !strings.HasPrefix(status.Message, prefix) || len(status.Details.Causes) != 1 {
			t.Errorf("%s: got %+v", test.name, status)
		}
	}
	if a := do(t, http.MethodDelete, maps(ns)+"/stays", nil); a.code != 422 {
		t.Errorf("deleting got %d %s", a.code, a.message())
	}
	if a := do(t, http.MethodDelete, maps(ns)+"/a", nil); a.code != 200 {
		t.Errorf("deleting got %d %s", a.code, a.message())
	}
}

// What a create is charged to a quota is the server's doing, whoever creates.
func TestAQuotaIsChargedAsTheServer(t *testing.T) {
	ns := namespace(t)
	match := matching(ns)
	match.ResourceRules[0].Rule = registrationv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"configmaps", "resourcequotas/status"}}
	if a := do(t, http.MethodPost, "/api/v1/namespaces/"+ns+"/resourcequotas", map[string]any{
		"apiVersion": "v1", "kind": "ResourceQuota", "metadata": map[string]any{"name": "q"}, "spec": map[string]any{"hard": map[string]any{"configmaps": "1000"}},
	}); a.code != 201 {
		t.Fatalf("got %d %s", a.code, a.message())
	}
	used := func() string {
		found, _, _ := unstructured.NestedString(do(t, http.MethodGet, "/api/v1/namespaces/"+ns+"/resourcequotas/q", nil).object.Object, "status", "used", "configmaps")
		return found
	}
	eventually(t, "what is there to be counted", func() bool { return used() != "" })
	validatingPolicy(t, ns, registrationv1.ValidatingAdmissionPolicySpec{
		MatchConstraints: match,
		Validations:      []registrationv1.Validation{{Expression: "!has(request.subResource) || request.userInfo.username != 'nobody'"}},
	}, registrationv1.ValidatingAdmissionPolicyBindingSpec{})
	before := used()
	if a := do(t, http.MethodPost, maps(ns), configMap("counted", nil), "X-Name", "nobody"); a.code != 201 {
		t.Errorf("got %d %s", a.code, a.message())
	}
	if got := used(); got == before {
		t.Errorf("it was not charged: %s", got)
	}
}

func TestAPolicyMayOnlyWarn(t *testing.T) {
	ns := namespace(t)
	name := validatingPolicy(t, ns, registrationv1.ValidatingAdmissionPolicySpec{
		Validations:      []registrationv1.Validation{{Expression: "false", Message: "as you like"}},
		AuditAnnotations: []registrationv1.AuditAnnotation{{Key: "who", ValueExpression: "request.userInfo.username"}},
	}, registrationv1.ValidatingAdmissionPolicyBindingSpec{ValidationActions: []registrationv1.ValidationAction{registrationv1.Warn, registrationv1.Audit}})
	a := do(t, http.MethodPost, maps(ns), configMap("x", nil))
	want := "Validation failed for ValidatingAdmissionPolicy '" + name + "' with binding '" + name + "': as you like"
	if a.code != 201 || !slices.ContainsFunc(a.warnings, func(w string) bool { return strings.Contains(w, want) }) {
		t.Errorf("got %d, warnings %q, want %q", a.code, a.warnings, want)
	}
}

func TestPoliciesWithParameters(t *testing.T) {
	for name, test := range map[string]struct {
		ref  registrationv1.ParamRef
		code int
		want string
	}{
		"by name":          {registrationv1.ParamRef{Name: "limit"}, 422, "at most 1"},
		"by selector":      {registrationv1.ParamRef{Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"kind": "limit"}}}, 422, "at most 1"},
		"nowhere, allowed": {registrationv1.ParamRef{Name: "none", ParameterNotFoundAction: ptr(registrationv1.AllowAction)}, 201, ""},
		"nowhere, denied":  {registrationv1.ParamRef{Name: "none"}, 422, "failed to configure binding: no params found for policy binding with `Deny` parameterNotFoundAction"},
		"elsewhere":        {registrationv1.ParamRef{Name: "limit", Namespace: "default"}, 422, "no params found"},
	} {
		t.Run(name, func(t *testing.T) {
			ns := namespace(t)
			limit := map[string]any{
				"metadata": map[string]any{"name": "limit", "labels": map[string]string{"kind": "limit"}},
				"data":     map[string]string{"most": "1"},
			}
			if a := do(t, http.MethodPost, maps(ns), limit); a.code != 201 {
				t.Fatalf("got %d %s", a.code, a.message())
			}
			if test.ref.ParameterNotFoundAction == nil {
				test.ref.ParameterNotFoundAction = ptr(registrationv1.DenyAction)
			}
			policy := ns
			create(t, validatingPolicies, policy, registrationv1.ValidatingAdmissionPolicy{
				ObjectMeta: metav1.ObjectMeta{Name: policy},
				Spec: registrationv1.ValidatingAdmissionPolicySpec{
					ParamKind:        &registrationv1.ParamKind{APIVersion: "v1", Kind: "ConfigMap"},
					MatchConstraints: matching(ns),
					Validations: []registrationv1.Validation{{
						Expression:        "size(object.data) <= int(params.data.most)",
						MessageExpression: "'at most ' + params.data.most",
					}},
				},
			})
			create(t, validatingBindings, policy, registrationv1.ValidatingAdmissionPolicyBinding{
				ObjectMeta: metav1.ObjectMeta{Name: policy},
				Spec: registrationv1.ValidatingAdmissionPolicyBindingSpec{
					PolicyName: policy, ParamRef: &test.ref, ValidationActions: []registrationv1.ValidationAction{registrationv1.Deny},
				},
			})
			two := configMap("two", map[string]string{"a": "1", "b": "2"})
			var a *answered
			eventually(t, "the answer", func() bool {
				a = do(t, http.MethodPost, maps(ns)+"?dryRun=All", two)
				return a.code == test.code
			})
			if !strings.Contains(a.message(), test.want) {
				t.Errorf("got %d %q, want %q", a.code, a.message(), test.want)
			}
		})
	}
}

// Nobody learns by a policy what they may not read.
func TestWhoWritesAPolicyMustBeAllowedToReadItsParameters(t *testing.T) {
	ns := namespace(t)
	policy := func(name, kind string) any {
		return registrationv1.ValidatingAdmissionPolicy{
			ObjectMeta: metav1.ObjectMeta{Name: name},
			Spec: registrationv1.ValidatingAdmissionPolicySpec{
				ParamKind: &registrationv1.ParamKind{APIVersion: "v1", Kind: kind}, MatchConstraints: matching(ns),
				Validations: []registrationv1.Validation{{Expression: "true"}},
			},
		}
	}
	binding := func(policy string) any {
		return registrationv1.ValidatingAdmissionPolicyBinding{
			ObjectMeta: metav1.ObjectMeta{Name: policy},
			Spec: registrationv1.ValidatingAdmissionPolicyBindingSpec{
				PolicyName: policy, ParamRef: &registrationv1.ParamRef{Name: "x", Namespace: ns, ParameterNotFoundAction: ptr(registrationv1.AllowAction)},
				ValidationActions: []registrationv1.ValidationAction{registrationv1.Deny},
			},
		}
	}
	named := func(b any, name string) any {
		renamed := b.(registrationv1.ValidatingAdmissionPolicyBinding)
		renamed.Name = name
		return renamed
	}
	create(t, validatingPolicies, ns+"-secrets", policy(ns+"-secrets", "Secret"))
	create(t, validatingPolicies, ns+"-maps", policy(ns+"-maps", "ConfigMap"))
	create(t, validatingBindings, ns+"-secrets", binding(ns+"-secrets"))
	for _, path := range []string{validatingPolicies + "/" + ns + "-secrets", validatingBindings + "/" + ns + "-secrets"} {
		a := do(t, http.MethodPatch, configurations+path, map[string]any{"metadata": map[string]any{"labels": map[string]string{"a": "b"}}},
			"X-Name", "nobody", "Content-Type", "application/merge-patch+json")
		if a.code != 200 {
			t.Errorf("a label for %s, whose parameters stay: got %d %s", path, a.code, a.message())
		}
	}
	a := do(t, http.MethodPatch, configurations+validatingPolicies+"/"+ns+"-maps", map[string]any{"spec": map[string]any{"paramKind": map[string]any{"kind": "Secret"}}},
		"X-Name", "nobody", "Content-Type", "application/merge-patch+json")
	if a.code != 422 {
		t.Errorf("a parameter that the user may not read: got %d %s", a.code, a.message())
	}
	for _, test := range []struct {
		resource string
		object   any
		code     int
		field    string
	}{
		{validatingPolicies, policy("mine", "Secret"), 422, "spec.paramKind"},
		{validatingPolicies, policy("mine", "ConfigMap"), 201, ""},
		{validatingBindings, named(binding(ns+"-secrets"), "another"), 422, "spec.paramRef"},
		{validatingBindings, binding("nothing"), 422, "spec.paramRef"},
		{validatingBindings, binding(ns + "-maps"), 201, ""},
	} {
		var a *answered
		eventually(t, "the answer", func() bool { // a policy is known a moment after it is stored
			a = do(t, http.MethodPost, configurations+test.resource+"?dryRun=All", test.object, "X-Name", "nobody")
			return a.code == test.code
		})
		status := a.status()
		if test.code == 422 && (status.Details.Causes[0].Field != test.field || !strings.Contains(status.Message, `user "nobody" must have "get" permission on`)) {
			t.Errorf("got %+v", status)
		}
	}
}

// loopOver goes over a list again for each of its elements, and so on.
func loopOver(list string, depth int) string {
	loop := "true"
	for i := range depth {
		loop = fmt.Sprintf("%s.map(v%d, %s)", list, i, loop)
	}
	return "size(" + loop + ") > 0"
}

// What a policy cannot evaluate refuses the write, or does not if the policy says so.
func TestPoliciesThatFail(t *testing.T) {
	listed := configMap("x", nil)
	listed["metadata"].(map[string]any)["annotations"] = map[string]string{"list": "0,1,2,3,4,5,6,7,8,9"}
	for name, test := range map[string]struct{ expression, want string }{
		"a missing field": {"object.nothing == 1", "expression 'object.nothing == 1' resulted in error: no such key: nothing"},
		"too costly":      {loopOver("object.metadata.annotations.list.split(',')", 7), "cost"},
		"no number":       {"int(object.metadata.name) > 1", "resulted in error"},
	} {
		t.Run(name, func(t *testing.T) {
			ns := namespace(t)
			validatingPolicy(t, ns, registrationv1.ValidatingAdmissionPolicySpec{
				Validations: []registrationv1.Validation{{Expression: test.expression}},
			}, registrationv1.ValidatingAdmissionPolicyBindingSpec{})
			if a := do(t, http.MethodPost, maps(ns), listed); a.code != 422 || !strings.Contains(a.message(), test.want) {
				t.Errorf("got %d %q, want %q", a.code, a.message(), test.want)
			}
		})
		t.Run(name+" and does not matter", func(t *testing.T) {
			ns := namespace(t)
			validatingPolicy(t, ns, registrationv1.ValidatingAdmissionPolicySpec{
				FailurePolicy: ptr(registrationv1.Ignore),
				Validations:   []registrationv1.Validation{{Expression: "object.metadata.name != 'x' || " + test.expression}},
			}, registrationv1.ValidatingAdmissionPolicyBindingSpec{})
			if a := do(t, http.MethodPost, maps(ns), listed); a.code != 201 {
				t.Errorf("got %d %q", a.code, a.message())
			}
		})
	}
}

// mutatingPolicy stores a policy and a binding, and waits until they are in force.
func mutatingPolicy(t *testing.T, namespace string, spec registrationv1.MutatingAdmissionPolicySpec) {
	t.Helper()
	name := namespace // a test has one policy
	spec.MatchConstraints = matching(namespace)
	spec.Mutations = append(spec.Mutations, registrationv1.Mutation{
		PatchType:          registrationv1.PatchTypeApplyConfiguration,
		ApplyConfiguration: &registrationv1.ApplyConfiguration{Expression: `Object{metadata: Object.metadata{labels: {"in": "force"}}}`},
	})
	create(t, mutatingPolicies, name, registrationv1.MutatingAdmissionPolicy{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: spec})
	create(t, mutatingBindings, name, registrationv1.MutatingAdmissionPolicyBinding{
		ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: registrationv1.MutatingAdmissionPolicyBindingSpec{PolicyName: name},
	})
	eventually(t, "the policy to be in force", func() bool {
		a := do(t, http.MethodPost, maps(namespace)+"?dryRun=All", configMap("probe", nil))
		return a.code != 201 || a.object.GetLabels()["in"] == "force"
	})
}

func jsonPatch(expression string) registrationv1.Mutation {
	return registrationv1.Mutation{PatchType: registrationv1.PatchTypeJSONPatch, JSONPatch: &registrationv1.JSONPatch{Expression: expression}}
}

func TestAMutatingPolicyChangesWhatIsStored(t *testing.T) {
	ns := namespace(t)
	mutatingPolicy(t, ns, registrationv1.MutatingAdmissionPolicySpec{
		Variables:       []registrationv1.Variable{{Name: "who", Expression: "request.userInfo.username"}},
		MatchConditions: []registrationv1.MatchCondition{{Name: "has-an-object", Expression: "object != null"}},
		Mutations: []registrationv1.Mutation{
			{PatchType: registrationv1.PatchTypeApplyConfiguration, ApplyConfiguration: &registrationv1.ApplyConfiguration{
				Expression: `Object{data: {"by": variables.who, "at": namespaceObject.metadata.name}}`,
			}},
			jsonPatch(`[JSONPatch{op: "add", path: "/metadata/annotations", value: {"patched": "yes"}}, JSONPatch{op: "add", path: "/metadata/annotations/" + jsonpatch.escapeKey("example.com/k"), value: "v"}]`),
			jsonPatch(`[JSONPatch{op: "test", path: "/data/by", value: "somebody else"}, JSONPatch{op: "remove", path: "/data/by"}]`),
		},
	})
	a := do(t, http.MethodPost, maps(ns), configMap("x", map[string]string{"mine": "1"}))
	got := a.data()
	if a.code != 201 || got["by"] != "admin" || got["at"] != ns || got["mine"] != "1" || a.object.GetAnnotations()["patched"] != "yes" || a.object.GetAnnotations()["example.com/k"] != "v" || a.object.GetLabels()["in"] != "force" {
		t.Errorf("got %d %v", a.code, a.object.Object)
	}
	if a := do(t, http.MethodDelete, maps(ns)+"/x", nil); a.code != 200 {
		t.Errorf("deleting got %d %s", a.code, a.message())
	}
}

func TestMutatingPoliciesThatFail(t *testing.T) {
	for name, test := range map[string]struct{ expression, want string }{
		"nowhere":          {`[JSONPatch{op: "remove", path: "/data/nothing"}]`, "cannot be carried out"},
		"an unknown field": {`[JSONPatch{op: "add", path: "/nothing", value: "x"}]`, `unknown field "nothing"`},
		"another type":     {`[JSONPatch{op: "add", path: "/data", value: 17}]`, "cannot unmarshal"},
	} {
		t.Run(name, func(t *testing.T) {
			ns := namespace(t)
			mutatingPolicy(t, ns, registrationv1.MutatingAdmissionPolicySpec{Mutations: []registrationv1.Mutation{jsonPatch(test.expression)}})
			a := do(t, http.MethodPost, maps(ns), configMap("x", nil))
			want := "policy '" + ns + "' with binding '" + ns + "' denied request: "
			if a.code != 403 || !strings.HasPrefix(a.message(), want) || !strings.Contains(a.message(), test.want) {
				t.Errorf("got %d %q, want %q", a.code, a.message(), test.want)
			}
		})
	}
}

// Expressions that cannot be compiled are refused where they are.
func TestExpressionsAreCheckedWhenTheyAreStored(t *testing.T) {
	match := matching("nowhere")
	condition := func(expression string) []registrationv1.MatchCondition {
		return []registrationv1.MatchCondition{{Name: "c", Expression: expression}}
	}
	truth := []registrationv1.Validation{{Expression: "true"}}
	validating := func(edit func(*registrationv1.ValidatingAdmissionPolicySpec)) any {
		p := registrationv1.ValidatingAdmissionPolicy{ObjectMeta: metav1.ObjectMeta{Name: "x"}}
		p.Spec.MatchConstraints, p.Spec.Validations = match, truth
		edit(&p.Spec)
		return p
	}
	mutating := func(edit func(*registrationv1.MutatingAdmissionPolicySpec)) any {
		p := registrationv1.MutatingAdmissionPolicy{ObjectMeta: metav1.ObjectMeta{Name: "x"}}
		p.Spec.MatchConstraints, p.Spec.ReinvocationPolicy = match, registrationv1.NeverReinvocationPolicy
		edit(&p.Spec)
		return p
	}
	for _, test := range []struct {
		resource string
		object   any
		field    string
		want     string
	}{
		{validatingPolicies, validating(func(s *registrationv1.ValidatingAdmissionPolicySpec) {
			s.Validations = []registrationv1.Validation{{Expression: "object.foo ="}}
		}), "spec.validations[0].expression", "compilation failed: ERROR"},
		{validatingPolicies, validating(func(s *registrationv1.ValidatingAdmissionPolicySpec) {
			s.Validations = []registrationv1.Validation{{Expression: "'text'"}}
		}), "spec.validations[0].expression", "must evaluate to bool but got string"},
		{validatingPolicies, validating(func(s *registrationv1.ValidatingAdmissionPolicySpec) {
			s.Validations = []registrationv1.Validation{{Expression: "true", MessageExpression: "authorizer.group('').resource('pods').check('get').reason()"}}
		}), "spec.validations[0].messageExpression", "undeclared reference to 'authorizer'"},
		{validatingPolicies, validating(func(s *registrationv1.ValidatingAdmissionPolicySpec) {
			s.Validations = []registrationv1.Validation{{Expression: "params.x == 1"}}
		}), "spec.validations[0].expression", "undeclared reference to 'params'"},
		{validatingPolicies, validating(func(s *registrationv1.ValidatingAdmissionPolicySpec) {
			s.Validations = []registrationv1.Validation{{Expression: "variables.nothing"}}
		}), "spec.validations[0].expression", "undefined field 'nothing'"},
		{validatingPolicies, validating(func(s *registrationv1.ValidatingAdmissionPolicySpec) {
			s.Variables = []registrationv1.Variable{{Name: "v", Expression: "nothing"}}
		}), "spec.variables[0].expression", "undeclared reference to 'nothing'"},
		{validatingPolicies, validating(func(s *registrationv1.ValidatingAdmissionPolicySpec) {
			s.AuditAnnotations = []registrationv1.AuditAnnotation{{Key: "k", ValueExpression: "17"}}
		}), "spec.auditAnnotations[0].valueExpression", "must evaluate to one of [string null_type] but got int"},
		{validatingPolicies, validating(func(s *registrationv1.ValidatingAdmissionPolicySpec) { s.MatchConditions = condition("nothing") }),
			"spec.matchConditions[0].expression", "undeclared reference to 'nothing'"},
		{mutatingPolicies, mutating(func(s *registrationv1.MutatingAdmissionPolicySpec) {
			s.Mutations = []registrationv1.Mutation{jsonPatch("true")}
		}), "spec.mutations[0].jsonPatch.expression", "must evaluate to list(JSONPatch) but got bool"},
		{mutatingPolicies, mutating(func(s *registrationv1.MutatingAdmissionPolicySpec) {
			s.Mutations = []registrationv1.Mutation{{PatchType: registrationv1.PatchTypeApplyConfiguration, ApplyConfiguration: &registrationv1.ApplyConfiguration{Expression: "[]"}}}
		}), "spec.mutations[0].applyConfiguration.expression", "must evaluate to Object but got list"},
		{validatingPolicies, validating(func(s *registrationv1.ValidatingAdmissionPolicySpec) {
			s.Validations = []registrationv1.Validation{{Expression: loopOver("[0,1,2,3,4,5,6,7,8,9]", 7)}}
		}), "spec.validations[0].expression", "the expression costs at least"},
		{askingHooks, registrationv1.ValidatingWebhookConfiguration{ObjectMeta: metav1.ObjectMeta{Name: "x"}, Webhooks: []registrationv1.ValidatingWebhook{{
			Name: "a.example.com", ClientConfig: registrationv1.WebhookClientConfig{URL: ptr("https://127.0.0.1:1")}, Rules: onConfigMaps(),
			SideEffects: ptr(registrationv1.SideEffectClassNone), AdmissionReviewVersions: []string{"v1"}, MatchConditions: condition("variables.x"),
		}}}, "webhooks[0].matchConditions[0].expression", "undeclared reference to 'variables'"},
	} {
		a := do(t, http.MethodPost, configurations+test.resource, test.object)
		status := a.status()
		if a.code != 422 || status.Details == nil || len(status.Details.Causes) != 1 || status.Details.Causes[0].Field != test.field || !strings.Contains(a.message(), test.want) {
			t.Errorf("want %s: %s\ngot %d %+v", test.field, test.want, a.code, status)
		}
	}
}

// What does not fit the types of the kinds that a policy names is told in its status, and the policy is in force all the same.
func TestPoliciesAreCheckedForTypes(t *testing.T) {
	ns := namespace(t)
	create(t, validatingPolicies, ns, registrationv1.ValidatingAdmissionPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: ns},
		Spec: registrationv1.ValidatingAdmissionPolicySpec{
			ParamKind: &registrationv1.ParamKind{APIVersion: "v1", Kind: "Secret"},
			MatchConstraints: &registrationv1.MatchResources{ResourceRules: []registrationv1.NamedRuleWithOperations{{
				RuleWithOperations: registrationv1.RuleWithOperations{
					Operations: []registrationv1.OperationType{registrationv1.Create},
					Rule:       registrationv1.Rule{APIGroups: []string{"", "nothing.example"}, APIVersions: []string{"v1"}, Resources: []string{"configmaps", "services", "pods/*"}},
				},
			}}},
			Variables: []registrationv1.Variable{{Name: "type", Expression: "object.spec.type"}},
			Validations: []registrationv1.Validation{
				{Expression: "has(object.metadata.labels) && object.metadata.name != params.type"},
				{Expression: "object.data.size() > 1", MessageExpression: "'x ' + object.metadata.nme"},
				{Expression: "variables.type == 17"},
			},
		},
	})
	var warnings []any
	eventually(t, "the status", func() bool {
		a := do(t, http.MethodGet, configurations+validatingPolicies+"/"+ns, nil)
		seen, _, _ := unstructured.NestedInt64(a.object.Object, "status", "observedGeneration")
		warnings, _, _ = unstructured.NestedSlice(a.object.Object, "status", "typeChecking", "expressionWarnings")
		return seen == 1 && a.object.GetGeneration() == 1
	})
	type warning struct{ field, text string }
	var got []warning
	for _, w := range warnings {
		w := w.(map[string]any)
		got = append(got, warning{w["fieldRef"].(string), w["warning"].(string)})
	}
	want := []struct {
		field string
		texts []string
	}{
		{"spec.validations[1].expression", []string{"/v1, Kind=Service: ERROR: <input>:1:7: undefined field 'data'"}},
		{"spec.validations[1].messageExpression", []string{"/v1, Kind=ConfigMap: ERROR: <input>:1:23: undefined field 'nme'", "/v1, Kind=Service: ERROR"}},
		{"spec.validations[2].expression", []string{"/v1, Kind=Service: ERROR: <input>:1:16: found no matching overload for '_==_'"}},
	}
	if len(got) != len(want) {
		t.Fatalf("got %+v", got)
	}
	for i, w := range want {
		for _, text := range w.texts {
			if got[i].field != w.field || !strings.Contains(got[i].text, text) {
				t.Errorf("got %+v, want %s: %s", got[i], w.field, text)
			}
		}
	}
}

// What is deleted between the moment a server reads its hooks and the moment it follows them is not in force.
func TestWhatGoesWhileAServerStarts(t *testing.T) {
	if got := admission.KnownAfterStart([]string{"a", "b", "c"}, []string{"a", "c"}); !slices.Equal(got, []string{"a", "c"}) {
		t.Errorf("in force are %v", got)
	}
}
