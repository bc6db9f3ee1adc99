package core

import (
	"context"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/portico-api/portico/delegation/registry"
	"github.com/portico-api/portico/delegation/registry/declare"
)

func services() registry.Resource {
	strategy := declare.Rules[*corev1.Service]{
		SetDefaults:    defaultService,
		Create:         func(_ context.Context, s *corev1.Service) { s.Status = corev1.ServiceStatus{}; defaultAddress(s) },
		Update:         updateService,
		Validate:       validateService,
		ValidateUpdate: validateServiceUpdate,
	}.Strategy()
	strategy.AllowUnconditionalUpdate = true
	strategy.AllowCreateOnUpdate = true
	strategy.ValidateName = dns1035Label
	return registry.Resource{
		GroupVersion: corev1.SchemeGroupVersion,
		Kind:         "Service",
		Name:         "services",
		SingularName: "service",
		ShortNames:   []string{"svc"},
		Categories:   []string{"all"},
		Namespaced:   true,
		Path:         "services/specs",
		New:          func() runtime.Object { return &corev1.Service{} },
		NewList:      func() runtime.Object { return &corev1.ServiceList{} },
		Strategy:     strategy,
		Status:       true,
		Table: declare.Table(serviceCells, declare.NameColumn(),
			declare.Column("Type", corev1.ServiceSpec{}.SwaggerDoc()["type"]),
			declare.Column("Cluster-IP", corev1.ServiceSpec{}.SwaggerDoc()["clusterIP"]),
			declare.Column("External-IP", corev1.ServiceSpec{}.SwaggerDoc()["externalIPs"]),
			declare.Column("Port(s)", corev1.ServiceSpec{}.SwaggerDoc()["ports"]),
			declare.AgeColumn(),
			declare.Wide(declare.Column("Selector", corev1.ServiceSpec{}.SwaggerDoc()["selector"]))),
	}
}

func dns1035Label(name string, prefix bool) []string {
	return validation.IsDNS1035Label(maskGeneratedName(name, prefix))
}

func dns1123Label(name string, prefix bool) []string {
	return validation.IsDNS1123Label(maskGeneratedName(name, prefix))
}

// maskGeneratedName lets a generateName end in a dash: characters that may stand there follow it.
func maskGeneratedName(name string, prefix bool) string {
	if prefix && strings.HasSuffix(name, "-") {
		return name[:len(name)-1] + "a"
	}
	return name
}

func defaultService(s *corev1.Service) {
	spec := &s.Spec
	if spec.Type == "" {
		spec.Type = corev1.ServiceTypeClusterIP
	}
	if spec.SessionAffinity == "" {
		spec.SessionAffinity = corev1.ServiceAffinityNone
	}
	if spec.SessionAffinity == corev1.ServiceAffinityClientIP && (spec.SessionAffinityConfig == nil ||
		spec.SessionAffinityConfig.ClientIP == nil || spec.SessionAffinityConfig.ClientIP.TimeoutSeconds == nil) {
		timeout := corev1.DefaultClientIPServiceAffinitySeconds
		spec.SessionAffinityConfig = &corev1.SessionAffinityConfig{ClientIP: &corev1.ClientIPConfig{TimeoutSeconds: &timeout}}
	}
	for i := range spec.Ports {
		port := &spec.Ports[i]
		if port.Protocol == "" {
			port.Protocol = corev1.ProtocolTCP
		}
		if port.TargetPort == (intstr.IntOrString{}) || port.TargetPort == intstr.FromString("") {
			port.TargetPort = intstr.FromInt32(port.Port)
		}
	}
	if spec.Type != corev1.ServiceTypeExternalName && spec.InternalTrafficPolicy == nil {
		cluster := corev1.ServiceInternalTrafficPolicyCluster
		spec.InternalTrafficPolicy = &cluster
	}
	if spec.Type == corev1.ServiceTypeNodePort || spec.Type == corev1.ServiceTypeLoadBalancer {
		if spec.ExternalTrafficPolicy == "" {
			spec.ExternalTrafficPolicy = corev1.ServiceExternalTrafficPolicyCluster
		}
	}
	if spec.Type == corev1.ServiceTypeLoadBalancer && spec.AllocateLoadBalancerNodePorts == nil {
		allocate := true
		spec.AllocateLoadBalancerNodePorts = &allocate
	}
}

