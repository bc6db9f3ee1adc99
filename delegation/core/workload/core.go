package workload

import (
	"context"
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/portico-api/portico/delegation/registry"
	"github.com/portico-api/portico/delegation/registry/declare"
)

func nodes(r *rules) registry.Resource {
	return kind[corev1.Node, corev1.NodeList](r, registry.Resource{
		GroupVersion: corev1.SchemeGroupVersion, Kind: "Node", Name: "nodes", SingularName: "node", ShortNames: []string{"no"}, Status: true,
		Strategy: registry.Strategy{FieldNames: []string{"spec.unschedulable"}, Fields: func(object []byte) fields.Set {
			var n struct{ Spec struct{ Unschedulable bool } }
			if err := json.Unmarshal(object, &n); err != nil {
				return nil
			}
			return fields.Set{"spec.unschedulable": strconv.FormatBool(n.Spec.Unschedulable)}
		}},
		Table: declare.Table(nodeCells, declare.NameColumn(),
			declare.Column("Status", "Whether the node is ready, and takes pods."),
			declare.Column("Roles", "What the node is for, by its labels."),
			declare.AgeColumn(),
			declare.Column("Version", corev1.NodeSystemInfo{}.SwaggerDoc()["kubeletVersion"]),
			declare.Wide(declare.Column("Internal-IP", corev1.NodeStatus{}.SwaggerDoc()["addresses"])),
			declare.Wide(declare.Column("External-IP", corev1.NodeStatus{}.SwaggerDoc()["addresses"])),
			declare.Wide(declare.Column("OS-Image", corev1.NodeSystemInfo{}.SwaggerDoc()["osImage"])),
			declare.Wide(declare.Column("Kernel-Version", corev1.NodeSystemInfo{}.SwaggerDoc()["kernelVersion"])),
			declare.Wide(declare.Column("Container-Runtime", corev1.NodeSystemInfo{}.SwaggerDoc()["containerRuntimeVersion"]))),
	}, declare.Rules[*corev1.Node]{
		ValidateUpdate: func(n, old *corev1.Node) field.ErrorList {
			if old.Spec.ProviderID == "" {
				return nil
			}
			return apivalidation.ValidateImmutableField(n.Spec.ProviderID, old.Spec.ProviderID, field.NewPath("spec", "providerID"))
		},
	})
}

const roleLabel = "node-role.kubernetes.io/"

func nodeCells(n *corev1.Node) []any {
	state, roles := declare.UnknownCell, []string(nil)
	for _, c := range n.Status.Conditions {
		if c.Type == corev1.NodeReady {
			state = "NotReady"
			if c.Status == corev1.ConditionTrue {
				state = "Ready"
			}
		}
	}
	if state == declare.UnknownCell {
		state = "Unknown"
	}
	if n.Spec.Unschedulable {
		state += ",SchedulingDisabled"
	}
	for key, value := range n.Labels {
		switch role, ok := strings.CutPrefix(key, roleLabel); {
		case ok && role != "":
			roles = append(roles, role)
		case key == "kubernetes.io/role" && value != "":
			roles = append(roles, value)
		}
	}
	slices.Sort(roles)
	address := func(kind corev1.NodeAddressType) string {
		for _, a := range n.Status.Addresses {
			if a.Type == kind {
				return a.Address
			}
		}
		return declare.NoneCell
	}
	info := &n.Status.NodeInfo
	unknown := func(text string) string {
		if text == "" {
			return declare.UnknownCell
		}
		return text
	}
	return []any{n.Name, state, joinOr(declare.NoneCell, roles), declare.Age(&n.ObjectMeta), info.KubeletVersion,
		address(corev1.NodeInternalIP), address(corev1.NodeExternalIP), unknown(info.OSImage), unknown(info.KernelVersion), unknown(info.ContainerRuntimeVersion)}
}

func replicationControllers(r *rules) registry.Resource {
	strategy := replicaFields()
	strategy.Dependents = registry.Orphaned
	columns := append(nameThen(
		declare.IntegerColumn("Desired", corev1.ReplicationControllerSpec{}.SwaggerDoc()["replicas"]),
		declare.IntegerColumn("Current", corev1.ReplicationControllerStatus{}.SwaggerDoc()["replicas"]),
		declare.IntegerColumn("Ready", corev1.ReplicationControllerStatus{}.SwaggerDoc()["readyReplicas"]),
		declare.AgeColumn()), append(podSetColumns(), selectorColumn())...)
	return kind[corev1.ReplicationController, corev1.ReplicationControllerList](r, registry.Resource{
		GroupVersion: corev1.SchemeGroupVersion, Kind: "ReplicationController", Name: "replicationcontrollers", SingularName: "replicationcontroller",
		ShortNames: []string{"rc"}, Categories: all(), Namespaced: true, Status: true, Scale: scaled(), Strategy: strategy,
		Table: declare.Table(func(rc *corev1.ReplicationController) []any {
			names, images := "", ""
			if rc.Spec.Template != nil {
				names, images = containersAndImages(&rc.Spec.Template.Spec)
			}
			return []any{rc.Name, int64(valueOf(rc.Spec.Replicas)), int64(rc.Status.Replicas), int64(rc.Status.ReadyReplicas),
				declare.Age(&rc.ObjectMeta), names, images, plainSelectorCell(rc.Spec.Selector)}
		}, columns...),
	}, declare.Rules[*corev1.ReplicationController]{Validate: validateReplicationController})
}

