package core

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/structured-merge-diff/v6/schema"

	"github.com/portico-api/portico/delegation"
	"github.com/portico-api/portico/delegation/core/workload"
	"github.com/portico-api/portico/delegation/registry"
	"github.com/portico-api/portico/delegation/registry/fieldtypes"
	"github.com/portico-api/portico/handler/rest"
)

// The functions here are all that the kinds of workloads need of this unit beyond being declared. Without
// Config.WorkloadAPIs each does nothing.

// fieldTypes are the types of the fields of the kinds that are served.
func (c *Config) fieldTypes() func() []schema.TypeDef {
	if !c.WorkloadAPIs {
		return fieldTypes
	}
	return fieldtypes.Both(fieldTypes, workload.FieldTypes)
}

// workloadResources are what is stored beside the other kinds.
func (c *Config) workloadResources() []registry.Resource {
	if !c.WorkloadAPIs {
		return nil
	}
	return workload.Resources()
}

// podAdmission gives pods their service accounts, which are read from the stores that opened returns: those are made after
// it, because they ask it.
func (c *Config) podAdmission(opened func() *registry.Store) registry.Chain {
	if !c.WorkloadAPIs {
		return nil
	}
	return registry.Chain{&workload.Accounts{Read: func(ctx context.Context, namespace, name string) (*corev1.ServiceAccount, error) {
		return registry.GetAs[*corev1.ServiceAccount](ctx, opened(), namespace, name)
	}}}
}

// workloadRest is a store as clients may use it.
func workloadRest(o opened, scheme *runtime.Scheme) *rest.Resource {
	if o.resource.GroupVersion == corev1.SchemeGroupVersion {
		switch o.resource.Name {
		case "pods":
			return workload.PodResource(o.store, scheme)
		case "nodes":
			return workload.NodeResource(o.store, scheme)
		}
	}
	return o.store.Rest()
}

// workloadGroups are the groups of workloads in the order of discovery.
func (c *Config) workloadGroups(groups func(group, version string) *delegation.APIGroupInfo) []*delegation.APIGroupInfo {
	if !c.WorkloadAPIs {
		return nil
	}
	var all []*delegation.APIGroupInfo
	for _, gv := range workload.GroupVersions() {
		all = append(all, groups(gv.Group, gv.Version))
	}
	return all
}
