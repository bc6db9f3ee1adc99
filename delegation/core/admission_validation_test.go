package core_test

import (
	"encoding/json"
	"testing"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	flowcontrolv1 "k8s.io/api/flowcontrol/v1"

	"github.com/portico-api/portico/delegation/core"
)

const goodWebhook = `{name: a.example.com, sideEffects: None, admissionReviewVersions: [v1], clientConfig: {url: "https://example.com/x"},
  rules: [{operations: [CREATE], apiGroups: ["*"], apiVersions: ["*"], resources: [pods, pods/status]}]}`

func TestWebhookConfigurationsAreComplete(t *testing.T) {
	for _, resource := range []string{"validatingwebhookconfigurations", "mutatingwebhookconfigurations"} {
		runWrites(t, []write{
			{name: "a good one is accepted", resource: resource, object: "webhooks: [" + goodWebhook + "]"},
			{name: "names are unique", resource: resource, object: "webhooks: [" + goodWebhook + ", " + goodWebhook + "]", want: []string{"webhooks[1].name: Duplicate"}},
			{name: "an empty one lacks everything", resource: resource, object: "webhooks: [{name: a}]",
				want: []string{"webhooks[0].name", "webhooks[0].sideEffects: Required", "webhooks[0].admissionReviewVersions: Required", "webhooks[0].clientConfig: exactly one"}},
			{name: "values are known", resource: resource,
				object: `webhooks: [{name: a.example.com, sideEffects: Some, failurePolicy: Maybe, matchPolicy: Nearly, timeoutSeconds: 31, admissionReviewVersions: [v9],
  clientConfig: {service: {namespace: a, name: b, path: x, port: 0}},
  rules: [{operations: ["*", CREATE], apiGroups: ["*", a], apiVersions: [""], resources: ["*/*", a], scope: Some}]}]`,
				want: []string{"webhooks[0].sideEffects", "webhooks[0].failurePolicy", "webhooks[0].matchPolicy", "webhooks[0].timeoutSeconds", "webhooks[0].admissionReviewVersions",
					"webhooks[0].clientConfig.service.path", "webhooks[0].clientConfig.service.port",
					"webhooks[0].rules[0].operations[0]", "webhooks[0].rules[0].apiGroups", "webhooks[0].rules[0].apiVersions[0]", "webhooks[0].rules[0].resources", "webhooks[0].rules[0].scope"}},
			{name: "a URL is plain https", resource: resource,
				object: `webhooks: [{name: a.example.com, sideEffects: None, admissionReviewVersions: [v1], clientConfig: {url: "http://u:p@h/?q#f", caBundle: AAA=}}]`,
				want: []string{"webhooks[0].clientConfig.url: https", "webhooks[0].clientConfig.url: user", "webhooks[0].clientConfig.url: fragments",
					"webhooks[0].clientConfig.url: query", "webhooks[0].clientConfig.caBundle"}},
			{name: "conditions have unique names and expressions", resource: resource,
				object: `webhooks: [{name: a.example.com, sideEffects: None, admissionReviewVersions: [v1], clientConfig: {url: "https://h"},
  matchConditions: [{name: a, expression: "true"}, {name: a, expression: " "}]}]`,
				want: []string{"webhooks[0].matchConditions[1].name: Duplicate", "webhooks[0].matchConditions[1].expression: Required"}},
			{name: "a pattern is not beside one that covers it", resource: resource,
				object: `webhooks: [{name: a.example.com, sideEffects: None, admissionReviewVersions: [v1], clientConfig: {url: "https://h"},
  rules: [{operations: [CREATE], apiGroups: [""], apiVersions: [v1], resources: ["*", pods, "pods/*", pods/status, "*/scale", deployments/scale]}]}]`,
				want: []string{"webhooks[0].rules[0].resources[1]", "webhooks[0].rules[0].resources[3]", "webhooks[0].rules[0].resources[5]"}},
		})
	}
}

