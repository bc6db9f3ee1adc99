package workload

import (
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	storagev1 "k8s.io/api/storage/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// addEnums says which values the types have that are marked as enumerations in the API.
func addEnums(r *rules) {
	oneOf(r, corev1.RestartPolicyAlways, corev1.RestartPolicyOnFailure, corev1.RestartPolicyNever)
	oneOf(r, corev1.DNSClusterFirst, corev1.DNSClusterFirstWithHostNet, corev1.DNSDefault, corev1.DNSNone)
	oneOf(r, corev1.PullAlways, corev1.PullIfNotPresent, corev1.PullNever)
	oneOf(r, corev1.TerminationMessageReadFile, corev1.TerminationMessageFallbackToLogsOnError)
	oneOf(r, corev1.ProtocolTCP, corev1.ProtocolUDP, corev1.ProtocolSCTP)
	oneOf(r, corev1.URISchemeHTTP, corev1.URISchemeHTTPS)
	oneOf(r, corev1.MountPropagationNone, corev1.MountPropagationHostToContainer, corev1.MountPropagationBidirectional)
	oneOf(r, corev1.PreemptLowerPriority, corev1.PreemptNever)
	oneOf(r, corev1.NodeSelectorOpIn, corev1.NodeSelectorOpNotIn, corev1.NodeSelectorOpExists, corev1.NodeSelectorOpDoesNotExist,
		corev1.NodeSelectorOpGt, corev1.NodeSelectorOpLt)
	oneOf(r, corev1.TaintEffectNoSchedule, corev1.TaintEffectPreferNoSchedule, corev1.TaintEffectNoExecute)
	oneOf(r, corev1.TolerationOpEqual, corev1.TolerationOpExists, "Lt", "Gt")
	oneOf(r, corev1.DoNotSchedule, corev1.ScheduleAnyway)
	oneOf(r, corev1.NodeInclusionPolicyIgnore, corev1.NodeInclusionPolicyHonor)
	oneOf(r, corev1.FSGroupChangeOnRootMismatch, corev1.FSGroupChangeAlways)
	oneOf(r, corev1.SupplementalGroupsPolicyMerge, corev1.SupplementalGroupsPolicyStrict)
	oneOf(r, corev1.SeccompProfileTypeUnconfined, corev1.SeccompProfileTypeRuntimeDefault, corev1.SeccompProfileTypeLocalhost)
	oneOf(r, corev1.AppArmorProfileTypeUnconfined, corev1.AppArmorProfileTypeRuntimeDefault, corev1.AppArmorProfileTypeLocalhost)
	oneOf(r, corev1.DefaultProcMount, corev1.UnmaskedProcMount)
	oneOf(r, corev1.Linux, corev1.Windows)
	oneOf(r, corev1.HostPathUnset, corev1.HostPathDirectoryOrCreate, corev1.HostPathDirectory, corev1.HostPathFileOrCreate,
		corev1.HostPathFile, corev1.HostPathSocket, corev1.HostPathCharDev, corev1.HostPathBlockDev)
	oneOf(r, corev1.ReadWriteOnce, corev1.ReadOnlyMany, corev1.ReadWriteMany, corev1.ReadWriteOncePod)
	oneOf(r, corev1.PersistentVolumeReclaimRecycle, corev1.PersistentVolumeReclaimDelete, corev1.PersistentVolumeReclaimRetain)
	oneOf(r, corev1.PersistentVolumeBlock, corev1.PersistentVolumeFilesystem)

	oneOf(r, appsv1.OrderedReadyPodManagement, appsv1.ParallelPodManagement)
	oneOf(r, appsv1.RollingUpdateStatefulSetStrategyType, appsv1.OnDeleteStatefulSetStrategyType)
	oneOf(r, appsv1.RecreateDeploymentStrategyType, appsv1.RollingUpdateDeploymentStrategyType)
	oneOf(r, appsv1.RollingUpdateDaemonSetStrategyType, appsv1.OnDeleteDaemonSetStrategyType)
	oneOf(r, appsv1.RetainPersistentVolumeClaimRetentionPolicyType, appsv1.DeletePersistentVolumeClaimRetentionPolicyType)

	oneOf(r, batchv1.NonIndexedCompletion, batchv1.IndexedCompletion)
	oneOf(r, batchv1.PodFailurePolicyActionFailJob, batchv1.PodFailurePolicyActionFailIndex, batchv1.PodFailurePolicyActionIgnore,
		batchv1.PodFailurePolicyActionCount)
	oneOf(r, batchv1.PodFailurePolicyOnExitCodesOpIn, batchv1.PodFailurePolicyOnExitCodesOpNotIn)
	oneOf(r, batchv1.TerminatingOrFailed, batchv1.Failed)
	oneOf(r, batchv1.AllowConcurrent, batchv1.ForbidConcurrent, batchv1.ReplaceConcurrent)

	oneOf(r, networkingv1.PolicyTypeIngress, networkingv1.PolicyTypeEgress)
	oneOf(r, networkingv1.PathTypeExact, networkingv1.PathTypePrefix, networkingv1.PathTypeImplementationSpecific)
	oneOf(r, policyv1.IfHealthyBudget, policyv1.AlwaysAllow)
	oneOf(r, autoscalingv2.ObjectMetricSourceType, autoscalingv2.PodsMetricSourceType, autoscalingv2.ResourceMetricSourceType,
		autoscalingv2.ContainerResourceMetricSourceType, autoscalingv2.ExternalMetricSourceType)
	oneOf(r, autoscalingv2.UtilizationMetricType, autoscalingv2.ValueMetricType, autoscalingv2.AverageValueMetricType)
	oneOf(r, autoscalingv2.PodsScalingPolicy, autoscalingv2.PercentScalingPolicy)
	oneOf(r, autoscalingv2.MaxChangePolicySelect, autoscalingv2.MinChangePolicySelect, autoscalingv2.DisabledPolicySelect)
	oneOf(r, storagev1.VolumeBindingImmediate, storagev1.VolumeBindingWaitForFirstConsumer)
	oneOf(r, storagev1.VolumeLifecyclePersistent, storagev1.VolumeLifecycleEphemeral)
	oneOf(r, storagev1.ReadWriteOnceWithFSTypeFSGroupPolicy, storagev1.FileFSGroupPolicy, storagev1.NoneFSGroupPolicy)
}

// addEmptiable lists the fields that the API calls optional, or lets be empty, although their JSON has them always.
func addEmptiable(r *rules) {
	emptiable[corev1.HTTPHeader](r, "value")
	emptiable[corev1.Sysctl](r, "value")
	emptiable[corev1.ProjectedVolumeSource](r, "sources")
	emptiable[corev1.TypedLocalObjectReference](r, "apiGroup")
	emptiable[corev1.TypedObjectReference](r, "apiGroup")
	emptiable[corev1.AzureFilePersistentVolumeSource](r, "secretNamespace")
	emptiable[corev1.GRPCAction](r, "service")
	emptiable[appsv1.StatefulSetSpec](r, "serviceName")
	emptiable[networkingv1.IngressClassParametersReference](r, "scope")
	emptiable[storagev1.TokenRequest](r, "audience")
	emptiable[storagev1.CSINodeSpec](r, "drivers")
	emptiable[storagev1.CSINodeDriver](r, "topologyKeys")
	emptiable[metav1.LabelSelectorRequirement](r, "key", "operator") // checked as a selector
}