// defaultAddress makes a Service of type ClusterIP headless unless its author gave it an address.
// There is no node network and nothing that would translate a virtual address, so inventing one
// would promise what nobody keeps; "None" is the API's own word for "a Service means its
// endpoints", which is how Portico and every client of a headless Service treat it. A NodePort or
// LoadBalancer may not be headless, and stays without an address.
func defaultAddress(s *corev1.Service) {
	spec := &s.Spec
	if spec.Type == corev1.ServiceTypeClusterIP && spec.ClusterIP == "" && len(spec.ClusterIPs) == 0 {
		spec.ClusterIP = corev1.ClusterIPNone
	}
	switch {
	case len(spec.ClusterIPs) == 0 && spec.ClusterIP != "":
		spec.ClusterIPs = []string{spec.ClusterIP}
	case len(spec.ClusterIPs) > 0 && spec.ClusterIP == "":
		spec.ClusterIP = spec.ClusterIPs[0]
	}
}

// updateService keeps status, and the address when the client sent none: who applies the manifest
// that created the Service does not ask for its address to go.
func updateService(_ context.Context, s, old *corev1.Service) {
	s.Status = old.Status
	hadAddress, takesAddress := old.Spec.Type != corev1.ServiceTypeExternalName, s.Spec.Type != corev1.ServiceTypeExternalName
	headless := old.Spec.ClusterIP == corev1.ClusterIPNone
	switch {
	case headless && s.Spec.ClusterIP == corev1.ClusterIPNone && needsAddress(s):
		// A patch of the type carries along what defaultAddress gave, and its author did not ask for. One that was headless on
		// purpose cannot be told from it.
		s.Spec.ClusterIP, s.Spec.ClusterIPs = "", nil
	case hadAddress && takesAddress && !(headless && needsAddress(s)):
		if s.Spec.ClusterIP == "" && len(s.Spec.ClusterIPs) == 0 {
			s.Spec.ClusterIP = old.Spec.ClusterIP
			s.Spec.ClusterIPs = old.Spec.ClusterIPs
		}
	case hadAddress && !takesAddress && s.Spec.ClusterIP == old.Spec.ClusterIP:
		// The type turned to ExternalName in a read-modify-write that carried the address along.
		s.Spec.ClusterIP, s.Spec.ClusterIPs = "", nil
	}
	defaultAddress(s)
}

func serviceCells(s *corev1.Service) []any {
	address := declare.NoneCell
	if len(s.Spec.ClusterIPs) > 0 {
		address = s.Spec.ClusterIPs[0]
	}
	selector := declare.NoneCell
	if len(s.Spec.Selector) > 0 {
		selector = labelsCell(s.Spec.Selector)
	}
	return []any{s.Name, string(s.Spec.Type), address, externalAddresses(s), servicePorts(s.Spec.Ports), declare.Age(&s.ObjectMeta), selector}
}

func externalAddresses(s *corev1.Service) string {
	addresses := s.Spec.ExternalIPs
	switch s.Spec.Type {
	case corev1.ServiceTypeExternalName:
		return s.Spec.ExternalName
	case corev1.ServiceTypeLoadBalancer:
		var ingress []string
		for _, i := range s.Status.LoadBalancer.Ingress {
			if i.IP != "" {
				ingress = append(ingress, i.IP)
			} else if i.Hostname != "" {
				ingress = append(ingress, i.Hostname)
			}
		}
		addresses = append(ingress, addresses...)
		if len(addresses) == 0 {
			return "<pending>"
		}
	}
	if len(addresses) == 0 {
		return declare.NoneCell
	}
	return strings.Join(addresses, ",")
}

func servicePorts(ports []corev1.ServicePort) string {
	if len(ports) == 0 {
		return declare.NoneCell
	}
	cells := make([]string, len(ports))
	for i, port := range ports {
		if port.NodePort > 0 {
			cells[i] = fmt.Sprintf("%d:%d/%s", port.Port, port.NodePort, port.Protocol)
		} else {
			cells[i] = fmt.Sprintf("%d/%s", port.Port, port.Protocol)
		}
	}
	return strings.Join(cells, ",")
}

// needsAddress tells whether a Service may not be headless.
func needsAddress(s *corev1.Service) bool {
	return s.Spec.Type == corev1.ServiceTypeNodePort || s.Spec.Type == corev1.ServiceTypeLoadBalancer
}
