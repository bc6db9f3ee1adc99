package workload

import (
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/portico-api/portico/delegation/registry"
	"github.com/portico-api/portico/delegation/registry/declare"
)

func sameSelector(s, old *metav1.LabelSelector) field.ErrorList {
	return apivalidation.ValidateImmutableField(s, old, field.NewPath("spec", "selector"))
}

func deployments(r *rules) registry.Resource {
	columns := append(nameThen(
		declare.Column("Ready", "Number of the pod with ready state"),
		declare.IntegerColumn("Up-to-date", appsv1.DeploymentStatus{}.SwaggerDoc()["updatedReplicas"]),
		declare.IntegerColumn("Available", appsv1.DeploymentStatus{}.SwaggerDoc()["availableReplicas"]),
		declare.AgeColumn()), append(podSetColumns(), selectorColumn())...)
	return kind[appsv1.Deployment, appsv1.DeploymentList](r, registry.Resource{
		GroupVersion: appsv1.SchemeGroupVersion, Kind: "Deployment", Name: "deployments", SingularName: "deployment",
		ShortNames: []string{"deploy"}, Categories: all(), Namespaced: true, Status: true, Scale: scaled(), Strategy: counted(),
		Table: declare.Table(func(d *appsv1.Deployment) []any {
			names, images := containersAndImages(&d.Spec.Template.Spec)
			return []any{d.Name, outOf(d.Status.ReadyReplicas, valueOf(d.Spec.Replicas)), int64(d.Status.UpdatedReplicas), int64(d.Status.AvailableReplicas),
				declare.Age(&d.ObjectMeta), names, images, selectorCell(d.Spec.Selector)}
		}, columns...),
	}, declare.Rules[*appsv1.Deployment]{
		ValidateUpdate: func(d, old *appsv1.Deployment) field.ErrorList {
			return sameSelector(d.Spec.Selector, old.Spec.Selector)
		},
	})
}

func replicaSets(r *rules) registry.Resource {
	columns := append(nameThen(
		declare.IntegerColumn("Desired", appsv1.ReplicaSetSpec{}.SwaggerDoc()["replicas"]),
		declare.IntegerColumn("Current", appsv1.ReplicaSetStatus{}.SwaggerDoc()["replicas"]),
		declare.IntegerColumn("Ready", appsv1.ReplicaSetStatus{}.SwaggerDoc()["readyReplicas"]),
		declare.AgeColumn()), append(podSetColumns(), selectorColumn())...)
	return kind[appsv1.ReplicaSet, appsv1.ReplicaSetList](r, registry.Resource{
		GroupVersion: appsv1.SchemeGroupVersion, Kind: "ReplicaSet", Name: "replicasets", SingularName: "replicaset",
		ShortNames: []string{"rs"}, Categories: all(), Namespaced: true, Status: true, Scale: scaled(), Strategy: replicaFields(),
		Table: declare.Table(func(rs *appsv1.ReplicaSet) []any {
			names, images := containersAndImages(&rs.Spec.Template.Spec)
			return []any{rs.Name, int64(valueOf(rs.Spec.Replicas)), int64(rs.Status.Replicas), int64(rs.Status.ReadyReplicas),
				declare.Age(&rs.ObjectMeta), names, images, selectorCell(rs.Spec.Selector)}
		}, columns...),
	}, declare.Rules[*appsv1.ReplicaSet]{
		ValidateUpdate: func(rs, old *appsv1.ReplicaSet) field.ErrorList {
			return sameSelector(rs.Spec.Selector, old.Spec.Selector)
		},
	})
}

func statefulSets(r *rules) registry.Resource {
	columns := append(nameThen(declare.Column("Ready", "Number of the pod with ready state"), declare.AgeColumn()), podSetColumns()...)
	return kind[appsv1.StatefulSet, appsv1.StatefulSetList](r, registry.Resource{
		GroupVersion: appsv1.SchemeGroupVersion, Kind: "StatefulSet", Name: "statefulsets", SingularName: "statefulset",
		ShortNames: []string{"sts"}, Categories: all(), Namespaced: true, Status: true, Scale: scaled(), Strategy: counted(),
		Table: declare.Table(func(s *appsv1.StatefulSet) []any {
			names, images := containersAndImages(&s.Spec.Template.Spec)
			return []any{s.Name, outOf(s.Status.ReadyReplicas, valueOf(s.Spec.Replicas)), declare.Age(&s.ObjectMeta), names, images}
		}, columns...),
	}, declare.Rules[*appsv1.StatefulSet]{ValidateUpdate: validateStatefulSetUpdate})
}

