package workload

import (
	"fmt"
	"net/netip"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/portico-api/portico/delegation/registry/declare"
)

// addKindChecks says what holds of the parts of other kinds beyond their shape.
func addKindChecks(r *rules) {
	holds(r, func(s *appsv1.DeploymentSpec, path *field.Path) field.ErrorList {
		errs := append(notNegative(s.Replicas, path.Child("replicas")), checkTemplate(s.Selector, &s.Template, path)...)
		return append(errs, checkDeploymentStrategy(&s.Strategy, path.Child("strategy"))...)
	})
	holds(r, func(s *appsv1.ReplicaSetSpec, path *field.Path) field.ErrorList {
		return append(notNegative(s.Replicas, path.Child("replicas")), checkTemplate(s.Selector, &s.Template, path)...)
	})
	holds(r, func(s *appsv1.StatefulSetSpec, path *field.Path) field.ErrorList {
		return append(notNegative(s.Replicas, path.Child("replicas")), checkTemplate(s.Selector, &s.Template, path)...)
	})
	holds(r, func(s *appsv1.DaemonSetSpec, path *field.Path) field.ErrorList {
		return checkTemplate(s.Selector, &s.Template, path)
	})
	holds(r, checkAutoscaler)
	addNetworkingChecks(r)
}

func addNetworkingChecks(r *rules) {
	holds(r, func(p *networkingv1.HTTPIngressPath, path *field.Path) field.ErrorList {
		if p.Path != "" && !strings.HasPrefix(p.Path, "/") || p.Path == "" && p.PathType != nil && *p.PathType != networkingv1.PathTypeImplementationSpecific {
			return field.ErrorList{field.Invalid(path.Child("path"), p.Path, "must be an absolute path")}
		}
		return nil
	})
	holds(r, func(b *networkingv1.IngressBackend, path *field.Path) field.ErrorList {
		switch {
		case b.Service != nil && b.Resource != nil:
			return field.ErrorList{field.Invalid(path, "", "cannot set both resource and service backends")}
		case b.Service == nil && b.Resource == nil:
			return field.ErrorList{field.Required(path, "resource or service backend is required")}
		}
		return nil
	})
	holds(r, func(b *networkingv1.IngressServiceBackend, path *field.Path) field.ErrorList {
		port := path.Child("port")
		switch {
		case b.Port.Name != "" && b.Port.Number != 0:
			return field.ErrorList{field.Invalid(path, b.Port, "cannot set both port name & port number")}
		case b.Port.Name != "":
			return declare.Invalid(validation.IsValidPortName(b.Port.Name), port.Child("name"), b.Port.Name)
		case b.Port.Number != 0:
			return checkPort(b.Port.Number, port.Child("number"))
		}
		return field.ErrorList{field.Required(path, "port name or number is required")}
	})
	holds(r, func(rule *networkingv1.IngressRule, path *field.Path) field.ErrorList {
		host := path.Child("host")
		switch {
		case rule.Host == "":
			return nil
		case strings.Contains(rule.Host, "*"):
			return declare.Invalid(validation.IsWildcardDNS1123Subdomain(rule.Host), host, rule.Host)
		}
		return declare.Invalid(validation.IsDNS1123Subdomain(rule.Host), host, rule.Host)
	})
	holds(r, func(b *networkingv1.IPBlock, path *field.Path) field.ErrorList {
		errs := checkCIDR(b.CIDR, path.Child("cidr"))
		for i, except := range b.Except {
			errs = append(errs, checkCIDR(except, path.Child("except").Index(i))...)
		}
		return errs
	})
	holds(r, func(p *networkingv1.NetworkPolicyPort, path *field.Path) field.ErrorList {
		if p.Port == nil {
			return nil
		}
		return checkTarget(*p.Port, path.Child("port"))
	})
}

// checkCIDR lets an empty one pass: that it is required is told elsewhere.
func checkCIDR(cidr string, path *field.Path) field.ErrorList {
	if _, err := netip.ParsePrefix(cidr); cidr != "" && err != nil {
		return field.ErrorList{field.Invalid(path, cidr, "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)")}
	}
	return nil
}

func notNegative(n *int32, path *field.Path) field.ErrorList {
	if n != nil && *n < 0 {
		return field.ErrorList{field.Invalid(path, *n, "must be greater than or equal to 0")}
	}
	return nil
}

