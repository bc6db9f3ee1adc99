package core

import (
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/portico-api/portico/delegation/registry/declare"
)

func validateService(s *corev1.Service) field.ErrorList {
	spec := field.NewPath("spec")
	var errs field.ErrorList
	switch s.Spec.Type {
	case corev1.ServiceTypeClusterIP, corev1.ServiceTypeNodePort, corev1.ServiceTypeLoadBalancer:
		errs = append(errs, validateAddresses(s, spec)...)
	case corev1.ServiceTypeExternalName:
		errs = append(errs, validateExternalName(s, spec)...)
	default:
		errs = append(errs, field.NotSupported(spec.Child("type"), s.Spec.Type, []corev1.ServiceType{
			corev1.ServiceTypeClusterIP, corev1.ServiceTypeNodePort, corev1.ServiceTypeLoadBalancer, corev1.ServiceTypeExternalName}))
	}
	if a := s.Spec.SessionAffinity; a != corev1.ServiceAffinityNone && a != corev1.ServiceAffinityClientIP {
		errs = append(errs, field.NotSupported(spec.Child("sessionAffinity"), a, []corev1.ServiceAffinity{corev1.ServiceAffinityNone, corev1.ServiceAffinityClientIP}))
	}
	errs = append(errs, validateLabels(s.Spec.Selector, spec.Child("selector"))...)
	for i, ip := range s.Spec.ExternalIPs {
		errs = append(errs, validateAddress(ip, spec.Child("externalIPs").Index(i))...)
	}
	if len(s.Spec.Ports) == 0 && s.Spec.ClusterIP != corev1.ClusterIPNone && s.Spec.Type != corev1.ServiceTypeExternalName {
		errs = append(errs, field.Required(spec.Child("ports"), ""))
	}
	return append(errs, validateServicePorts(s.Spec.Ports, spec.Child("ports"))...)
}

func validateAddresses(s *corev1.Service, spec *field.Path) field.ErrorList {
	var errs field.ErrorList
	if s.Spec.ClusterIP == corev1.ClusterIPNone && s.Spec.Type != corev1.ServiceTypeClusterIP {
		errs = append(errs, field.Invalid(spec.Child("clusterIPs").Index(0), s.Spec.ClusterIP,
			fmt.Sprintf("may not be set to 'None' for %s services", s.Spec.Type)))
	}
	if len(s.Spec.ClusterIPs) > 2 {
		errs = append(errs, field.Invalid(spec.Child("clusterIPs"), s.Spec.ClusterIPs, "may only hold up to 2 values"))
	}
	if len(s.Spec.ClusterIPs) > 0 && s.Spec.ClusterIPs[0] != s.Spec.ClusterIP {
		errs = append(errs, field.Invalid(spec.Child("clusterIPs"), s.Spec.ClusterIPs, "first value must match `clusterIP`"))
	}
	for i, ip := range s.Spec.ClusterIPs {
		path := spec.Child("clusterIPs").Index(i)
		if ip == corev1.ClusterIPNone {
			if len(s.Spec.ClusterIPs) > 1 {
				errs = append(errs, field.Invalid(path, ip, "'None' must be the only value"))
			}
			continue
		}
		errs = append(errs, validateAddress(ip, path)...)
	}
	return errs
}

func validateExternalName(s *corev1.Service, spec *field.Path) field.ErrorList {
	var errs field.ErrorList
	if s.Spec.ClusterIP != "" && s.Spec.ClusterIP != corev1.ClusterIPNone {
		errs = append(errs, field.Forbidden(spec.Child("clusterIP"), "may not be set for ExternalName services"))
	}
	name := strings.TrimSuffix(s.Spec.ExternalName, ".")
	if name == "" {
		return append(errs, field.Required(spec.Child("externalName"), ""))
	}
	return append(errs, declare.Invalid(validation.IsDNS1123Subdomain(name), spec.Child("externalName"), s.Spec.ExternalName)...)
}

func validateServicePorts(ports []corev1.ServicePort, path *field.Path) field.ErrorList {
	type number struct {
		protocol corev1.Protocol
		port     int32
	}
	var errs field.ErrorList
	names, numbers := make(map[string]bool), make(map[number]bool)
	for i, port := range ports {
		at := path.Index(i)
		errs = append(errs, validatePortName(port.Name, len(ports) > 1, names, at.Child("name"))...)
		errs = append(errs, declare.Invalid(validation.IsValidPortNum(int(port.Port)), at.Child("port"), port.Port)...)
		errs = append(errs, validateProtocol(port.Protocol, at.Child("protocol"))...)
		if port.TargetPort.Type == intstr.Int {
			errs = append(errs, declare.Invalid(validation.IsValidPortNum(port.TargetPort.IntValue()), at.Child("targetPort"), port.TargetPort.IntValue())...)
		} else {
			errs = append(errs, declare.Invalid(validation.IsValidPortName(port.TargetPort.StrVal), at.Child("targetPort"), port.TargetPort.StrVal)...)
		}
		errs = append(errs, validateAppProtocol(port.AppProtocol, at.Child("appProtocol"))...)
		key := number{port.Protocol, port.Port}
		if numbers[key] {
			errs = append(errs, field.Duplicate(at, fmt.Sprintf("%d/%s", port.Port, port.Protocol)))
		}
		numbers[key] = true
	}
	return errs
}

// validateServiceUpdate keeps an address that was given once: clients have it in their caches.
func validateServiceUpdate(s, old *corev1.Service) field.ErrorList {
	if old.Spec.Type == corev1.ServiceTypeExternalName || s.Spec.Type == corev1.ServiceTypeExternalName || old.Spec.ClusterIP == "" {
		return nil
	}
	headlessNoMore := old.Spec.ClusterIP == corev1.ClusterIPNone && s.Spec.ClusterIP == "" && s.Spec.Type != corev1.ServiceTypeClusterIP
	if s.Spec.ClusterIP != old.Spec.ClusterIP && !headlessNoMore {
		return field.ErrorList{field.Invalid(field.NewPath("spec", "clusterIPs").Index(0), s.Spec.ClusterIP, "may not change once set")}
	}
	return nil
}
