package core

import (
	"net"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/portico-api/portico/delegation/registry"
	"github.com/portico-api/portico/delegation/registry/declare"
)

func endpoints() registry.Resource {
	strategy := declare.Rules[*corev1.Endpoints]{
		SetDefaults: defaultEndpoints,
		Validate:    validateEndpoints,
	}.Strategy()
	strategy.AllowUnconditionalUpdate = true
	strategy.AllowCreateOnUpdate = true
	return registry.Resource{
		GroupVersion: corev1.SchemeGroupVersion,
		Kind:         "Endpoints",
		Name:         "endpoints",
		SingularName: "endpoints",
		ShortNames:   []string{"ep"},
		Namespaced:   true,
		Path:         "services/endpoints",
		New:          func() runtime.Object { return &corev1.Endpoints{} },
		NewList:      func() runtime.Object { return &corev1.EndpointsList{} },
		Strategy:     strategy,
		Table: declare.Table(func(e *corev1.Endpoints) []any {
			return []any{e.Name, endpointsCell(e.Subsets), declare.Age(&e.ObjectMeta)}
		}, declare.NameColumn(), declare.Column("Endpoints", corev1.Endpoints{}.SwaggerDoc()["subsets"]), declare.AgeColumn()),
	}
}

func defaultEndpoints(e *corev1.Endpoints) {
	for i := range e.Subsets {
		for j := range e.Subsets[i].Ports {
			if port := &e.Subsets[i].Ports[j]; port.Protocol == "" {
				port.Protocol = corev1.ProtocolTCP
			}
		}
	}
}

func validateEndpoints(e *corev1.Endpoints) field.ErrorList {
	var errs field.ErrorList
	for i, subset := range e.Subsets {
		path := field.NewPath("subsets").Index(i)
		if len(subset.Addresses) == 0 && len(subset.NotReadyAddresses) == 0 {
			errs = append(errs, field.Required(path, "must specify `addresses` or `notReadyAddresses`"))
		}
		for j, address := range subset.Addresses {
			errs = append(errs, validateEndpointAddress(address, path.Child("addresses").Index(j))...)
		}
		for j, address := range subset.NotReadyAddresses {
			errs = append(errs, validateEndpointAddress(address, path.Child("notReadyAddresses").Index(j))...)
		}
		names := make(map[string]bool)
		for j, port := range subset.Ports {
			at := path.Child("ports").Index(j)
			errs = append(errs, validatePortName(port.Name, len(subset.Ports) > 1, names, at.Child("name"))...)
			errs = append(errs, declare.Invalid(validation.IsValidPortNum(int(port.Port)), at.Child("port"), port.Port)...)
			errs = append(errs, validateProtocol(port.Protocol, at.Child("protocol"))...)
			errs = append(errs, validateAppProtocol(port.AppProtocol, at.Child("appProtocol"))...)
		}
	}
	return errs
}

func validateEndpointAddress(address corev1.EndpointAddress, path *field.Path) field.ErrorList {
	errs := validateEndpointIP(address.IP, path.Child("ip"))
	if address.Hostname != "" {
		errs = append(errs, declare.Invalid(validation.IsDNS1123Label(address.Hostname), path.Child("hostname"), address.Hostname)...)
	}
	return errs
}

// endpointsCell shows the first three ready endpoints and how many more there are.
func endpointsCell(subsets []corev1.EndpointSubset) string {
	const shown = 3
	var all []string
	for _, subset := range subsets {
		for _, address := range subset.Addresses {
			if len(subset.Ports) == 0 {
				all = append(all, address.IP)
			}
			for _, port := range subset.Ports {
				all = append(all, net.JoinHostPort(address.IP, strconv.Itoa(int(port.Port))))
			}
		}
	}
	return firstOf(all, shown, declare.NoneCell)
}

// firstOf joins the first n values, and tells how many follow.
func firstOf(all []string, n int, none string) string {
	if len(all) == 0 {
		return none
	}
	if len(all) <= n {
		return strings.Join(all, ",")
	}
	return strings.Join(all[:n], ",") + " + " + strconv.Itoa(len(all)-n) + " more..."
}
