package registry

import (
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/portico-api/portico/handler/rest"
)

// scaleTable is how kubectl get --subresource=scale shows a Scale.
func scaleTable() *rest.Table {
	docs := metav1.ObjectMeta{}.SwaggerDoc()
	return &rest.Table{
		Columns: []metav1.TableColumnDefinition{
			{Name: "Name", Type: "string", Format: "name", Description: docs["name"]},
			{Name: "Desired", Type: "integer", Description: "Number of desired replicas"},
			{Name: "Available", Type: "integer", Description: "Number of actual replicas"},
			{Name: "Age", Type: "date", Description: docs["creationTimestamp"]},
		},
		Cells: func(obj runtime.Object) []any {
			scale := obj.(*autoscalingv1.Scale)
			return []any{scale.Name, int64(scale.Spec.Replicas), int64(scale.Status.Replicas), rest.Age(scale.CreationTimestamp)}
		},
	}
}
