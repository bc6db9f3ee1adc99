package core

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	schedulingv1 "k8s.io/api/scheduling/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/structured-merge-diff/v6/schema"

	"github.com/portico-api/portico/delegation"
	"github.com/portico-api/portico/delegation/admission"
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

// workloadAdmission is who is asked about workloads besides, in the order that kube-apiserver has. The stores are those that
// opened returns: they are made after it, because they ask it.
func (c *Config) workloadAdmission(opened func() *stores) []admission.Link {
	if !c.WorkloadAPIs {
		return nil
	}
	return []admission.Link{
		{Name: "LimitRanger", Admission: &workload.Limits{Ranges: func(ctx context.Context, namespace string) ([]*corev1.LimitRange, error) {
			return registry.ListAs[*corev1.LimitRange](ctx, opened().limitRanges, namespace)
		}}},
		{Name: "ServiceAccount", Admission: &workload.Accounts{Read: func(ctx context.Context, namespace, name string) (*corev1.ServiceAccount, error) {
			return registry.GetAs[*corev1.ServiceAccount](ctx, opened().serviceAccounts, namespace, name)
		}}},
		{Name: "Priority", Admission: &workload.Priorities{Classes: func(ctx context.Context) ([]*schedulingv1.PriorityClass, error) {
			return registry.ListAs[*schedulingv1.PriorityClass](ctx, opened().priorityClasses, "")
		}}},
		{Name: "DefaultStorageClass", Admission: &workload.StorageClasses{Classes: func(ctx context.Context) ([]*storagev1.StorageClass, error) {
			return registry.ListAs[*storagev1.StorageClass](ctx, opened().storageClasses, "")
		}}},
		{Name: "DefaultIngressClass", Admission: &workload.IngressClasses{Classes: func(ctx context.Context) ([]*networkingv1.IngressClass, error) {
			return registry.ListAs[*networkingv1.IngressClass](ctx, opened().ingressClasses, "")
		}}},
	}
}

// bootstrapPriorityClasses makes the classes that every cluster has, where they are missing.
func bootstrapPriorityClasses(ctx context.Context, classes *registry.Store) error {
	for _, class := range workload.SystemPriorityClasses() {
		if _, err := registry.CreateAs(ctx, classes, "", class); err != nil && !apierrors.IsAlreadyExists(err) {
			return fmt.Errorf("making priority class %s: %w", class.Name, err)
		}
	}
	return nil
}

// workloadRest is a store as clients may use it, in all its versions.
func (s *stores) workloadRest(o opened, scheme *runtime.Scheme) []*rest.Resource {
	switch o.store {
	case s.pods:
		return []*rest.Resource{workload.PodResource(o.store, s.budgets, scheme)}
	case s.nodes:
		return []*rest.Resource{workload.NodeResource(o.store, scheme)}
	case s.autoscalers:
		return []*rest.Resource{o.store.Rest(), o.store.View(workload.AutoscalersView())}
	}
	return []*rest.Resource{o.store.Rest()}
}

// workloadGroups are the groups of workloads in the order of discovery.
func (c *Config) workloadGroups(groups func(group string, versions ...string) *delegation.APIGroupInfo) []*delegation.APIGroupInfo {
	if !c.WorkloadAPIs {
		return nil
	}
	var all []*delegation.APIGroupInfo
	for _, g := range workload.Groups() {
		all = append(all, groups(g.Name, g.Versions...))
	}
	return all
}
