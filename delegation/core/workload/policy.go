package workload

import (
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/portico-api/portico/delegation/registry"
	"github.com/portico-api/portico/delegation/registry/declare"
)

func podDisruptionBudgets(r *rules) registry.Resource {
	doc := policyv1.PodDisruptionBudgetSpec{}.SwaggerDoc()
	return kind[policyv1.PodDisruptionBudget, policyv1.PodDisruptionBudgetList](r, registry.Resource{
		GroupVersion: policyv1.SchemeGroupVersion, Kind: "PodDisruptionBudget", Name: "poddisruptionbudgets", SingularName: "poddisruptionbudget",
		ShortNames: []string{"pdb"}, Namespaced: true, Status: true, Strategy: counted(),
		Table: declare.Table(func(b *policyv1.PodDisruptionBudget) []any {
			return []any{b.Name, shareCell(b.Spec.MinAvailable), shareCell(b.Spec.MaxUnavailable), int64(b.Status.DisruptionsAllowed), declare.Age(&b.ObjectMeta)}
		}, nameThen(declare.Column("Min Available", doc["minAvailable"]), declare.Column("Max Unavailable", doc["maxUnavailable"]),
			declare.IntegerColumn("Allowed Disruptions", policyv1.PodDisruptionBudgetStatus{}.SwaggerDoc()["disruptionsAllowed"]), declare.AgeColumn())...),
	}, declare.Rules[*policyv1.PodDisruptionBudget]{Validate: func(b *policyv1.PodDisruptionBudget) field.ErrorList {
		spec := field.NewPath("spec")
		if b.Spec.MinAvailable != nil && b.Spec.MaxUnavailable != nil {
			return field.ErrorList{field.Invalid(spec, "", "minAvailable and maxUnavailable cannot be both set")}
		}
		return append(checkShare(b.Spec.MinAvailable, spec.Child("minAvailable")), checkShare(b.Spec.MaxUnavailable, spec.Child("maxUnavailable"))...)
	}})
}

func shareCell(share *intstr.IntOrString) string {
	if share == nil {
		return "N/A"
	}
	return share.String()
}
