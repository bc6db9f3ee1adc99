package workload

import (
	"fmt"
	"reflect"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metavalidation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/portico-api/portico/delegation/registry/declare"
)

// addPodChecks says what holds of pods and their parts beyond their shape.
func addPodChecks(r *rules) {
	holds(r, checkPodSpec)
	holds(r, func(t *corev1.PodTemplateSpec, path *field.Path) field.ErrorList {
		return metavalidation.ValidateLabels(t.Labels, path.Child("metadata", "labels"))
	})
	holds(r, checkContainer)
	holds(r, func(c *corev1.EphemeralContainerCommon, path *field.Path) field.ErrorList {
		return checkContainer((*corev1.Container)(c), path)
	})
	holds(r, func(p *corev1.ContainerPort, path *field.Path) field.ErrorList {
		errs := checkPort(p.ContainerPort, path.Child("containerPort"))
		if p.HostPort != 0 {
			errs = append(errs, checkPort(p.HostPort, path.Child("hostPort"))...)
		}
		if p.Name != "" {
			errs = append(errs, declare.Invalid(validation.IsValidPortName(p.Name), path.Child("name"), p.Name)...)
		}
		return errs
	})
	holds(r, checkProbe)
	holds(r, func(a *corev1.HTTPGetAction, path *field.Path) field.ErrorList {
		return checkTarget(a.Port, path.Child("port"))
	})
	holds(r, func(a *corev1.TCPSocketAction, path *field.Path) field.ErrorList {
		return checkTarget(a.Port, path.Child("port"))
	})
	holds(r, checkResources)
	holds(r, func(v *corev1.Volume, path *field.Path) field.ErrorList {
		return append(declare.Invalid(validation.IsDNS1123Label(v.Name), path.Child("name"), v.Name), checkOneSource(&v.VolumeSource, path)...)
	})
	holds(r, func(s *metav1.LabelSelector, path *field.Path) field.ErrorList {
		return metavalidation.ValidateLabelSelector(s, metavalidation.LabelSelectorValidationOptions{}, path)
	})
}

func checkPodSpec(s *corev1.PodSpec, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	names, volumes := map[string]bool{}, map[string]bool{}
	for i, v := range s.Volumes {
		errs = append(errs, checkUnique(volumes, v.Name, path.Child("volumes").Index(i).Child("name"))...)
	}
	each := func(list string, containers []corev1.Container) {
		for i := range containers {
			at := path.Child(list).Index(i)
			errs = append(errs, checkUnique(names, containers[i].Name, at.Child("name"))...)
			for j, mount := range containers[i].VolumeMounts {
				if mount.Name != "" && !volumes[mount.Name] {
					errs = append(errs, field.NotFound(at.Child("volumeMounts").Index(j).Child("name"), mount.Name))
				}
			}
		}
	}
	each("containers", s.Containers)
	each("initContainers", s.InitContainers)
	if s.TerminationGracePeriodSeconds != nil && *s.TerminationGracePeriodSeconds < 0 {
		errs = append(errs, field.Invalid(path.Child("terminationGracePeriodSeconds"), *s.TerminationGracePeriodSeconds, "must be greater than or equal to 0"))
	}
	if d := s.ActiveDeadlineSeconds; d != nil && *d < 1 {
		errs = append(errs, field.Invalid(path.Child("activeDeadlineSeconds"), *d, "must be greater than or equal to 1"))
	}
	if s.ServiceAccountName != "" {
		errs = append(errs, declare.Invalid(validation.IsDNS1123Subdomain(s.ServiceAccountName), path.Child("serviceAccountName"), s.ServiceAccountName)...)
	}
	if s.NodeName != "" {
		errs = append(errs, declare.Invalid(validation.IsDNS1123Subdomain(s.NodeName), path.Child("nodeName"), s.NodeName)...)
	}
	return append(errs, metavalidation.ValidateLabels(s.NodeSelector, path.Child("nodeSelector"))...)
}

func checkUnique(seen map[string]bool, name string, path *field.Path) field.ErrorList {
	if name != "" && seen[name] {
		return field.ErrorList{field.Duplicate(path, name)}
	}
	seen[name] = true
	return nil
}

