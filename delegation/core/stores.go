package core

import (
	"context"
	"fmt"
	"slices"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	smdschema "sigs.k8s.io/structured-merge-diff/v6/schema"

	"github.com/portico-api/portico/delegation"
	"github.com/portico-api/portico/delegation/admission"
	"github.com/portico-api/portico/delegation/core/certificates"
	"github.com/portico-api/portico/delegation/core/quota"
	"github.com/portico-api/portico/delegation/registry"
	"github.com/portico-api/portico/handler/rest"
)

// stores are the registries of the built-in resources: all of them in the order they are listed
// in, and those by name that the unit itself works with.
type stores struct {
	all []opened

	namespaces, configMaps, secrets, serviceAccounts, services, endpoints, endpointSlices, events, certificates, quotas, limitRanges, leases *registry.Store

	pods, nodes, priorityClasses, storageClasses, ingressClasses, budgets, autoscalers *registry.Store // nil without workloads

	mutatingWebhooks, validatingWebhooks                                                   *registry.Store
	mutatingPolicies, mutatingPolicyBindings, validatingPolicies, validatingPolicyBindings *registry.Store

	rbac RBACStores
}

type opened struct {
	resource registry.Resource
	store    *registry.Store
}

// openStores opens everything but namespaces, which the admission of the others reads.
func openStores(ctx context.Context, cfg Config, namespaceStore *registry.Store, e *admission.Expressions) (*stores, error) {
	s := &stores{namespaces: namespaceStore}
	s.all = append(s.all, opened{namespaces(), namespaceStore})
	resources := []registry.Resource{
		configMaps(), secrets(), serviceAccounts(), services(), endpoints(), events(cfg.EventTTL),
		quota.ResourceQuotas(), quota.LimitRanges(), certificates.Requests(),
		leases(),
		flowSchemas(), priorityLevelConfigurations(),
		mutatingWebhookConfigurations(e), validatingWebhookConfigurations(e),
		validatingAdmissionPolicies(e), validatingAdmissionPolicyBindings(),
		mutatingAdmissionPolicies(e), mutatingAdmissionPolicyBindings(),
		endpointSlices(),
	}
	known := map[string]**registry.Store{
		"configmaps":                        &s.configMaps,
		"certificatesigningrequests":        &s.certificates,
		"leases":                            &s.leases,
		"pods":                              &s.pods,
		"nodes":                             &s.nodes,
		"resourcequotas":                    &s.quotas,
		"limitranges":                       &s.limitRanges,
		"priorityclasses":                   &s.priorityClasses,
		"storageclasses":                    &s.storageClasses,
		"ingressclasses":                    &s.ingressClasses,
		"poddisruptionbudgets":              &s.budgets,
		"horizontalpodautoscalers":          &s.autoscalers,
		"secrets":                           &s.secrets,
		"serviceaccounts":                   &s.serviceAccounts,
		"services":                          &s.services,
		"endpoints":                         &s.endpoints,
		"events":                            &s.events,
		"endpointslices":                    &s.endpointSlices,
		"mutatingwebhookconfigurations":     &s.mutatingWebhooks,
		"validatingwebhookconfigurations":   &s.validatingWebhooks,
		"mutatingadmissionpolicies":         &s.mutatingPolicies,
		"mutatingadmissionpolicybindings":   &s.mutatingPolicyBindings,
		"validatingadmissionpolicies":       &s.validatingPolicies,
		"validatingadmissionpolicybindings": &s.validatingPolicyBindings,
		"roles":                             &s.rbac.Roles,
		"rolebindings":                      &s.rbac.RoleBindings,
		"clusterroles":                      &s.rbac.ClusterRoles,
		"clusterrolebindings":               &s.rbac.ClusterRoleBindings,
	}
	for _, resource := range slices.Concat(resources, cfg.workloadResources(), RBACResources()) {
		store, err := registry.New(ctx, cfg.Registry, withFinalizerNames(resource))
		if err != nil {
			return nil, fmt.Errorf("opening %s: %w", resource.Name, err)
		}
		s.all = append(s.all, opened{resource, store})
		if named, ok := known[resource.Name]; ok {
			*named = store
		}
	}
	return s, nil
}

// namespaced are the registries of what is kept in namespaces.
func (s *stores) namespaced() map[schema.GroupResource]*registry.Store {
	all := map[schema.GroupResource]*registry.Store{}
	for _, o := range s.all {
		if o.resource.Namespaced {
			all[o.resource.GroupVersion.WithResource(o.resource.Name).GroupResource()] = o.store
		}
	}
	return all
}

// rest returns the resources as clients may use them.
func (s *stores) rest(cfg Config, generic *delegation.Config) []*rest.Resource {
	var resources []*rest.Resource
	for _, o := range s.all {
		switch {
		case o.store == s.namespaces:
			resources = append(resources, namespaceResource(o.store))
		case o.resource.GroupVersion.Group == rbacv1.GroupName:
			// Guarded below: nobody may grant what they do not hold.
		case o.store == s.events:
			resources = append(resources, o.store.Rest(), o.store.View(eventsView()))
		case o.store == s.certificates:
			requests := o.store.Rest()
			requests.Subresources = append(requests.Subresources, o.store.Subresource(certificates.Approval()))
			resources = append(resources, requests)
		case o.store == s.serviceAccounts && cfg.Tokens != nil:
			accounts := o.store.Rest()
			accounts.Subresources = append(accounts.Subresources, tokenResource(cfg, s))
			resources = append(resources, accounts)
		default:
			resources = append(resources, s.workloadRest(o, cfg.Registry.Scheme)...)
		}
	}
	for _, store := range []*registry.Store{s.rbac.Roles, s.rbac.RoleBindings, s.rbac.ClusterRoles, s.rbac.ClusterRoleBindings} {
		resources = append(resources, store.Rest())
	}
	return append(resources, ReviewResources(cfg.Registry.Scheme, generic.Authenticator, generic.Authorizer, cfg.Rules)...)
}

// groupResources returns a function that picks the resources of one group, in versions that the preferred one leads.
func groupResources(resources []*rest.Resource, fieldTypes func() []smdschema.TypeDef) func(group string, versions ...string) *delegation.APIGroupInfo {
	return func(group string, versions ...string) *delegation.APIGroupInfo {
		info := &delegation.APIGroupInfo{Group: group, FieldTypes: fieldTypes}
		for _, version := range versions {
			v := delegation.APIVersion{Version: version}
			for _, r := range resources {
				if r.GroupVersion.Group == group && r.GroupVersion.Version == version {
					v.Resources = append(v.Resources, r)
				}
			}
			info.Versions = append(info.Versions, v)
		}
		return info
	}
}
