package workload

import (
	"strings"

	nodev1 "k8s.io/api/node/v1"
	schedulingv1 "k8s.io/api/scheduling/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/portico-api/portico/delegation/registry"
	"github.com/portico-api/portico/delegation/registry/declare"
)

// highestPriority is the most that users may give; what is above is the system's own.
const highestPriority = 1_000_000_000

func priorityClasses(r *rules) registry.Resource {
	doc := schedulingv1.PriorityClass{}.SwaggerDoc()
	return kind[schedulingv1.PriorityClass, schedulingv1.PriorityClassList](r, registry.Resource{
		GroupVersion: schedulingv1.SchemeGroupVersion, Kind: "PriorityClass", Name: "priorityclasses", SingularName: "priorityclass", ShortNames: []string{"pc"},
		Table: declare.Table(func(c *schedulingv1.PriorityClass) []any {
			return []any{c.Name, int64(c.Value), c.GlobalDefault, declare.Age(&c.ObjectMeta), string(valueOf(c.PreemptionPolicy))}
		}, nameThen(declare.IntegerColumn("Value", doc["value"]), declare.Column("Global-Default", doc["globalDefault"]), declare.AgeColumn(),
			declare.Column("PreemptionPolicy", doc["preemptionPolicy"]))...),
	}, declare.Rules[*schedulingv1.PriorityClass]{
		Validate: func(c *schedulingv1.PriorityClass) field.ErrorList {
			known := c.Name == "system-cluster-critical" && c.Value == 2*highestPriority || c.Name == "system-node-critical" && c.Value == 2*highestPriority+1000
			switch {
			case known:
			case strings.HasPrefix(c.Name, "system-"):
				return field.ErrorList{field.Forbidden(field.NewPath("metadata", "name"), "priority class names with 'system-' prefix are reserved for system use only")}
			case c.Value > highestPriority:
				return field.ErrorList{field.Forbidden(field.NewPath("value"), "maximum allowed value of a user defined priority is 1000000000")}
			}
			return nil
		},
		ValidateUpdate: func(c, old *schedulingv1.PriorityClass) field.ErrorList {
			errs := apivalidation.ValidateImmutableField(c.Value, old.Value, field.NewPath("value"))
			return append(errs, apivalidation.ValidateImmutableField(c.PreemptionPolicy, old.PreemptionPolicy, field.NewPath("preemptionPolicy"))...)
		},
	})
}

func runtimeClasses(r *rules) registry.Resource {
	return kind[nodev1.RuntimeClass, nodev1.RuntimeClassList](r, registry.Resource{
		GroupVersion: nodev1.SchemeGroupVersion, Kind: "RuntimeClass", Name: "runtimeclasses", SingularName: "runtimeclass",
		Table: declare.Table(func(c *nodev1.RuntimeClass) []any {
			return []any{c.Name, c.Handler, declare.Age(&c.ObjectMeta)}
		}, nameThen(declare.Column("Handler", nodev1.RuntimeClass{}.SwaggerDoc()["handler"]), declare.AgeColumn())...),
	}, declare.Rules[*nodev1.RuntimeClass]{
		Validate: func(c *nodev1.RuntimeClass) field.ErrorList {
			if c.Handler == "" {
				return nil
			}
			return declare.Invalid(validation.IsDNS1123Label(c.Handler), field.NewPath("handler"), c.Handler)
		},
		ValidateUpdate: func(c, old *nodev1.RuntimeClass) field.ErrorList {
			return apivalidation.ValidateImmutableField(c.Handler, old.Handler, field.NewPath("handler"))
		},
	})
}
