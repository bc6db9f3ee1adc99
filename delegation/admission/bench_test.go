package admission_test

import (
	"context"
	"fmt"
	"testing"

	registrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/portico-api/portico/delegation/admission"
	"github.com/portico-api/portico/delegation/registry"
	"github.com/portico-api/portico/metrics"
)

// benchmarkChain measures what admission adds to a write while so many policies and webhooks are declared.
func benchmarkChain(b *testing.B, declare func(*admission.Hooks)) {
	m := metrics.New()
	hooks := admission.NewHooks(admission.Config{
		Metrics: m.Admission,
		Namespace: func(_ context.Context, name string) (*corev1.Namespace, error) {
			return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}, nil
		},
	})
	declare(hooks)
	chain := admission.NewChain(hooks, m.Admission, nil, nil)
	r := &registry.Request{
		Operation: registry.Create,
		Resource:  corev1.SchemeGroupVersion.WithResource("configmaps"),
		Kind:      corev1.SchemeGroupVersion.WithKind("ConfigMap"),
		Namespace: "demo", Name: "x",
		Object: &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "x", Namespace: "demo"}, Data: map[string]string{"a": "1"}},
	}
	b.ReportAllocs()
	for b.Loop() {
		if err := chain.Admit(b.Context(), r); err != nil {
			b.Fatal(err)
		}
		if err := chain.Validate(b.Context(), r); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkChain(b *testing.B) {
	b.Run("nothing declared", func(b *testing.B) { benchmarkChain(b, func(*admission.Hooks) {}) })
	for _, n := range []int{1, 100} {
		b.Run(fmt.Sprintf("%d policies about something else", n), func(b *testing.B) {
			benchmarkChain(b, func(h *admission.Hooks) { declarePolicies(h, n, "secrets", "true") })
		})
		b.Run(fmt.Sprintf("%d webhooks about something else", n), func(b *testing.B) {
			benchmarkChain(b, func(h *admission.Hooks) { declareWebhooks(h, n, "secrets") })
		})
	}
	b.Run("a policy", func(b *testing.B) {
		benchmarkChain(b, func(h *admission.Hooks) { declarePolicies(h, 1, "configmaps", "size(object.data) < 10") })
	})
	b.Run("10 policies", func(b *testing.B) {
		benchmarkChain(b, func(h *admission.Hooks) { declarePolicies(h, 10, "configmaps", "size(object.data) < 10") })
	})
}

func rulesAbout(resource string) []registrationv1.RuleWithOperations {
	rules := onConfigMaps()
	rules[0].Resources = []string{resource}
	return rules
}

func declarePolicies(h *admission.Hooks, n int, resource, expression string) {
	for i := range n {
		name := fmt.Sprintf("p%d", i)
		h.DeclarePolicy(
			&registrationv1.ValidatingAdmissionPolicy{
				ObjectMeta: metav1.ObjectMeta{Name: name},
				Spec: registrationv1.ValidatingAdmissionPolicySpec{
					MatchConstraints: &registrationv1.MatchResources{
						ResourceRules: []registrationv1.NamedRuleWithOperations{{RuleWithOperations: rulesAbout(resource)[0]}},
					},
					Validations: []registrationv1.Validation{{Expression: expression}},
				},
			},
			&registrationv1.ValidatingAdmissionPolicyBinding{
				ObjectMeta: metav1.ObjectMeta{Name: name},
				Spec: registrationv1.ValidatingAdmissionPolicyBindingSpec{
					PolicyName: name, ValidationActions: []registrationv1.ValidationAction{registrationv1.Deny},
				},
			})
	}
}

func declareWebhooks(h *admission.Hooks, n int, resource string) {
	for i := range n {
		name := fmt.Sprintf("w%d", i)
		h.DeclareWebhooks(&registrationv1.ValidatingWebhookConfiguration{
			ObjectMeta: metav1.ObjectMeta{Name: name},
			Webhooks: []registrationv1.ValidatingWebhook{{
				Name: name + ".example.com", Rules: rulesAbout(resource), AdmissionReviewVersions: []string{"v1"},
				ClientConfig: registrationv1.WebhookClientConfig{URL: ptr("https://127.0.0.1:1")},
			}},
		})
	}
}
