package admission

import registrationv1 "k8s.io/api/admissionregistration/v1"

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
	hooks, err := validatingWebhooks(c, h.clients)
	if err != nil {
		panic(err)
	}
	h.validating[c.Name] = declared[[]*webhook]{"1", hooks}
	h.publish()
}
