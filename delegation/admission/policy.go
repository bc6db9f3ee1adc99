package admission

import (
	"fmt"

	registrationv1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// policy is what both kinds of policies have. It is never changed.
type policy struct {
	name string
	*matcher
	failOpen bool
	params   *schema.GroupVersionKind // nil when it takes none
	err      error                    // why it cannot be evaluated
}

func newPolicy(name string, match *registrationv1.MatchResources, failure *registrationv1.FailurePolicyType, params *registrationv1.ParamKind) policy {
	p := policy{name: name, failOpen: failure != nil && *failure == registrationv1.Ignore}
	p.matcher, p.err = newResourcesMatcher(match)
	if params != nil {
		gv, err := schema.ParseGroupVersion(params.APIVersion)
		if err != nil {
			p.err = err
		}
		kind := gv.WithKind(params.Kind)
		p.params = &kind
	}
	if p.matcher == nil { // the API demands one
		p.matcher = &matcher{rules: make([]registrationv1.NamedRuleWithOperations, 1), namespaces: labels.Everything(), objects: labels.Everything()}
	}
	return p
}

// binding puts a policy into force. It is never changed.
type binding struct {
	name, policy string
	*matcher     // nil matches whatever the policy does
	params       *registrationv1.ParamRef
	selector     labels.Selector // of params, when they have no name
	actions      []registrationv1.ValidationAction
}

func newBinding(name, policy string, match *registrationv1.MatchResources, params *registrationv1.ParamRef, actions []registrationv1.ValidationAction) (*binding, error) {
	b := &binding{name: name, policy: policy, params: params, actions: actions}
	var err error
	if b.matcher, err = newResourcesMatcher(match); err != nil {
		return nil, fmt.Errorf("reading binding %s: %w", name, err)
	}
	if params != nil && params.Selector != nil {
		if b.selector, err = metav1.LabelSelectorAsSelector(params.Selector); err != nil {
			return nil, fmt.Errorf("reading the parameters of binding %s: %w", name, err)
		}
	}
	return b, nil
}

// bound is a policy with the bindings that put it into force, at least one.
type bound[P any] struct {
	policy   P
	bindings []*binding
}
