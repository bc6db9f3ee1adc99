package workload

import (
	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/portico-api/portico/delegation/registry"
	"github.com/portico-api/portico/delegation/registry/declare"
)

// defaultClass marks the class of claims that name none.
const defaultClass = "storageclass.kubernetes.io/is-default-class"

func storageClasses(r *rules) registry.Resource {
	doc := storagev1.StorageClass{}.SwaggerDoc()
	return kind[storagev1.StorageClass, storagev1.StorageClassList](r, registry.Resource{
		GroupVersion: storagev1.SchemeGroupVersion, Kind: "StorageClass", Name: "storageclasses", SingularName: "storageclass", ShortNames: []string{"sc"},
		Table: declare.Table(func(c *storagev1.StorageClass) []any {
			name := c.Name
			if c.Annotations[defaultClass] == "true" {
				name += " (default)"
			}
			return []any{name, c.Provisioner, string(valueOf(c.ReclaimPolicy)), string(valueOf(c.VolumeBindingMode)), valueOf(c.AllowVolumeExpansion), declare.Age(&c.ObjectMeta)}
		}, nameThen(declare.Column("Provisioner", doc["provisioner"]), declare.Column("ReclaimPolicy", doc["reclaimPolicy"]),
			declare.Column("VolumeBindingMode", doc["volumeBindingMode"]), declare.Column("AllowVolumeExpansion", doc["allowVolumeExpansion"]), declare.AgeColumn())...),
	}, declare.Rules[*storagev1.StorageClass]{ValidateUpdate: func(c, old *storagev1.StorageClass) field.ErrorList {
		var errs field.ErrorList
		for _, f := range []struct {
			name     string
			now, was any
		}{{"parameters", c.Parameters, old.Parameters}, {"provisioner", c.Provisioner, old.Provisioner}, {"reclaimPolicy", c.ReclaimPolicy, old.ReclaimPolicy}} {
			if !apiequality.Semantic.DeepEqual(f.now, f.was) {
				errs = append(errs, field.Forbidden(field.NewPath(f.name), "updates to "+f.name+" are forbidden."))
			}
		}
		return append(errs, apivalidation.ValidateImmutableField(c.VolumeBindingMode, old.VolumeBindingMode, field.NewPath("volumeBindingMode"))...)
	}})
}

func volumeAttachments(r *rules) registry.Resource {
	doc := storagev1.VolumeAttachmentSpec{}.SwaggerDoc()
	return kind[storagev1.VolumeAttachment, storagev1.VolumeAttachmentList](r, registry.Resource{
		GroupVersion: storagev1.SchemeGroupVersion, Kind: "VolumeAttachment", Name: "volumeattachments", SingularName: "volumeattachment", Status: true,
		Table: declare.Table(func(a *storagev1.VolumeAttachment) []any {
			return []any{a.Name, a.Spec.Attacher, valueOf(a.Spec.Source.PersistentVolumeName), a.Spec.NodeName, a.Status.Attached, declare.Age(&a.ObjectMeta)}
		}, nameThen(declare.Column("Attacher", doc["attacher"]), declare.Column("PV", storagev1.VolumeAttachmentSource{}.SwaggerDoc()["persistentVolumeName"]),
			declare.Column("Node", doc["nodeName"]), declare.Column("Attached", storagev1.VolumeAttachmentStatus{}.SwaggerDoc()["attached"]), declare.AgeColumn())...),
	}, declare.Rules[*storagev1.VolumeAttachment]{
		Validate: func(a *storagev1.VolumeAttachment) field.ErrorList {
			source := field.NewPath("spec", "source")
			switch s := &a.Spec.Source; {
			case s.PersistentVolumeName == nil && s.InlineVolumeSpec == nil:
				return field.ErrorList{field.Required(source, "must specify exactly one of inlineVolumeSpec and persistentVolumeName")}
			case s.PersistentVolumeName != nil && s.InlineVolumeSpec != nil:
				return field.ErrorList{field.Forbidden(source, "must specify exactly one of inlineVolumeSpec and persistentVolumeName")}
			}
			return nil
		},
		ValidateUpdate: func(a, old *storagev1.VolumeAttachment) field.ErrorList {
			return apivalidation.ValidateImmutableField(a.Spec, old.Spec, field.NewPath("spec"))
		},
	})
}