// validateStatefulSetUpdate keeps what the pods' names and volumes follow from.
func validateStatefulSetUpdate(s, old *appsv1.StatefulSet) field.ErrorList {
	may := s.Spec.DeepCopy()
	may.Replicas, may.Template, may.UpdateStrategy, may.RevisionHistoryLimit = old.Spec.Replicas, old.Spec.Template, old.Spec.UpdateStrategy, old.Spec.RevisionHistoryLimit
	may.MinReadySeconds, may.Ordinals, may.PersistentVolumeClaimRetentionPolicy = old.Spec.MinReadySeconds, old.Spec.Ordinals, old.Spec.PersistentVolumeClaimRetentionPolicy
	if apiequality.Semantic.DeepEqual(*may, old.Spec) {
		return nil
	}
	return field.ErrorList{field.Forbidden(field.NewPath("spec"), "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', "+
		"'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden")}
}

func daemonSets(r *rules) registry.Resource {
	doc := appsv1.DaemonSetStatus{}.SwaggerDoc()
	columns := append(nameThen(
		declare.IntegerColumn("Desired", doc["desiredNumberScheduled"]), declare.IntegerColumn("Current", doc["currentNumberScheduled"]),
		declare.IntegerColumn("Ready", doc["numberReady"]), declare.IntegerColumn("Up-to-date", doc["updatedNumberScheduled"]),
		declare.IntegerColumn("Available", doc["numberAvailable"]), declare.Column("Node Selector", corev1.PodSpec{}.SwaggerDoc()["nodeSelector"]),
		declare.AgeColumn()), append(podSetColumns(), selectorColumn())...)
	return kind[appsv1.DaemonSet, appsv1.DaemonSetList](r, registry.Resource{
		GroupVersion: appsv1.SchemeGroupVersion, Kind: "DaemonSet", Name: "daemonsets", SingularName: "daemonset",
		ShortNames: []string{"ds"}, Categories: all(), Namespaced: true, Status: true, Strategy: counted(),
		Table: declare.Table(func(d *appsv1.DaemonSet) []any {
			names, images := containersAndImages(&d.Spec.Template.Spec)
			s := &d.Status
			return []any{d.Name, int64(s.DesiredNumberScheduled), int64(s.CurrentNumberScheduled), int64(s.NumberReady), int64(s.UpdatedNumberScheduled),
				int64(s.NumberAvailable), plainSelectorCell(d.Spec.Template.Spec.NodeSelector), declare.Age(&d.ObjectMeta), names, images, selectorCell(d.Spec.Selector)}
		}, columns...),
	}, declare.Rules[*appsv1.DaemonSet]{
		ValidateUpdate: func(d, old *appsv1.DaemonSet) field.ErrorList {
			return sameSelector(d.Spec.Selector, old.Spec.Selector)
		},
	})
}

func controllerRevisions(r *rules) registry.Resource {
	return kind[appsv1.ControllerRevision, appsv1.ControllerRevisionList](r, registry.Resource{
		GroupVersion: appsv1.SchemeGroupVersion, Kind: "ControllerRevision", Name: "controllerrevisions", SingularName: "controllerrevision", Namespaced: true,
		Table: declare.Table(func(c *appsv1.ControllerRevision) []any {
			controller := declare.NoneCell
			if ref := metav1.GetControllerOf(c); ref != nil {
				controller = ref.Kind + "/" + ref.Name
			}
			return []any{c.Name, controller, c.Revision, declare.Age(&c.ObjectMeta)}
		}, nameThen(declare.Column("Controller", "Controller of the object"), declare.IntegerColumn("Revision", appsv1.ControllerRevision{}.SwaggerDoc()["revision"]), declare.AgeColumn())...),
	}, declare.Rules[*appsv1.ControllerRevision]{
		ValidateUpdate: func(c, old *appsv1.ControllerRevision) field.ErrorList {
			return apivalidation.ValidateImmutableField(c.Data, old.Data, field.NewPath("data"))
		},
	})
}
