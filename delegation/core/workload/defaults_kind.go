package workload

import (
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	schedulingv1 "k8s.io/api/scheduling/v1"
	storagev1 "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/portico-api/portico/delegation/registry/declare"
)

// addKindDefaults says what kinds are when little is said of them.
func addKindDefaults(r *rules) {
	addAppsDefaults(r)
	addBatchDefaults(r)
	byDefault(r, func(rc *corev1.ReplicationController) {
		declare.SetDefault(&rc.Spec.Replicas, 1)
		if rc.Spec.Template == nil {
			return
		}
		if len(rc.Spec.Selector) == 0 {
			rc.Spec.Selector = rc.Spec.Template.Labels
		}
		if len(rc.Labels) == 0 {
			rc.Labels = rc.Spec.Template.Labels
		}
	})
	byDefault(r, func(p *networkingv1.NetworkPolicyPort) { declare.SetDefault(&p.Protocol, corev1.ProtocolTCP) })
	byDefault(r, func(s *networkingv1.NetworkPolicySpec) {
		if len(s.PolicyTypes) > 0 {
			return
		}
		s.PolicyTypes = []networkingv1.PolicyType{networkingv1.PolicyTypeIngress}
		if len(s.Egress) > 0 {
			s.PolicyTypes = append(s.PolicyTypes, networkingv1.PolicyTypeEgress)
		}
	})
	byDefault(r, func(p *networkingv1.IngressClassParametersReference) {
		declare.SetDefault(&p.Scope, networkingv1.IngressClassParametersReferenceScopeCluster)
	})
	byDefault(r, defaultAutoscaler)
	byDefault(r, func(c *storagev1.StorageClass) {
		declare.SetDefault(&c.ReclaimPolicy, corev1.PersistentVolumeReclaimDelete)
		declare.SetDefault(&c.VolumeBindingMode, storagev1.VolumeBindingImmediate)
	})
	byDefault(r, func(s *storagev1.CSIDriverSpec) {
		declare.SetDefault(&s.AttachRequired, true)
		declare.SetDefault(&s.PodInfoOnMount, false)
		declare.SetDefault(&s.StorageCapacity, false)
		declare.SetDefault(&s.RequiresRepublish, false)
		declare.SetDefault(&s.SELinuxMount, false)
		declare.SetDefault(&s.FSGroupPolicy, storagev1.ReadWriteOnceWithFSTypeFSGroupPolicy)
		if len(s.VolumeLifecycleModes) == 0 {
			s.VolumeLifecycleModes = []storagev1.VolumeLifecycleMode{storagev1.VolumeLifecyclePersistent}
		}
	})
	byDefault(r, func(c *schedulingv1.PriorityClass) {
		declare.SetDefault(&c.PreemptionPolicy, corev1.PreemptLowerPriority)
	})
}

func addAppsDefaults(r *rules) {
	quarter := intstr.FromString("25%")
	byDefault(r, func(s *appsv1.DeploymentSpec) {
		declare.SetDefault(&s.Replicas, 1)
		declare.SetDefault(&s.RevisionHistoryLimit, 10)
		declare.SetDefault(&s.ProgressDeadlineSeconds, 600)
		preset(&s.Strategy.Type, appsv1.RollingUpdateDeploymentStrategyType)
		if s.Strategy.Type == appsv1.RollingUpdateDeploymentStrategyType {
			declare.SetDefault(&s.Strategy.RollingUpdate, appsv1.RollingUpdateDeployment{})
			declare.SetDefault(&s.Strategy.RollingUpdate.MaxUnavailable, quarter)
			declare.SetDefault(&s.Strategy.RollingUpdate.MaxSurge, quarter)
		}
	})
	byDefault(r, func(s *appsv1.ReplicaSetSpec) { declare.SetDefault(&s.Replicas, 1) })
	byDefault(r, func(rs *appsv1.ReplicaSet) {
		if len(rs.Labels) == 0 {
			rs.Labels = rs.Spec.Template.Labels
		}
	})
	byDefault(r, func(s *appsv1.StatefulSetSpec) {
		declare.SetDefault(&s.Replicas, 1)
		declare.SetDefault(&s.RevisionHistoryLimit, 10)
		preset(&s.PodManagementPolicy, appsv1.OrderedReadyPodManagement)
		preset(&s.UpdateStrategy.Type, appsv1.RollingUpdateStatefulSetStrategyType)
		if s.UpdateStrategy.Type == appsv1.RollingUpdateStatefulSetStrategyType {
			declare.SetDefault(&s.UpdateStrategy.RollingUpdate, appsv1.RollingUpdateStatefulSetStrategy{})
			declare.SetDefault(&s.UpdateStrategy.RollingUpdate.Partition, 0)
		}
		declare.SetDefault(&s.PersistentVolumeClaimRetentionPolicy, appsv1.StatefulSetPersistentVolumeClaimRetentionPolicy{})
		preset(&s.PersistentVolumeClaimRetentionPolicy.WhenDeleted, appsv1.RetainPersistentVolumeClaimRetentionPolicyType)
		preset(&s.PersistentVolumeClaimRetentionPolicy.WhenScaled, appsv1.RetainPersistentVolumeClaimRetentionPolicyType)
		for i := range s.VolumeClaimTemplates { // whole claims inside a spec: upstream fills in their kind and phase, too
			claim := &s.VolumeClaimTemplates[i]
			preset(&claim.APIVersion, "v1")
			preset(&claim.Kind, "PersistentVolumeClaim")
			preset(&claim.Status.Phase, corev1.ClaimPending)
		}
	})
	byDefault(r, func(s *appsv1.DaemonSetSpec) {
		declare.SetDefault(&s.RevisionHistoryLimit, 10)
		preset(&s.UpdateStrategy.Type, appsv1.RollingUpdateDaemonSetStrategyType)
		if s.UpdateStrategy.Type == appsv1.RollingUpdateDaemonSetStrategyType {
			declare.SetDefault(&s.UpdateStrategy.RollingUpdate, appsv1.RollingUpdateDaemonSet{})
			declare.SetDefault(&s.UpdateStrategy.RollingUpdate.MaxUnavailable, intstr.FromInt32(1))
			declare.SetDefault(&s.UpdateStrategy.RollingUpdate.MaxSurge, intstr.FromInt32(0))
		}
	})
}

