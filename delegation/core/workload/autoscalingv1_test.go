package workload_test

import (
	"testing"

	autoscalingv1 "k8s.io/api/autoscaling/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apiresource "k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/portico-api/portico/delegation/core/workload"
)

// Nothing of an autoscaler is lost when it is read and written in the first version.
func TestAutoscalersInTheFirstVersion(t *testing.T) {
	ten, half, two := int32(10), apiresource.MustParse("500m"), apiresource.MustParse("2")
	metric := autoscalingv2.MetricIdentifier{Name: "m", Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"a": "b"}}}
	stored := &autoscalingv2.HorizontalPodAutoscaler{
		ObjectMeta: metav1.ObjectMeta{Name: "x", Annotations: map[string]string{"mine": "1"}},
		Spec: autoscalingv2.HorizontalPodAutoscalerSpec{
			ScaleTargetRef: autoscalingv2.CrossVersionObjectReference{Kind: "Deployment", Name: "d", APIVersion: "apps/v1"}, MinReplicas: &ten, MaxReplicas: 20,
			Metrics: []autoscalingv2.MetricSpec{
				{Type: "Resource", Resource: &autoscalingv2.ResourceMetricSource{Name: corev1.ResourceCPU, Target: autoscalingv2.MetricTarget{Type: "Utilization", AverageUtilization: &ten}}},
				{Type: "Resource", Resource: &autoscalingv2.ResourceMetricSource{Name: corev1.ResourceMemory, Target: autoscalingv2.MetricTarget{Type: "AverageValue", AverageValue: &half}}},
				{Type: "ContainerResource", ContainerResource: &autoscalingv2.ContainerResourceMetricSource{Name: corev1.ResourceCPU, Container: "c", Target: autoscalingv2.MetricTarget{Type: "Utilization", AverageUtilization: &ten}}},
				{Type: "Pods", Pods: &autoscalingv2.PodsMetricSource{Metric: metric, Target: autoscalingv2.MetricTarget{Type: "AverageValue", AverageValue: &half}}},
				{Type: "Object", Object: &autoscalingv2.ObjectMetricSource{Metric: metric, DescribedObject: autoscalingv2.CrossVersionObjectReference{Kind: "Service", Name: "s"}, Target: autoscalingv2.MetricTarget{Type: "Value", Value: &two}}},
				{Type: "External", External: &autoscalingv2.ExternalMetricSource{Metric: metric, Target: autoscalingv2.MetricTarget{Type: "Value", Value: &two}}},
			},
			Behavior: &autoscalingv2.HorizontalPodAutoscalerBehavior{ScaleDown: &autoscalingv2.HPAScalingRules{StabilizationWindowSeconds: &ten}},
		},
		Status: autoscalingv2.HorizontalPodAutoscalerStatus{
			CurrentReplicas: 3, DesiredReplicas: 4,
			CurrentMetrics: []autoscalingv2.MetricStatus{{Type: "Resource", Resource: &autoscalingv2.ResourceMetricStatus{Name: corev1.ResourceCPU, Current: autoscalingv2.MetricValueStatus{AverageUtilization: &ten}}}},
			Conditions:     []autoscalingv2.HorizontalPodAutoscalerCondition{{Type: autoscalingv2.ScalingActive, Status: corev1.ConditionTrue}},
		},
	}
	view := workload.AutoscalersView()
	made, err := view.Show(stored.DeepCopy())
	if err != nil {
		t.Fatal(err)
	}
	shown := made.(*autoscalingv1.HorizontalPodAutoscaler)
	if *shown.Spec.TargetCPUUtilizationPercentage != 10 || *shown.Status.CurrentCPUUtilizationPercentage != 10 || shown.Annotations["mine"] != "1" || len(shown.Annotations) != 5 {
		t.Errorf("shown is %+v", shown)
	}
	back, err := view.Take(shown)
	if err != nil {
		t.Fatal(err)
	}
	if !apiequality.Semantic.DeepEqual(back, stored) {
		t.Errorf("got %+v\nwant %+v", back, stored)
	}
}
