package core

import (
	"context"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	kjson "sigs.k8s.io/json"

	"github.com/portico-api/portico/delegation"
	"github.com/portico-api/portico/delegation/admission"
	"github.com/portico-api/portico/delegation/core/certificates"
	"github.com/portico-api/portico/delegation/core/quota"
	"github.com/portico-api/portico/delegation/registry"
	"github.com/portico-api/portico/handler/rest"
)

// admissions are who is asked before a write is stored. They are made before the stores that they read, because those
// ask them.
type admissions struct {
	hooks      *admission.Hooks
	lifecycle  *NamespaceLifecycle
	quotas     *quota.Admission
	namespaces *admission.Chain // of namespaces themselves
	others     *admission.Chain
}

// newAdmissions returns the admission of a unit whose stores opened returns. Namespaces are opened with the first chain, and
// everything else with the second.
func newAdmissions(cfg Config, generic *delegation.Config, opened func() *stores) *admissions {
	guard := newNamespaceGuard()
	lifecycle := newNamespaceLifecycle(func() *registry.Store { return opened().namespaces }, guard)
	a := &admissions{
		hooks: admission.NewHooks(admission.Config{
			Namespace:  lifecycle.read,
			Authorizer: generic.Authorizer,
			Params:     func(kind schema.GroupVersionKind) (admission.Params, bool) { return opened().params(cfg, kind) },
			Addresses:  cfg.ServiceAddresses,
			UserAgent:  generic.UserAgent,
			Metrics:    generic.Metrics.Admission,
			Peers:      generic.Metrics.WebhookPeers,
		}),
		lifecycle: lifecycle,
		quotas:    quota.NewAdmission(func() *registry.Store { return opened().quotas }),
	}
	a.namespaces = admission.NewChain(a.hooks, generic.Metrics.Admission, nil, []admission.Link{{Name: "NamespaceLifecycle", Admission: guard}})
	first := []admission.Link{{Name: "NamespaceLifecycle", Admission: a.lifecycle}}
	first = append(first, cfg.workloadAdmission(opened)...)
	first = append(first,
		admission.Link{Name: "AdmissionPolicyParams", Admission: a.hooks.ParamGuard()},
		admission.Link{Name: "CertificateApproval", Admission: certificates.NewGuard(generic.Authorizer)})
	a.others = admission.NewChain(a.hooks, generic.Metrics.Admission, first, []admission.Link{
		{Name: "RBACEscalation", Admission: NewRBACGuard(func() RBACStores { return opened().rbac }, generic.Authorizer, cfg.Rules)},
		{Name: "ResourceQuota", Admission: a.quotas},
	})
	return a
}

// hookStores are where webhooks and policies are declared.
func (s *stores) hookStores() admission.Stores {
	return admission.Stores{
		MutatingWebhooks:   s.mutatingWebhooks,
		ValidatingWebhooks: s.validatingWebhooks,
		MutatingPolicies:   s.mutatingPolicies,
		MutatingBindings:   s.mutatingPolicyBindings,
		ValidatingPolicies: s.validatingPolicies,
		ValidatingBindings: s.validatingPolicyBindings,
	}
}

// params are the objects of a kind that policies can take as parameters.
func (s *stores) params(cfg Config, kind schema.GroupVersionKind) (admission.Params, bool) {
	for _, o := range s.all {
		if o.resource.GroupVersion.WithKind(o.resource.Kind) == kind {
			return storedParams{o.store, &o.resource}, true
		}
	}
	if cfg.CustomResources != nil {
		// Whoever asks first has the objects read, for all who ask after.
		if resource, store, ok := cfg.CustomResources.OfKind(context.Background(), kind); ok {
			return storedParams{store, &resource}, true
		}
	}
	return nil, false
}

// storedParams are parameters in a registry. They are read from memory, as this process knows them: a policy must not make
// every write of another kind wait for the store.
type storedParams struct {
	store    *registry.Store
	resource *registry.Resource
}

func (p storedParams) Namespaced() bool { return p.resource.Namespaced }
func (p storedParams) Resource() string { return p.resource.Name }

func (p storedParams) Get(ctx context.Context, namespace, name string) (runtime.Object, error) {
	o, err := p.store.Get(ctx, namespace, name, &metav1.GetOptions{ResourceVersion: "0"})
	if err != nil {
		return nil, err
	}
	return param(o)
}

func (p storedParams) List(ctx context.Context, namespace string, selector labels.Selector) ([]runtime.Object, error) {
	list, err := p.store.List(ctx, namespace, &rest.ListOptions{LabelSelector: selector, ResourceVersion: "0"})
	if err != nil {
		return nil, err
	}
	var all []runtime.Object
	for o := range list.Items {
		found, err := param(o)
		if err != nil {
			return nil, err
		}
		all = append(all, found)
	}
	return all, nil
}

func param(o rest.Object) (runtime.Object, error) {
	u := &unstructured.Unstructured{}
	if err := kjson.UnmarshalCaseSensitivePreserveInts(o.JSON(), &u.Object); err != nil {
		return nil, fmt.Errorf("decoding stored %s/%s: %w", o.Namespace(), o.Name(), err)
	}
	return u, nil
}
