package workload

import (
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	networkingv1 "k8s.io/api/networking/v1"
	nodev1 "k8s.io/api/node/v1"
	policyv1 "k8s.io/api/policy/v1"
	schedulingv1 "k8s.io/api/scheduling/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/runtime"
	smdschema "sigs.k8s.io/structured-merge-diff/v6/schema"

	"github.com/portico-api/portico/delegation/registry"
)

// AddToScheme adds the types of the groups that are served only when asked for.
func AddToScheme(scheme *runtime.Scheme) error {
	groups := runtime.NewSchemeBuilder(appsv1.AddToScheme, autoscalingv1.AddToScheme, autoscalingv2.AddToScheme, batchv1.AddToScheme, networkingv1.AddToScheme,
		nodev1.AddToScheme, policyv1.AddToScheme, schedulingv1.AddToScheme, storagev1.AddToScheme)
	if err := groups.AddToScheme(scheme); err != nil {
		return fmt.Errorf("adding the types of workloads: %w", err)
	}
	return nil
}

// Group is an API group, and its versions; the preferred one leads.
type Group struct {
	Name     string
	Versions []string
}

// Groups are what is served besides the core group, in the order of discovery (contract 8.1).
func Groups() []Group {
	return []Group{
		{autoscalingv2.GroupName, []string{"v2", "v1"}}, {batchv1.GroupName, []string{"v1"}}, {networkingv1.GroupName, []string{"v1"}}, {policyv1.GroupName, []string{"v1"}},
		{storagev1.GroupName, []string{"v1"}}, {schedulingv1.GroupName, []string{"v1"}}, {nodev1.GroupName, []string{"v1"}}, {appsv1.GroupName, []string{"v1"}},
	}
}

// Resources are all kinds.
func Resources() []registry.Resource {
	r := newRules()
	return []registry.Resource{
		nodes(r), persistentVolumes(r), persistentVolumeClaims(r), pods(r), podTemplates(r), replicationControllers(r),
		controllerRevisions(r), daemonSets(r), deployments(r), replicaSets(r), statefulSets(r),
		horizontalPodAutoscalers(r), cronJobs(r), jobs(r),
		ingressClasses(r), ingresses(r), ipAddresses(r), networkPolicies(r), serviceCIDRs(r),
		podDisruptionBudgets(r), runtimeClasses(r), priorityClasses(r),
		csiDrivers(r), csiNodes(r), csiStorageCapacities(r), storageClasses(r), volumeAttachments(r), volumeAttributesClasses(r),
	}
}

// FieldTypes are the types of the fields of all kinds.
func FieldTypes() []smdschema.TypeDef { return fieldTypes() }
