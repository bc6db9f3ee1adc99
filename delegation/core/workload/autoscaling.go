package workload

import (
	"fmt"
	"strings"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/portico-api/portico/delegation/registry"
	"github.com/portico-api/portico/delegation/registry/declare"
)

func horizontalPodAutoscalers(r *rules) registry.Resource {
	doc := autoscalingv2.HorizontalPodAutoscalerSpec{}.SwaggerDoc()
	return kind[autoscalingv2.HorizontalPodAutoscaler, autoscalingv2.HorizontalPodAutoscalerList](r, registry.Resource{
		GroupVersion: autoscalingv2.SchemeGroupVersion, Kind: "HorizontalPodAutoscaler", Name: "horizontalpodautoscalers", SingularName: "horizontalpodautoscaler",
		ShortNames: []string{"hpa"}, Categories: all(), Namespaced: true, Status: true,
		Table: declare.Table(func(h *autoscalingv2.HorizontalPodAutoscaler) []any {
			least := declare.UnsetCell
			if h.Spec.MinReplicas != nil {
				least = fmt.Sprint(*h.Spec.MinReplicas)
			}
			target := h.Spec.ScaleTargetRef
			return []any{h.Name, target.Kind + "/" + target.Name, targetsCell(h), least, int64(h.Spec.MaxReplicas), int64(h.Status.CurrentReplicas), declare.Age(&h.ObjectMeta)}
		}, nameThen(declare.Column("Reference", doc["scaleTargetRef"]), declare.Column("Targets", doc["metrics"]), declare.Column("MinPods", doc["minReplicas"]),
			declare.IntegerColumn("MaxPods", doc["maxReplicas"]), declare.IntegerColumn("Replicas", autoscalingv2.HorizontalPodAutoscalerStatus{}.SwaggerDoc()["currentReplicas"]),
			declare.AgeColumn())...),
	}, declare.Rules[*autoscalingv2.HorizontalPodAutoscaler]{})
}

// shownTargets is how many of the metrics are shown in a cell.
const shownTargets = 2

// targetsCell shows what is measured beside what is wanted.
func targetsCell(h *autoscalingv2.HorizontalPodAutoscaler) string {
	if len(h.Spec.Metrics) == 0 {
		return declare.NoneCell
	}
	var cells []string
	for i := range h.Spec.Metrics {
		var current autoscalingv2.MetricStatus
		if i < len(h.Status.CurrentMetrics) {
			current = h.Status.CurrentMetrics[i]
		}
		cells = append(cells, targetCell(&h.Spec.Metrics[i], &current))
	}
	if more := len(cells) - shownTargets; more > 0 {
		return fmt.Sprintf("%s + %d more...", strings.Join(cells[:shownTargets], ", "), more)
	}
	return strings.Join(cells, ", ")
}

func targetCell(m *autoscalingv2.MetricSpec, current *autoscalingv2.MetricStatus) string {
	var name string
	var target autoscalingv2.MetricTarget
	var value autoscalingv2.MetricValueStatus
	switch {
	case m.Resource != nil:
		name, target = string(m.Resource.Name)+": ", m.Resource.Target
		if current.Resource != nil {
			value = current.Resource.Current
		}
	case m.ContainerResource != nil:
		name, target = string(m.ContainerResource.Name)+": ", m.ContainerResource.Target
		if current.ContainerResource != nil {
			value = current.ContainerResource.Current
		}
	case m.Pods != nil:
		target = m.Pods.Target
		if current.Pods != nil {
			value = current.Pods.Current
		}
	case m.Object != nil:
		target = m.Object.Target
		if current.Object != nil {
			value = current.Object.Current
		}
	case m.External != nil:
		target = m.External.Target
		if current.External != nil {
			value = current.External.Current
		}
	default:
		return "<unknown type>"
	}
	switch {
	case target.AverageUtilization != nil:
		have := declare.UnknownCell
		if value.AverageUtilization != nil {
			have = fmt.Sprintf("%d%%", *value.AverageUtilization)
		}
		return fmt.Sprintf("%s%s/%d%%", name, have, *target.AverageUtilization)
	case target.AverageValue != nil:
		return fmt.Sprintf("%s%s/%s", name, amountCell(value.AverageValue), target.AverageValue)
	}
	return fmt.Sprintf("%s%s/%s", name, amountCell(value.Value), amountCell(target.Value))
}

func amountCell(amount *resource.Quantity) string {
	if amount == nil {
		return declare.UnknownCell
	}
	return amount.String()
}