func TestAdmissionPoliciesAreComplete(t *testing.T) {
	const match = "{resourceRules: [{operations: [CREATE], apiGroups: [apps], apiVersions: [v1], resources: [deployments]}]}"
	runWrites(t, []write{
		{name: "a good one is accepted", resource: "validatingadmissionpolicies",
			object: "metadata: {name: p}\nspec: {matchConstraints: " + match + ", validations: [{expression: 'true'}], auditAnnotations: [{key: k, valueExpression: string(variables.v)}], variables: [{name: v, expression: object.metadata.name}]}"},
		{name: "an empty one lacks everything", resource: "validatingadmissionpolicies", object: "spec: {}",
			want: []string{"spec.matchConstraints: Required", "spec.validations: Required", "spec.auditAnnotations: Required"}},
		{name: "parts are complete", resource: "validatingadmissionpolicies",
			object: "metadata: {name: p}\nspec: {paramKind: {}, matchConstraints: {}, validations: [{expression: '', reason: Because}], variables: [{name: a-b, expression: ''}], failurePolicy: Maybe}",
			want: []string{"spec.paramKind.apiVersion", "spec.paramKind.kind", "spec.matchConstraints.resourceRules", "spec.validations[0].expression", "spec.validations[0].reason",
				"spec.variables[0].name", "spec.variables[0].expression", "spec.failurePolicy"}},
		{name: "a good one is accepted", resource: "mutatingadmissionpolicies",
			object: "spec: {matchConstraints: " + match + ", reinvocationPolicy: IfNeeded, mutations: [{patchType: JSONPatch, jsonPatch: {expression: '[JSONPatch{op: ''remove'', path: ''/a''}]'}}]}"},
		{name: "mutations are of their type", resource: "mutatingadmissionpolicies",
			object: "spec: {matchConstraints: " + match + ", mutations: [{patchType: JSONPatch, applyConfiguration: {expression: x}}, {patchType: ApplyConfiguration, applyConfiguration: {}}, {}, {patchType: X}]}",
			want: []string{"spec.mutations[0].jsonPatch: Required", "spec.mutations[0].applyConfiguration: Forbidden", "spec.mutations[1].applyConfiguration.expression",
				"spec.mutations[2].patchType: Required", "spec.mutations[3].patchType: Unsupported"}},
		{name: "a good one is accepted", resource: "validatingadmissionpolicybindings", object: "spec: {policyName: p, validationActions: [Deny, Audit]}"},
		{name: "a binding says what to do", resource: "validatingadmissionpolicybindings", object: "spec: {paramRef: {}}",
			want: []string{"spec.policyName", "spec.validationActions", "spec.paramRef", "spec.paramRef.parameterNotFoundAction"}},
		{name: "deny and warn say the same twice", resource: "validatingadmissionpolicybindings", object: "spec: {policyName: p, validationActions: [Deny, Warn, Warn, No]}",
			want: []string{"spec.validationActions: both Deny and Warn", "spec.validationActions[2]: Duplicate", "spec.validationActions[3]: Unsupported"}},
		{name: "parameters are by name or selector", resource: "mutatingadmissionpolicybindings",
			object: "spec: {policyName: p, paramRef: {name: a, selector: {}, parameterNotFoundAction: Allow}}", want: []string{"spec.paramRef.name"}},
	})
}

func TestFlowControlIsComplete(t *testing.T) {
	runWrites(t, []write{
		{name: "a good one is accepted", resource: "flowschemas", object: `spec: {priorityLevelConfiguration: {name: a}, distinguisherMethod: {type: ByUser},
  rules: [{subjects: [{kind: Group, group: {name: g}}], resourceRules: [{verbs: ["*"], apiGroups: ["*"], resources: ["*"], clusterScope: true, namespaces: ["*"]}],
           nonResourceRules: [{verbs: [get], nonResourceURLs: [/healthz, /metrics/*]}]}]}`},
		{name: "an empty one lacks a level", resource: "flowschemas", object: "spec: {}", want: []string{"spec.priorityLevelConfiguration.name"}},
		{name: "precedences are in range", resource: "flowschemas", object: "spec: {priorityLevelConfiguration: {name: a}, matchingPrecedence: 10001}", want: []string{"spec.matchingPrecedence"}},
		{name: "precedence 1 is reserved", resource: "flowschemas", object: "spec: {priorityLevelConfiguration: {name: a}, matchingPrecedence: 1}", want: []string{"spec.matchingPrecedence: exempt"}},
		{name: "rules are complete", resource: "flowschemas",
			object: `spec: {priorityLevelConfiguration: {name: a}, rules: [{subjects: [{kind: User, group: {name: g}}], resourceRules: [{verbs: [], apiGroups: ["*", a], resources: [r]}]},
  {subjects: [], nonResourceRules: [{verbs: [get], nonResourceURLs: [x, /a*]}]}, {subjects: [{kind: Other}]}]}`,
			want: []string{"spec.rules[0].subjects[0].user: Required", "spec.rules[0].subjects[0].group: Forbidden", "spec.rules[0].resourceRules[0].verbs",
				"spec.rules[0].resourceRules[0].apiGroups", "spec.rules[0].resourceRules[0].namespaces",
				"spec.rules[1].subjects", "spec.rules[1].nonResourceRules[0].nonResourceURLs[0]", "spec.rules[1].nonResourceRules[0].nonResourceURLs[1]",
				"spec.rules[2]", "spec.rules[2].subjects[0].kind"}},

		{name: "a good one is accepted", resource: "prioritylevelconfigurations", object: "spec: {type: Limited, limited: {limitResponse: {type: Queue, queuing: {}}}}"},
		{name: "types are known", resource: "prioritylevelconfigurations", object: "spec: {type: Some}", want: []string{"spec.type"}},
		{name: "only exempt is exempt", resource: "prioritylevelconfigurations", object: "metadata: {name: a}\nspec: {type: Exempt}", want: []string{"spec.type"}},
		{name: "exempt stays exempt", resource: "prioritylevelconfigurations", object: "metadata: {name: exempt}\nspec: {type: Limited, limited: {limitResponse: {type: Reject}}}", want: []string{"spec.type"}},
		{name: "limits are in range", resource: "prioritylevelconfigurations",
			object: "spec: {type: Limited, limited: {nominalConcurrencyShares: -1, lendablePercent: 101, borrowingLimitPercent: -1, limitResponse: {type: Queue, queuing: {queues: 4, handSize: 5}}}}",
			want:   []string{"spec.limited.nominalConcurrencyShares", "spec.limited.lendablePercent", "spec.limited.borrowingLimitPercent", "spec.limited.limitResponse.queuing.handSize"}},
		{name: "a hand is dealt from one hash", resource: "prioritylevelconfigurations",
			object: "spec: {type: Limited, limited: {limitResponse: {type: Queue, queuing: {queues: 512, handSize: 7}}}}", want: []string{"spec.limited.limitResponse.queuing.handSize: entropy"}},
	})
}