func validateReplicationController(rc *corev1.ReplicationController) field.ErrorList {
	spec := field.NewPath("spec")
	errs := notNegative(rc.Spec.Replicas, spec.Child("replicas"))
	if len(rc.Spec.Selector) == 0 {
		errs = append(errs, field.Required(spec.Child("selector"), ""))
	}
	if rc.Spec.Template == nil {
		return append(errs, field.Required(spec.Child("template"), ""))
	}
	errs = append(errs, checkRestart(rc.Spec.Template, spec, corev1.RestartPolicyAlways)...)
	return append(errs, checkSelected(labels.SelectorFromSet(rc.Spec.Selector), rc.Spec.Template, spec)...)
}

// scaled is where the kinds that make pods keep how many.
func scaled() *registry.Scale {
	return &registry.Scale{SpecReplicas: []string{"spec", "replicas"}, StatusReplicas: []string{"status", "replicas"}, Selector: []string{"spec", "selector"}}
}

// replicaFields lets clients select by how many pods there are.
func replicaFields() registry.Strategy {
	return registry.Strategy{Generation: true, FieldNames: []string{"status.replicas"}, Fields: func(object []byte) fields.Set {
		var o struct{ Status struct{ Replicas int32 } }
		if err := json.Unmarshal(object, &o); err != nil {
			return nil
		}
		return fields.Set{"status.replicas": strconv.Itoa(int(o.Status.Replicas))}
	}}
}

func podTemplates(r *rules) registry.Resource {
	return kind[corev1.PodTemplate, corev1.PodTemplateList](r, registry.Resource{
		GroupVersion: corev1.SchemeGroupVersion, Kind: "PodTemplate", Name: "podtemplates", SingularName: "podtemplate", Namespaced: true, Strategy: counted(),
		Table: declare.Table(func(t *corev1.PodTemplate) []any {
			names, images := containersAndImages(&t.Template.Spec)
			return []any{t.Name, names, images, plainSelectorCell(t.Template.Labels)}
		}, nameThen(declare.Column("Containers", "Names of each container in the template."), declare.Column("Images", "Images referenced by each container in the template."),
			declare.Column("Pod Labels", "The labels for the pod template."))...),
	}, declare.Rules[*corev1.PodTemplate]{})
}

func persistentVolumes(r *rules) registry.Resource {
	doc := corev1.PersistentVolumeSpec{}.SwaggerDoc()
	return kind[corev1.PersistentVolume, corev1.PersistentVolumeList](r, registry.Resource{
		GroupVersion: corev1.SchemeGroupVersion, Kind: "PersistentVolume", Name: "persistentvolumes", SingularName: "persistentvolume",
		ShortNames: []string{"pv"}, Status: true,
		Table: declare.Table(func(v *corev1.PersistentVolume) []any {
			claim := ""
			if ref := v.Spec.ClaimRef; ref != nil {
				claim = ref.Namespace + "/" + ref.Name
			}
			state := string(v.Status.Phase)
			if v.DeletionTimestamp != nil {
				state = "Terminating"
			}
			size := v.Spec.Capacity[corev1.ResourceStorage]
			return []any{v.Name, size.String(), accessModesCell(v.Spec.AccessModes), string(v.Spec.PersistentVolumeReclaimPolicy), state, claim,
				v.Spec.StorageClassName, orUnset(v.Spec.VolumeAttributesClassName), v.Status.Reason, declare.Age(&v.ObjectMeta), string(valueOf(v.Spec.VolumeMode))}
		}, nameThen(declare.Column("Capacity", doc["capacity"]), declare.Column("Access Modes", doc["accessModes"]),
			declare.Column("Reclaim Policy", doc["persistentVolumeReclaimPolicy"]), declare.Column("Status", corev1.PersistentVolumeStatus{}.SwaggerDoc()["phase"]),
			declare.Column("Claim", doc["claimRef"]), declare.Column("StorageClass", doc["storageClassName"]),
			declare.Column("VolumeAttributesClass", doc["volumeAttributesClassName"]), declare.Column("Reason", corev1.PersistentVolumeStatus{}.SwaggerDoc()["reason"]),
			declare.AgeColumn(), declare.Wide(declare.Column("VolumeMode", doc["volumeMode"])))...),
	}, declare.Rules[*corev1.PersistentVolume]{
		Create: func(_ context.Context, v *corev1.PersistentVolume) { v.Status.Phase = corev1.VolumePending },
		Validate: func(v *corev1.PersistentVolume) field.ErrorList {
			spec := field.NewPath("spec")
			errs := checkOneSource(&v.Spec.PersistentVolumeSource, spec)
			if len(v.Spec.AccessModes) == 0 {
				errs = append(errs, field.Required(spec.Child("accessModes"), ""))
			}
			if len(v.Spec.Capacity) == 0 {
				errs = append(errs, field.Required(spec.Child("capacity"), ""))
			}
			return append(errs, checkAmounts(v.Spec.Capacity, spec.Child("capacity"))...)
		},
		ValidateUpdate: func(v, old *corev1.PersistentVolume) field.ErrorList {
			if apiequality.Semantic.DeepEqual(v.Spec.PersistentVolumeSource, old.Spec.PersistentVolumeSource) {
				return nil
			}
			return field.ErrorList{field.Forbidden(field.NewPath("spec", "persistentvolumesource"), "spec.persistentvolumesource is immutable after creation")}
		},
	})
}