func addBatchDefaults(r *rules) {
	byDefault(r, func(j *batchv1.Job) {
		s := &j.Spec
		if s.Completions == nil && s.Parallelism == nil {
			declare.SetDefault(&s.Completions, 1)
		}
		declare.SetDefault(&s.Parallelism, 1)
		backoff := int32(6)
		if s.BackoffLimitPerIndex != nil {
			backoff = 1<<31 - 1
		}
		declare.SetDefault(&s.BackoffLimit, backoff)
		declare.SetDefault(&s.CompletionMode, batchv1.NonIndexedCompletion)
		declare.SetDefault(&s.Suspend, false)
		declare.SetDefault(&s.ManualSelector, false)
		replace := batchv1.TerminatingOrFailed
		if s.PodFailurePolicy != nil {
			replace = batchv1.Failed
		}
		declare.SetDefault(&s.PodReplacementPolicy, replace)
		if len(j.Labels) == 0 {
			j.Labels = s.Template.Labels
		}
	})
	byDefault(r, func(c *batchv1.PodFailurePolicyOnPodConditionsPattern) { preset(&c.Status, corev1.ConditionTrue) })
	byDefault(r, func(s *batchv1.CronJobSpec) {
		preset(&s.ConcurrencyPolicy, batchv1.AllowConcurrent)
		declare.SetDefault(&s.Suspend, false)
		declare.SetDefault(&s.SuccessfulJobsHistoryLimit, 3)
		declare.SetDefault(&s.FailedJobsHistoryLimit, 1)
	})
}

func defaultAutoscaler(s *autoscalingv2.HorizontalPodAutoscalerSpec) {
	declare.SetDefault(&s.MinReplicas, 1)
	if len(s.Metrics) == 0 {
		usual := int32(80)
		s.Metrics = []autoscalingv2.MetricSpec{{
			Type: autoscalingv2.ResourceMetricSourceType,
			Resource: &autoscalingv2.ResourceMetricSource{
				Name:   corev1.ResourceCPU,
				Target: autoscalingv2.MetricTarget{Type: autoscalingv2.UtilizationMetricType, AverageUtilization: &usual},
			},
		}}
	}
	if s.Behavior == nil {
		return
	}
	declare.SetDefault(&s.Behavior.ScaleUp, autoscalingv2.HPAScalingRules{})
	declare.SetDefault(&s.Behavior.ScaleDown, autoscalingv2.HPAScalingRules{})
	up, down := s.Behavior.ScaleUp, s.Behavior.ScaleDown
	declare.SetDefault(&up.SelectPolicy, autoscalingv2.MaxChangePolicySelect)
	declare.SetDefault(&down.SelectPolicy, autoscalingv2.MaxChangePolicySelect)
	declare.SetDefault(&up.StabilizationWindowSeconds, 0)
	if len(up.Policies) == 0 {
		up.Policies = []autoscalingv2.HPAScalingPolicy{
			{Type: autoscalingv2.PodsScalingPolicy, Value: 4, PeriodSeconds: 15},
			{Type: autoscalingv2.PercentScalingPolicy, Value: 100, PeriodSeconds: 15},
		}
	}
	if len(down.Policies) == 0 {
		down.Policies = []autoscalingv2.HPAScalingPolicy{{Type: autoscalingv2.PercentScalingPolicy, Value: 100, PeriodSeconds: 15}}
	}
}