func checkContainer(c *corev1.Container, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	if c.Name != "" {
		errs = append(errs, declare.Invalid(validation.IsDNS1123Label(c.Name), path.Child("name"), c.Name)...)
	}
	switch {
	case c.Image == "":
		errs = append(errs, field.Required(path.Child("image"), ""))
	case strings.TrimSpace(c.Image) != c.Image:
		errs = append(errs, field.Invalid(path.Child("image"), c.Image, "must not have leading or trailing whitespace"))
	}
	for i, env := range c.Env {
		at := path.Child("env").Index(i)
		if env.Name != "" {
			errs = append(errs, declare.Invalid(validation.IsRelaxedEnvVarName(env.Name), at.Child("name"), env.Name)...)
		}
		if env.Value != "" && env.ValueFrom != nil {
			errs = append(errs, field.Invalid(at.Child("valueFrom"), "", "may not be specified when `value` is not empty"))
		}
	}
	mounted := map[string]bool{}
	for i, mount := range c.VolumeMounts {
		if mounted[mount.MountPath] {
			errs = append(errs, field.Invalid(path.Child("volumeMounts").Index(i).Child("mountPath"), mount.MountPath, "must be unique"))
		}
		mounted[mount.MountPath] = true
	}
	return errs
}

func checkPort(port int32, path *field.Path) field.ErrorList {
	return declare.Invalid(validation.IsValidPortNum(int(port)), path, port)
}

// checkTarget checks a port by number or by name.
func checkTarget(port intstr.IntOrString, path *field.Path) field.ErrorList {
	if port.Type == intstr.Int {
		return checkPort(port.IntVal, path)
	}
	return declare.Invalid(validation.IsValidPortName(port.StrVal), path, port.StrVal)
}

func checkProbe(p *corev1.Probe, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	switch n := sources(&p.ProbeHandler); {
	case n == 0:
		errs = append(errs, field.Required(path, "must specify a handler type"))
	case n > 1:
		errs = append(errs, field.Forbidden(path, "may not specify more than 1 handler type"))
	}
	for name, n := range map[string]int32{
		"initialDelaySeconds": p.InitialDelaySeconds, "timeoutSeconds": p.TimeoutSeconds, "periodSeconds": p.PeriodSeconds,
		"successThreshold": p.SuccessThreshold, "failureThreshold": p.FailureThreshold,
	} {
		if n < 0 {
			errs = append(errs, field.Invalid(path.Child(name), n, "must be greater than or equal to 0"))
		}
	}
	return errs
}

func checkResources(need *corev1.ResourceRequirements, path *field.Path) field.ErrorList {
	errs := append(checkAmounts(need.Limits, path.Child("limits")), checkAmounts(need.Requests, path.Child("requests"))...)
	for name, asked := range need.Requests {
		if limit, ok := need.Limits[name]; ok && asked.Cmp(limit) > 0 {
			errs = append(errs, field.Invalid(path.Child("requests"), asked.String(), fmt.Sprintf("must be less than or equal to %s limit of %s", name, limit.String())))
		}
	}
	return errs
}

func checkAmounts(list corev1.ResourceList, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for name, amount := range list {
		errs = append(errs, declare.Invalid(validation.IsQualifiedName(string(name)), path, string(name))...)
		if amount.Cmp(resource.Quantity{}) < 0 {
			errs = append(errs, field.Invalid(path.Key(string(name)), amount.String(), "must be greater than or equal to 0"))
		}
	}
	return errs
}

// sources counts what is given of a struct of alternatives.
func sources(of any) int {
	v, n := reflect.ValueOf(of).Elem(), 0
	for i := range v.NumField() {
		if f := v.Field(i); f.Kind() == reflect.Pointer && !f.IsNil() {
			n++
		}
	}
	return n
}

func checkOneSource(of any, path *field.Path) field.ErrorList {
	switch n := sources(of); {
	case n == 0:
		return field.ErrorList{field.Required(path, "must specify a volume type")}
	case n > 1:
		return field.ErrorList{field.Forbidden(path, "may not specify more than 1 volume type")}
	}
	return nil
}