func orUnset(text *string) string {
	if text == nil || *text == "" {
		return declare.UnsetCell
	}
	return *text
}

func persistentVolumeClaims(r *rules) registry.Resource {
	doc := corev1.PersistentVolumeClaimSpec{}.SwaggerDoc()
	return kind[corev1.PersistentVolumeClaim, corev1.PersistentVolumeClaimList](r, registry.Resource{
		GroupVersion: corev1.SchemeGroupVersion, Kind: "PersistentVolumeClaim", Name: "persistentvolumeclaims", SingularName: "persistentvolumeclaim",
		ShortNames: []string{"pvc"}, Namespaced: true, Status: true,
		Table: declare.Table(func(c *corev1.PersistentVolumeClaim) []any {
			state, size, modes := string(c.Status.Phase), "", ""
			if c.DeletionTimestamp != nil {
				state = "Terminating"
			}
			if c.Spec.VolumeName != "" {
				have := c.Status.Capacity[corev1.ResourceStorage]
				size, modes = have.String(), accessModesCell(c.Status.AccessModes)
			}
			return []any{c.Name, state, c.Spec.VolumeName, size, modes, valueOf(c.Spec.StorageClassName), orUnset(c.Spec.VolumeAttributesClassName),
				declare.Age(&c.ObjectMeta), string(valueOf(c.Spec.VolumeMode))}
		}, nameThen(declare.Column("Status", corev1.PersistentVolumeClaimStatus{}.SwaggerDoc()["phase"]), declare.Column("Volume", doc["volumeName"]),
			declare.Column("Capacity", corev1.PersistentVolumeClaimStatus{}.SwaggerDoc()["capacity"]), declare.Column("Access Modes", doc["accessModes"]),
			declare.Column("StorageClass", doc["storageClassName"]), declare.Column("VolumeAttributesClass", doc["volumeAttributesClassName"]),
			declare.AgeColumn(), declare.Wide(declare.Column("VolumeMode", doc["volumeMode"])))...),
	}, declare.Rules[*corev1.PersistentVolumeClaim]{
		Create: func(_ context.Context, c *corev1.PersistentVolumeClaim) { c.Status.Phase = corev1.ClaimPending },
		Validate: func(c *corev1.PersistentVolumeClaim) field.ErrorList {
			return checkClaim(&c.Spec, field.NewPath("spec"))
		},
		ValidateUpdate: validateClaimUpdate,
	})
}

func checkClaim(s *corev1.PersistentVolumeClaimSpec, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	if len(s.AccessModes) == 0 {
		errs = append(errs, field.Required(path.Child("accessModes"), "at least 1 access mode is required"))
	}
	size, ok := s.Resources.Requests[corev1.ResourceStorage]
	at := path.Child("resources", "requests").Key(string(corev1.ResourceStorage))
	switch {
	case !ok:
		errs = append(errs, field.Required(at, ""))
	case size.Sign() <= 0:
		errs = append(errs, field.Invalid(at, size.String(), "must be greater than zero"))
	}
	return errs
}

// validateClaimUpdate lets a claim grow, be bound, and be given a class; the rest is settled when it is made.
func validateClaimUpdate(c, old *corev1.PersistentVolumeClaim) field.ErrorList {
	may := c.Spec.DeepCopy()
	may.Resources.Requests, may.VolumeAttributesClassName = old.Spec.Resources.Requests, old.Spec.VolumeAttributesClassName
	if old.Spec.VolumeName == "" {
		may.VolumeName = ""
	}
	if old.Spec.StorageClassName == nil {
		may.StorageClassName = nil
	}
	var errs field.ErrorList
	if !apiequality.Semantic.DeepEqual(*may, old.Spec) {
		errs = append(errs, field.Forbidden(field.NewPath("spec"), "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims"))
	}
	now, was := c.Spec.Resources.Requests[corev1.ResourceStorage], old.Spec.Resources.Requests[corev1.ResourceStorage]
	if now.Cmp(was) < 0 {
		errs = append(errs, field.Forbidden(field.NewPath("spec", "resources", "requests", "storage"), "field can not be less than status.capacity"))
	}
	return errs
}