func TestDefaultsAreThoseClientsKnow(t *testing.T) {
	resources := core.DeclaredResources()
	for _, c := range []struct {
		name, resource, object, want string
	}{
		{"a service without an address is headless", "services", "spec: {ports: [{port: 443}]}",
			`{"ports":[{"protocol":"TCP","port":443,"targetPort":443}],"clusterIP":"None","clusterIPs":["None"],"type":"ClusterIP","sessionAffinity":"None","internalTrafficPolicy":"Cluster"}`},
		{"a service keeps the address it was given", "services", "spec: {clusterIP: 10.0.0.1, ports: [{port: 443, targetPort: https}]}",
			`{"ports":[{"protocol":"TCP","port":443,"targetPort":"https"}],"clusterIP":"10.0.0.1","clusterIPs":["10.0.0.1"],"type":"ClusterIP","sessionAffinity":"None","internalTrafficPolicy":"Cluster"}`},
		{"an external name has no address", "services", "spec: {type: ExternalName, externalName: a.b}", `{"type":"ExternalName","sessionAffinity":"None","externalName":"a.b"}`},
		{"a namespace has its finalizer", "namespaces", "metadata: {name: a}", `{"finalizers":["kubernetes"]}`},
		{"queues have sizes", "prioritylevelconfigurations", "spec: {type: Limited, limited: {limitResponse: {type: Queue, queuing: {}}}}",
			`{"type":"Limited","limited":{"nominalConcurrencyShares":30,"limitResponse":{"type":"Queue","queuing":{"queues":64,"handSize":8,"queueLengthLimit":50}},"lendablePercent":0}}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			var spec any
			switch obj := prepare(t, resources[c.resource], c.object).(type) {
			case *corev1.Service:
				spec = obj.Spec
			case *corev1.Namespace:
				spec = obj.Spec
				if got := obj.Labels["kubernetes.io/metadata.name"]; got != obj.Name || obj.Status.Phase != corev1.NamespaceActive {
					t.Errorf("label %q and phase %q of namespace %q", got, obj.Status.Phase, obj.Name)
				}
			case *flowcontrolv1.PriorityLevelConfiguration:
				spec = obj.Spec
			}
			got, err := json.Marshal(spec)
			if err != nil {
				t.Fatal(err)
			}
			if string(got) != c.want {
				t.Errorf("of %s\n got %s\nwant %s", c.object, got, c.want)
			}
		})
	}

	webhooks := prepare(t, resources["mutatingwebhookconfigurations"], "webhooks: ["+goodWebhook+"]").(*admissionregistrationv1.MutatingWebhookConfiguration).Webhooks
	w := webhooks[0]
	if *w.FailurePolicy != "Fail" || *w.MatchPolicy != "Equivalent" || *w.TimeoutSeconds != 10 || *w.ReinvocationPolicy != "Never" || *w.Rules[0].Scope != "*" ||
		w.NamespaceSelector == nil || w.ObjectSelector == nil {
		t.Errorf("defaults of a webhook: %+v", w)
	}
	secret := prepare(t, resources["secrets"], "stringData: {a: b}").(*corev1.Secret)
	if secret.Type != corev1.SecretTypeOpaque || string(secret.Data["a"]) != "b" || secret.StringData != nil {
		t.Errorf("defaults of a secret: %+v", secret)
	}
}
