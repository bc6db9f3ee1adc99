package admission

import (
	"context"
	"maps"
	"slices"

	registrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/portico-api/portico/delegation/registry"
)

// DeclarePolicy puts a policy into force that is stored nowhere.
func (h *Hooks) DeclarePolicy(p *registrationv1.ValidatingAdmissionPolicy, b *registrationv1.ValidatingAdmissionPolicyBinding) {
	bound, err := newBinding(b.Name, b.Spec.PolicyName, b.Spec.MatchResources, b.Spec.ParamRef, b.Spec.ValidationActions)
	if err != nil {
		panic(err)
	}
	h.validatingPolicies[p.Name] = declared[*validatingPolicy]{"1", newValidatingPolicy(p, h.compile)}
	h.validatingBindings[b.Name] = declared[*binding]{"1", bound}
	h.publish()
}

// DeclareWebhooks puts webhooks into force that are stored nowhere.
func (h *Hooks) DeclareWebhooks(c *registrationv1.ValidatingWebhookConfiguration) {
	hooks, err := validatingWebhooks(c, h.clients, h.compile)
	if err != nil {
		panic(err)
	}
	h.validating[c.Name] = declared[[]*webhook]{"1", hooks}
	h.publish()
}

// Answered is a config map after a mutating webhook has answered body about its create.
func Answered(ctx context.Context, object *corev1.ConfigMap, body []byte, v1 bool) (*corev1.ConfigMap, error) {
	hook := &webhook{name: "fuzz", mutating: true, version: "v1beta1"}
	if v1 {
		hook.version = "v1"
	}
	said, err := answer(body, hook, "u")
	if err != nil {
		return nil, err
	}
	r := &registry.Request{
		Operation: registry.Create, Resource: corev1.SchemeGroupVersion.WithResource("configmaps"), Kind: corev1.SchemeGroupVersion.WithKind("ConfigMap"),
		Namespace: object.Namespace, Name: object.Name, Object: object,
	}
	m := newMutation(newReview(ctx, NewHooks(Config{}), r))
	_, err = m.apply(ctx, hook, said, 0, 0)
	return object, err
}

// KnownAfterStart are the bindings that are in force after those that were loaded and those that were there to be followed.
func KnownAfterStart(loaded, followed []string) []string {
	h := NewHooks(Config{})
	read := func(b *registrationv1.ValidatingAdmissionPolicyBinding) (*binding, error) {
		return &binding{name: b.Name}, nil
	}
	told := func(s source, names []string) {
		for _, name := range names {
			s.changed(registry.Change{Object: &registrationv1.ValidatingAdmissionPolicyBinding{ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID(name)}}})
		}
	}
	told(sourceOf(h, nil, h.validatingBindings, read), loaded)
	following := sourceOf(h, nil, h.validatingBindings, read)
	told(following, followed)
	following.told()
	return slices.Sorted(maps.Keys(h.validatingBindings))
}
