package workload

import (
	"encoding/json"
	"fmt"

	autoscalingv1 "k8s.io/api/autoscaling/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/portico-api/portico/delegation/registry"
	"github.com/portico-api/portico/delegation/registry/declare"
)

// What the first version of autoscalers has no field for, it has in annotations.
const (
	otherMetrics   = "autoscaling.alpha.kubernetes.io/metrics"
	currentMetrics = "autoscaling.alpha.kubernetes.io/current-metrics"
	conditions     = "autoscaling.alpha.kubernetes.io/conditions"
	behavior       = "autoscaling.alpha.kubernetes.io/behavior"
)

// AutoscalersView is autoscaling/v1: one target for the processor, and everything else in annotations.
func AutoscalersView() registry.View {
	doc := autoscalingv1.HorizontalPodAutoscalerSpec{}.SwaggerDoc()
	return registry.View{
		GroupVersion: autoscalingv1.SchemeGroupVersion,
		Kind:         "HorizontalPodAutoscaler",
		New:          func() runtime.Object { return &autoscalingv1.HorizontalPodAutoscaler{} },
		NewList:      func() runtime.Object { return &autoscalingv1.HorizontalPodAutoscalerList{} },
		Table: declare.Table(func(h *autoscalingv1.HorizontalPodAutoscaler) []any {
			least := declare.UnsetCell
			if h.Spec.MinReplicas != nil {
				least = fmt.Sprint(*h.Spec.MinReplicas)
			}
			return []any{h.Name, h.Spec.ScaleTargetRef.Kind + "/" + h.Spec.ScaleTargetRef.Name, cpuCell(h), least, int64(h.Spec.MaxReplicas), int64(h.Status.CurrentReplicas), declare.Age(&h.ObjectMeta)}
		}, nameThen(declare.Column("Reference", doc["scaleTargetRef"]), declare.Column("Targets", doc["targetCPUUtilizationPercentage"]), declare.Column("MinPods", doc["minReplicas"]),
			declare.IntegerColumn("MaxPods", doc["maxReplicas"]), declare.IntegerColumn("Replicas", autoscalingv1.HorizontalPodAutoscalerStatus{}.SwaggerDoc()["currentReplicas"]),
			declare.AgeColumn())...),
		Show: func(obj runtime.Object) (runtime.Object, error) {
			h, ok := obj.(*autoscalingv2.HorizontalPodAutoscaler)
			if !ok {
				return nil, fmt.Errorf("a %T is no autoscaler", obj)
			}
			return showAutoscaler(h)
		},
		Take: func(obj runtime.Object) (runtime.Object, error) {
			h, ok := obj.(*autoscalingv1.HorizontalPodAutoscaler)
			if !ok {
				return nil, fmt.Errorf("a %T is no autoscaler", obj)
			}
			return takeAutoscaler(h), nil
		},
	}
}

func cpuCell(h *autoscalingv1.HorizontalPodAutoscaler) string {
	have, want := declare.UnknownCell, declare.UnsetCell
	if current := h.Status.CurrentCPUUtilizationPercentage; current != nil {
		have = fmt.Sprintf("%d%%", *current)
	}
	if target := h.Spec.TargetCPUUtilizationPercentage; target != nil {
		want = fmt.Sprintf("%d%%", *target)
	}
	return "cpu: " + have + "/" + want
}

