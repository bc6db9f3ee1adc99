package core

import (
	"net"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1validation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/portico-api/portico/delegation/registry/declare"
)

// This file holds the rules that services, endpoints and endpoint slices share.

func validateLabels(labels map[string]string, path *field.Path) field.ErrorList {
	return metav1validation.ValidateLabels(labels, path)
}

func validateAddress(ip string, path *field.Path) field.ErrorList {
	return validation.IsValidIP(path, ip)
}

func validateProtocol(protocol corev1.Protocol, path *field.Path) field.ErrorList {
	known := []corev1.Protocol{corev1.ProtocolTCP, corev1.ProtocolUDP, corev1.ProtocolSCTP}
	if protocol == "" {
		return field.ErrorList{field.Required(path, "")}
	}
	if !slices.Contains(known, protocol) {
		return field.ErrorList{field.NotSupported(path, protocol, known)}
	}
	return nil
}

// validatePortName checks one name of a list of ports, and that no other port of seen has it.
func validatePortName(name string, required bool, seen map[string]bool, path *field.Path) field.ErrorList {
	switch {
	case name == "" && required:
		return field.ErrorList{field.Required(path, "")}
	case name == "":
		return nil
	case seen[name]:
		return field.ErrorList{field.Duplicate(path, name)}
	}
	seen[name] = true
	return declare.Invalid(validation.IsDNS1123Label(name), path, name)
}

func validateAppProtocol(protocol *string, path *field.Path) field.ErrorList {
	if protocol == nil {
		return nil
	}
	return declare.Invalid(validation.IsQualifiedName(*protocol), path, *protocol)
}

func labelsCell(set map[string]string) string {
	pairs := make([]string, 0, len(set))
	for _, key := range sets.List(sets.KeySet(set)) {
		pairs = append(pairs, key+"="+set[key])
	}
	return strings.Join(pairs, ",")
}

// validateEndpointIP accepts loopback addresses, which a node network cannot mean: here Portico
// itself connects to endpoints, and an extension API server beside it is a usual one.
func validateEndpointIP(ip string, path *field.Path) field.ErrorList {
	if errs := validateAddress(ip, path); len(errs) > 0 {
		return errs
	}
	parsed := net.ParseIP(ip)
	switch {
	case parsed.IsUnspecified():
		return field.ErrorList{field.Invalid(path, ip, "may not be unspecified (0.0.0.0 or ::)")}
	case parsed.IsLinkLocalUnicast():
		return field.ErrorList{field.Invalid(path, ip, "may not be in the link-local range (169.254.0.0/16, fe80::/10)")}
	case parsed.IsMulticast():
		return field.ErrorList{field.Invalid(path, ip, "may not be in a multicast range (224.0.0.0/4, ff00::/8)")}
	}
	return nil
}