// checkTemplate holds a set of pods together: what it selects is what it makes, and that is restarted for ever.
func checkTemplate(selector *metav1.LabelSelector, template *corev1.PodTemplateSpec, path *field.Path) field.ErrorList {
	errs := checkRestart(template, path, corev1.RestartPolicyAlways)
	if selector == nil {
		return errs
	}
	if len(selector.MatchLabels)+len(selector.MatchExpressions) == 0 {
		return append(errs, field.Invalid(path.Child("selector"), selector, "empty selector is invalid"))
	}
	// A selector that cannot be parsed is told of where it is checked itself.
	if parsed, err := metav1.LabelSelectorAsSelector(selector); err == nil {
		errs = append(errs, checkSelected(parsed, template, path)...)
	}
	return errs
}

func checkSelected(selector labels.Selector, template *corev1.PodTemplateSpec, path *field.Path) field.ErrorList {
	if selector.Matches(labels.Set(template.Labels)) {
		return nil
	}
	return field.ErrorList{field.Invalid(path.Child("template", "metadata", "labels"), template.Labels, "`selector` does not match template `labels`")}
}

func checkRestart(template *corev1.PodTemplateSpec, path *field.Path, allowed ...corev1.RestartPolicy) field.ErrorList {
	return declare.OneOf(&template.Spec.RestartPolicy, path.Child("template", "spec", "restartPolicy"), allowed...)
}

func checkDeploymentStrategy(s *appsv1.DeploymentStrategy, path *field.Path) field.ErrorList {
	update := s.RollingUpdate
	at := path.Child("rollingUpdate")
	switch {
	case s.Type == appsv1.RecreateDeploymentStrategyType && update != nil:
		return field.ErrorList{field.Forbidden(at, "may not be specified when strategy `type` is 'Recreate'")}
	case update == nil:
		return nil
	}
	errs := append(checkShare(update.MaxUnavailable, at.Child("maxUnavailable")), checkShare(update.MaxSurge, at.Child("maxSurge"))...)
	if len(errs) == 0 && isNothing(update.MaxUnavailable) && isNothing(update.MaxSurge) {
		errs = append(errs, field.Invalid(at.Child("maxUnavailable"), update.MaxUnavailable, "may not be 0 when `maxSurge` is 0"))
	}
	return errs
}

// checkShare checks a number of pods, or a percentage of them.
func checkShare(share *intstr.IntOrString, path *field.Path) field.ErrorList {
	switch {
	case share == nil:
		return nil
	case share.Type == intstr.String:
		return declare.Invalid(validation.IsValidPercent(share.StrVal), path, share.StrVal)
	}
	return notNegative(&share.IntVal, path)
}

func isNothing(share *intstr.IntOrString) bool {
	if share == nil {
		return true
	}
	n, err := intstr.GetScaledValueFromIntOrPercent(share, 100, true)
	return err == nil && n == 0
}

func checkAutoscaler(s *autoscalingv2.HorizontalPodAutoscalerSpec, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	if s.MaxReplicas < 1 {
		errs = append(errs, field.Invalid(path.Child("maxReplicas"), s.MaxReplicas, "must be greater than 0"))
	}
	switch {
	case s.MinReplicas == nil:
	case *s.MinReplicas < 1:
		errs = append(errs, field.Invalid(path.Child("minReplicas"), *s.MinReplicas, "must be greater than or equal to 1"))
	case *s.MinReplicas > s.MaxReplicas:
		errs = append(errs, field.Invalid(path.Child("maxReplicas"), s.MaxReplicas, "must be greater than or equal to `minReplicas`"))
	}
	for i := range s.Metrics {
		m := &s.Metrics[i]
		given := map[autoscalingv2.MetricSourceType]bool{
			autoscalingv2.ObjectMetricSourceType: m.Object != nil, autoscalingv2.PodsMetricSourceType: m.Pods != nil,
			autoscalingv2.ResourceMetricSourceType: m.Resource != nil, autoscalingv2.ExternalMetricSourceType: m.External != nil,
			autoscalingv2.ContainerResourceMetricSourceType: m.ContainerResource != nil,
		}
		at := path.Child("metrics").Index(i)
		if has, known := given[m.Type]; known && !has {
			name := strings.ToLower(string(m.Type[:1])) + string(m.Type[1:])
			errs = append(errs, field.Required(at.Child(name), fmt.Sprintf("must populate information for the given metric source (%s)", m.Type)))
		}
		if sources(m) > 1 {
			errs = append(errs, field.Forbidden(at, "must populate the given metric source only"))
		}
	}
	return errs
}