func showAutoscaler(h *autoscalingv2.HorizontalPodAutoscaler) (*autoscalingv1.HorizontalPodAutoscaler, error) {
	shown := &autoscalingv1.HorizontalPodAutoscaler{
		ObjectMeta: h.ObjectMeta,
		Spec: autoscalingv1.HorizontalPodAutoscalerSpec{
			ScaleTargetRef: autoscalingv1.CrossVersionObjectReference(h.Spec.ScaleTargetRef), MinReplicas: h.Spec.MinReplicas, MaxReplicas: h.Spec.MaxReplicas,
		},
		Status: autoscalingv1.HorizontalPodAutoscalerStatus{
			ObservedGeneration: h.Status.ObservedGeneration, LastScaleTime: h.Status.LastScaleTime,
			CurrentReplicas: h.Status.CurrentReplicas, DesiredReplicas: h.Status.DesiredReplicas,
		},
	}
	var others []autoscalingv1.MetricSpec
	for i := range h.Spec.Metrics {
		m := &h.Spec.Metrics[i]
		if shown.Spec.TargetCPUUtilizationPercentage == nil && isCPU(m) {
			shown.Spec.TargetCPUUtilizationPercentage = m.Resource.Target.AverageUtilization
			continue
		}
		others = append(others, showMetric(m))
	}
	for _, m := range h.Status.CurrentMetrics {
		if m.Type == autoscalingv2.ResourceMetricSourceType && m.Resource != nil && m.Resource.Name == corev1.ResourceCPU && m.Resource.Current.AverageUtilization != nil {
			shown.Status.CurrentCPUUtilizationPercentage = m.Resource.Current.AverageUtilization
		}
	}
	for _, note := range []struct {
		key   string
		value any
		there bool
	}{
		{otherMetrics, others, len(others) > 0},
		{currentMetrics, h.Status.CurrentMetrics, len(h.Status.CurrentMetrics) > 0},
		{conditions, h.Status.Conditions, len(h.Status.Conditions) > 0},
		{behavior, h.Spec.Behavior, h.Spec.Behavior != nil},
	} {
		if !note.there {
			continue
		}
		text, err := json.Marshal(note.value)
		if err != nil {
			return nil, fmt.Errorf("writing %s: %w", note.key, err)
		}
		if shown.Annotations == nil {
			shown.Annotations = map[string]string{}
		}
		shown.Annotations[note.key] = string(text)
	}
	return shown, nil
}

func isCPU(m *autoscalingv2.MetricSpec) bool {
	return m.Type == autoscalingv2.ResourceMetricSourceType && m.Resource != nil && m.Resource.Name == corev1.ResourceCPU && m.Resource.Target.AverageUtilization != nil
}

// takeAutoscaler reads the annotations, which are no annotations of the stored version. What cannot be read of them is lost,
// as in a cluster.
func takeAutoscaler(h *autoscalingv1.HorizontalPodAutoscaler) *autoscalingv2.HorizontalPodAutoscaler {
	taken := &autoscalingv2.HorizontalPodAutoscaler{
		ObjectMeta: h.ObjectMeta,
		Spec: autoscalingv2.HorizontalPodAutoscalerSpec{
			ScaleTargetRef: autoscalingv2.CrossVersionObjectReference(h.Spec.ScaleTargetRef), MinReplicas: h.Spec.MinReplicas, MaxReplicas: h.Spec.MaxReplicas,
		},
		Status: autoscalingv2.HorizontalPodAutoscalerStatus{
			ObservedGeneration: h.Status.ObservedGeneration, LastScaleTime: h.Status.LastScaleTime,
			CurrentReplicas: h.Status.CurrentReplicas, DesiredReplicas: h.Status.DesiredReplicas,
		},
	}
	if target := h.Spec.TargetCPUUtilizationPercentage; target != nil {
		taken.Spec.Metrics = append(taken.Spec.Metrics, autoscalingv2.MetricSpec{
			Type: autoscalingv2.ResourceMetricSourceType,
			Resource: &autoscalingv2.ResourceMetricSource{
				Name: corev1.ResourceCPU, Target: autoscalingv2.MetricTarget{Type: autoscalingv2.UtilizationMetricType, AverageUtilization: target},
			},
		})
	}
	var others []autoscalingv1.MetricSpec
	notes := map[string]any{otherMetrics: &others, currentMetrics: &taken.Status.CurrentMetrics, conditions: &taken.Status.Conditions, behavior: &taken.Spec.Behavior}
	kept := map[string]string{}
	for key, text := range h.Annotations {
		into, known := notes[key]
		if !known {
			kept[key] = text
			continue
		}
		if err := json.Unmarshal([]byte(text), into); err != nil {
			continue
		}
	}
	if taken.Annotations = nil; len(kept) > 0 {
		taken.Annotations = kept
	}
	for i := range others {
		taken.Spec.Metrics = append(taken.Spec.Metrics, takeMetric(&others[i]))
	}
	if current := h.Status.CurrentCPUUtilizationPercentage; current != nil && len(taken.Status.CurrentMetrics) == 0 {
		taken.Status.CurrentMetrics = []autoscalingv2.MetricStatus{{
			Type:     autoscalingv2.ResourceMetricSourceType,
			Resource: &autoscalingv2.ResourceMetricStatus{Name: corev1.ResourceCPU, Current: autoscalingv2.MetricValueStatus{AverageUtilization: current}},
		}}
	}
	return taken
}
