package core

import (
	"fmt"
	"net"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/portico-api/portico/delegation/registry"
	"github.com/portico-api/portico/delegation/registry/declare"
)

// Bounds of one slice; a service with more endpoints has several slices.
const (
	maxSliceEndpoints = 1000
	maxSlicePorts     = 20000
	maxAddresses      = 100
)

func endpointSlices() registry.Resource {
	strategy := declare.Rules[*discoveryv1.EndpointSlice]{
		SetDefaults:    defaultEndpointSlice,
		Validate:       validateEndpointSlice,
		ValidateUpdate: validateEndpointSliceUpdate,
	}.Strategy()
	strategy.Generation = true
	strategy.AllowUnconditionalUpdate = true
	return registry.Resource{
		GroupVersion: discoveryv1.SchemeGroupVersion,
		Kind:         "EndpointSlice",
		Name:         "endpointslices",
		SingularName: "endpointslice",
		Namespaced:   true,
		New:          func() runtime.Object { return &discoveryv1.EndpointSlice{} },
		NewList:      func() runtime.Object { return &discoveryv1.EndpointSliceList{} },
		Strategy:     strategy,
		Table: declare.Table(func(s *discoveryv1.EndpointSlice) []any {
			return []any{s.Name, string(s.AddressType), slicePortsCell(s.Ports), sliceEndpointsCell(s.Endpoints), declare.Age(&s.ObjectMeta)}
		}, declare.NameColumn(),
			declare.Column("AddressType", discoveryv1.EndpointSlice{}.SwaggerDoc()["addressType"]),
			declare.Column("Ports", discoveryv1.EndpointSlice{}.SwaggerDoc()["ports"]),
			declare.Column("Endpoints", discoveryv1.EndpointSlice{}.SwaggerDoc()["endpoints"]),
			declare.AgeColumn()),
	}
}

func defaultEndpointSlice(s *discoveryv1.EndpointSlice) {
	for i := range s.Ports {
		port := &s.Ports[i]
		if port.Name == nil {
			port.Name = new(string)
		}
		if port.Protocol == nil {
			tcp := corev1.ProtocolTCP
			port.Protocol = &tcp
		}
	}
}

func validateEndpointSlice(s *discoveryv1.EndpointSlice) field.ErrorList {
	var errs field.ErrorList
	kinds := []discoveryv1.AddressType{discoveryv1.AddressTypeIPv4, discoveryv1.AddressTypeIPv6, discoveryv1.AddressTypeFQDN}
	switch s.AddressType {
	case discoveryv1.AddressTypeIPv4, discoveryv1.AddressTypeIPv6, discoveryv1.AddressTypeFQDN:
	case "":
		errs = append(errs, field.Required(field.NewPath("addressType"), ""))
	default:
		errs = append(errs, field.NotSupported(field.NewPath("addressType"), s.AddressType, kinds))
	}

	endpoints := field.NewPath("endpoints")
	if len(s.Endpoints) > maxSliceEndpoints {
		return append(errs, field.TooMany(endpoints, len(s.Endpoints), maxSliceEndpoints))
	}
	for i := range s.Endpoints {
		errs = append(errs, validateSliceEndpoint(&s.Endpoints[i], s.AddressType, endpoints.Index(i))...)
	}
	return append(errs, validateSlicePorts(s.Ports, field.NewPath("ports"))...)
}

func validateSliceEndpoint(e *discoveryv1.Endpoint, kind discoveryv1.AddressType, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	addresses := path.Child("addresses")
	switch {
	case len(e.Addresses) == 0:
		errs = append(errs, field.Required(addresses, "must contain at least 1 address"))
	case len(e.Addresses) > maxAddresses:
		errs = append(errs, field.TooMany(addresses, len(e.Addresses), maxAddresses))
	}
	for i, address := range e.Addresses {
		errs = append(errs, validateSliceAddress(address, kind, addresses.Index(i))...)
	}
	if e.Hostname != nil {
		errs = append(errs, declare.Invalid(validation.IsDNS1123Label(*e.Hostname), path.Child("hostname"), *e.Hostname)...)
	}
	if e.NodeName != nil {
		errs = append(errs, declare.Invalid(apivalidation.NameIsDNSSubdomain(*e.NodeName, false), path.Child("nodeName"), *e.NodeName)...)
	}
	return append(errs, validateLabels(e.DeprecatedTopology, path.Child("deprecatedTopology"))...)
}

func validateSliceAddress(address string, kind discoveryv1.AddressType, path *field.Path) field.ErrorList {
	switch kind {
	case discoveryv1.AddressTypeFQDN:
		return validation.IsFullyQualifiedDomainName(path, address)
	case discoveryv1.AddressTypeIPv4, discoveryv1.AddressTypeIPv6:
		if errs := validateEndpointIP(address, path); len(errs) > 0 {
			return errs
		}
		if isIPv4 := net.ParseIP(address).To4() != nil; isIPv4 != (kind == discoveryv1.AddressTypeIPv4) {
			return field.ErrorList{field.Invalid(path, address, fmt.Sprintf("must be an %s address", kind))}
		}
	}
	return nil
}

func validateSlicePorts(ports []discoveryv1.EndpointPort, path *field.Path) field.ErrorList {
	if len(ports) > maxSlicePorts {
		return field.ErrorList{field.TooMany(path, len(ports), maxSlicePorts)}
	}
	var errs field.ErrorList
	names, unnamed := make(map[string]bool), false
	for i, port := range ports {
		at := path.Index(i)
		switch {
		case port.Name != nil && *port.Name != "":
			errs = append(errs, validatePortName(*port.Name, true, names, at.Child("name"))...)
		case unnamed:
			errs = append(errs, field.Duplicate(at.Child("name"), ""))
		default:
			unnamed = true
		}
		if port.Protocol != nil {
			errs = append(errs, validateProtocol(*port.Protocol, at.Child("protocol"))...)
		}
		if port.Port != nil {
			errs = append(errs, declare.Invalid(validation.IsValidPortNum(int(*port.Port)), at.Child("port"), *port.Port)...)
		}
		errs = append(errs, validateAppProtocol(port.AppProtocol, at.Child("appProtocol"))...)
	}
	return errs
}

func validateEndpointSliceUpdate(s, old *discoveryv1.EndpointSlice) field.ErrorList {
	return apivalidation.ValidateImmutableField(s.AddressType, old.AddressType, field.NewPath("addressType"))
}

func slicePortsCell(ports []discoveryv1.EndpointPort) string {
	if len(ports) == 0 {
		return declare.UnsetCell
	}
	all := make([]string, len(ports))
	for i, port := range ports {
		all[i] = "*"
		if port.Port != nil {
			all[i] = strconv.Itoa(int(*port.Port))
		}
	}
	return firstOf(all, 3, declare.UnsetCell)
}

func sliceEndpointsCell(endpoints []discoveryv1.Endpoint) string {
	if len(endpoints) == 0 {
		return declare.UnsetCell
	}
	all := make([]string, len(endpoints))
	for i, endpoint := range endpoints {
		all[i] = strings.Join(endpoint.Addresses, ",")
	}
	return firstOf(all, 3, declare.UnsetCell)
}