func csiDrivers(r *rules) registry.Resource {
	doc := storagev1.CSIDriverSpec{}.SwaggerDoc()
	return kind[storagev1.CSIDriver, storagev1.CSIDriverList](r, registry.Resource{
		GroupVersion: storagev1.SchemeGroupVersion, Kind: "CSIDriver", Name: "csidrivers", SingularName: "csidriver", Strategy: counted(),
		Table: declare.Table(func(d *storagev1.CSIDriver) []any {
			tokens := declare.UnsetCell
			if len(d.Spec.TokenRequests) > 0 {
				audiences := make([]string, len(d.Spec.TokenRequests))
				for i, request := range d.Spec.TokenRequests {
					audiences[i] = request.Audience
				}
				tokens = joinOr(declare.UnsetCell, audiences)
			}
			return []any{d.Name, valueOf(d.Spec.AttachRequired), valueOf(d.Spec.PodInfoOnMount), valueOf(d.Spec.StorageCapacity), tokens,
				valueOf(d.Spec.RequiresRepublish), joinOr(declare.NoneCell, d.Spec.VolumeLifecycleModes), declare.Age(&d.ObjectMeta)}
		}, nameThen(declare.Column("AttachRequired", doc["attachRequired"]), declare.Column("PodInfoOnMount", doc["podInfoOnMount"]),
			declare.Column("StorageCapacity", doc["storageCapacity"]), declare.Column("TokenRequests", doc["tokenRequests"]),
			declare.Column("RequiresRepublish", doc["requiresRepublish"]), declare.Column("Modes", doc["volumeLifecycleModes"]), declare.AgeColumn())...),
	}, declare.Rules[*storagev1.CSIDriver]{ValidateUpdate: func(d, old *storagev1.CSIDriver) field.ErrorList {
		spec := field.NewPath("spec")
		errs := apivalidation.ValidateImmutableField(d.Spec.AttachRequired, old.Spec.AttachRequired, spec.Child("attachedRequired"))
		return append(errs, apivalidation.ValidateImmutableField(d.Spec.VolumeLifecycleModes, old.Spec.VolumeLifecycleModes, spec.Child("volumeLifecycleModes"))...)
	}})
}

func csiNodes(r *rules) registry.Resource {
	return kind[storagev1.CSINode, storagev1.CSINodeList](r, registry.Resource{
		GroupVersion: storagev1.SchemeGroupVersion, Kind: "CSINode", Name: "csinodes", SingularName: "csinode",
		Table: declare.Table(func(n *storagev1.CSINode) []any {
			return []any{n.Name, int64(len(n.Spec.Drivers)), declare.Age(&n.ObjectMeta)}
		}, nameThen(declare.IntegerColumn("Drivers", "Drivers indicates the number of CSI drivers registered on the node"), declare.AgeColumn())...),
	}, declare.Rules[*storagev1.CSINode]{Validate: func(n *storagev1.CSINode) field.ErrorList {
		var errs field.ErrorList
		names, drivers := map[string]bool{}, field.NewPath("spec", "drivers")
		for i, driver := range n.Spec.Drivers {
			errs = append(errs, checkUnique(names, driver.Name, drivers.Index(i).Child("name"))...)
		}
		return errs
	}})
}

func csiStorageCapacities(r *rules) registry.Resource {
	doc := storagev1.CSIStorageCapacity{}.SwaggerDoc()
	return kind[storagev1.CSIStorageCapacity, storagev1.CSIStorageCapacityList](r, registry.Resource{
		GroupVersion: storagev1.SchemeGroupVersion, Kind: "CSIStorageCapacity", Name: "csistoragecapacities", SingularName: "csistoragecapacity", Namespaced: true,
		Table: declare.Table(func(c *storagev1.CSIStorageCapacity) []any {
			capacity := declare.UnsetCell
			if c.Capacity != nil {
				capacity = c.Capacity.String()
			}
			return []any{c.Name, c.StorageClassName, capacity}
		}, nameThen(declare.Column("StorageClassName", doc["storageClassName"]), declare.Column("Capacity", doc["capacity"]))...),
	}, declare.Rules[*storagev1.CSIStorageCapacity]{
		Validate: func(c *storagev1.CSIStorageCapacity) field.ErrorList {
			if c.Capacity != nil {
				return checkAmounts(corev1.ResourceList{corev1.ResourceStorage: *c.Capacity}, field.NewPath("capacity"))
			}
			return nil
		},
		ValidateUpdate: func(c, old *storagev1.CSIStorageCapacity) field.ErrorList {
			errs := apivalidation.ValidateImmutableField(c.NodeTopology, old.NodeTopology, field.NewPath("nodeTopology"))
			return append(errs, apivalidation.ValidateImmutableField(c.StorageClassName, old.StorageClassName, field.NewPath("storageClassName"))...)
		},
	})
}

func volumeAttributesClasses(r *rules) registry.Resource {
	doc := storagev1.VolumeAttributesClass{}.SwaggerDoc()
	return kind[storagev1.VolumeAttributesClass, storagev1.VolumeAttributesClassList](r, registry.Resource{
		GroupVersion: storagev1.SchemeGroupVersion, Kind: "VolumeAttributesClass", Name: "volumeattributesclasses", SingularName: "volumeattributesclass", ShortNames: []string{"vac"},
		Table: declare.Table(func(c *storagev1.VolumeAttributesClass) []any {
			return []any{c.Name, c.DriverName, declare.Age(&c.ObjectMeta)}
		}, nameThen(declare.Column("DriverName", doc["driverName"]), declare.AgeColumn())...),
	}, declare.Rules[*storagev1.VolumeAttributesClass]{
		Validate: func(c *storagev1.VolumeAttributesClass) field.ErrorList {
			if len(c.Parameters) == 0 {
				return field.ErrorList{field.Required(field.NewPath("parameters"), "must contain at least one key/value pair")}
			}
			return nil
		},
		ValidateUpdate: func(c, old *storagev1.VolumeAttributesClass) field.ErrorList {
			errs := apivalidation.ValidateImmutableField(c.DriverName, old.DriverName, field.NewPath("driverName"))
			return append(errs, apivalidation.ValidateImmutableField(c.Parameters, old.Parameters, field.NewPath("parameters"))...)
		},
	})
}
