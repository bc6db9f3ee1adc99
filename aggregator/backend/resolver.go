package backend

import (
	"fmt"
	"net"
	"slices"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
)

// Resolver turns a service and a port into the addresses of its ready endpoints.
type Resolver struct {
	services Services
	self     string
}

// NewResolver returns a resolver that reads services. self is the host:port under which this
// server is reached itself: it stands for default/kubernetes:443, the service that API clients
// find in every cluster; empty leaves that service to its endpoints.
func NewResolver(services Services, self string) *Resolver {
	return &Resolver{services: services, self: self}
}

// Resolve returns the addresses (host:port, at least one) of ref, or an *Unresolved.
func (r *Resolver) Resolve(ref ServiceReference) ([]string, error) {
	return r.read(ref).addresses(ref)
}

// facts are the objects that decide where a service is.
type facts struct {
	self      string
	service   *corev1.Service
	slices    []*discoveryv1.EndpointSlice
	endpoints *corev1.Endpoints
}

// read gathers what is known of ref now. Endpoints are only looked at when there are no slices:
// nothing mirrors one into the other here, and who writes both means the slices.
func (r *Resolver) read(ref ServiceReference) facts {
	if r.self != "" && ref == (ServiceReference{Namespace: "default", Name: "kubernetes", Port: 443}) {
		return facts{self: r.self}
	}
	service, ok := r.services.Service(ref.Namespace, ref.Name)
	if !ok {
		return facts{}
	}
	f := facts{service: service}
	if service.Spec.Type == corev1.ServiceTypeExternalName {
		return f
	}
	f.slices = r.services.EndpointSlices(ref.Namespace, ref.Name)
	if len(f.slices) == 0 {
		if endpoints, ok := r.services.Endpoints(ref.Namespace, ref.Name); ok {
			f.endpoints = endpoints
		}
	}
	return f
}

// same tells whether g would give the same addresses as f.
func (f facts) same(g facts) bool {
	return f.self == g.self && f.service == g.service && f.endpoints == g.endpoints && slices.Equal(f.slices, g.slices)
}

func (f facts) addresses(ref ServiceReference) ([]string, error) {
	if f.self != "" {
		return []string{f.self}, nil
	}
	if f.service == nil {
		return nil, unresolved(ReasonServiceNotFound, ref, "is not present")
	}
	if f.service.Spec.Type == corev1.ServiceTypeExternalName {
		if f.service.Spec.ExternalName == "" {
			return nil, unresolved(ReasonServiceAccessError, ref, "cannot be checked due to: its type is ExternalName, but spec.externalName is empty")
		}
		return []string{join(f.service.Spec.ExternalName, ref.Port)}, nil
	}
	port, ok := portName(f.service, ref.Port)
	if !ok {
		return nil, unresolved(ReasonServicePortError, ref, "is not listening on port %d", ref.Port)
	}

	var kind string
	var found []string
	switch {
	case len(f.slices) > 0:
		kind, found = "endpointslices", sliceAddresses(f.slices, port, preferredFamily(f.service))
	case f.endpoints != nil:
		kind, found = "endpoints", subsetAddresses(f.endpoints.Subsets, port)
	default:
		return nil, &Unresolved{
			Reason:  ReasonEndpointsNotFound,
			Message: fmt.Sprintf("cannot find endpointslices for service/%s in %q", ref.Name, ref.Namespace),
		}
	}
	if len(found) == 0 {
		return nil, &Unresolved{
			Reason:  ReasonMissingEndpoints,
			Message: fmt.Sprintf("%s for service/%s in %q have no addresses with port name %q", kind, ref.Name, ref.Namespace, port),
		}
	}
	return found, nil
}

// portName is the name by which the endpoints know the service's port.
func portName(service *corev1.Service, number int32) (string, bool) {
	for i := range service.Spec.Ports {
		if service.Spec.Ports[i].Port == number {
			return service.Spec.Ports[i].Name, true
		}
	}
	return "", false
}

// preferredFamily is the address type of the service's first IP family.
func preferredFamily(service *corev1.Service) discoveryv1.AddressType {
	if len(service.Spec.IPFamilies) == 0 {
		return ""
	}
	return discoveryv1.AddressType(service.Spec.IPFamilies[0])
}

// sliceAddresses lists the ready endpoints that serve port and, only when there are none, those that are on their way out and still
// serve: the last replica of a service that is replaced answers to its end. When the preferred family has any,
// the others are left out: in a dual-stack service they are the same backends once more.
func sliceAddresses(slices []*discoveryv1.EndpointSlice, port string, preferred discoveryv1.AddressType) []string {
	if ready := addressesOf(slices, port, preferred, isReady); len(ready) > 0 {
		return ready
	}
	return addressesOf(slices, port, preferred, stillServes)
}

func addressesOf(slices []*discoveryv1.EndpointSlice, port string, preferred discoveryv1.AddressType, wanted func(*discoveryv1.EndpointConditions) bool) []string {
	var first, rest []string
	for _, slice := range slices {
		number, ok := slicePort(slice, port)
		if !ok {
			continue
		}
		for i := range slice.Endpoints {
			e := &slice.Endpoints[i]
			// Its addresses are one backend's, interchangeable, and consumers use the first.
			if len(e.Addresses) == 0 || !wanted(&e.Conditions) {
				continue
			}
			address := join(e.Addresses[0], number)
			if slice.AddressType == preferred {
				first = appendNew(first, address)
			} else {
				rest = appendNew(rest, address)
			}
		}
	}
	if len(first) > 0 {
		return first
	}
	return rest
}

// isReady tells whether an endpoint is; one that does not say is (contract, 5.2).
func isReady(c *discoveryv1.EndpointConditions) bool { return c.Ready == nil || *c.Ready }

func stillServes(c *discoveryv1.EndpointConditions) bool {
	return c.Serving != nil && *c.Serving && c.Terminating != nil && *c.Terminating
}

func slicePort(slice *discoveryv1.EndpointSlice, name string) (int32, bool) {
	for _, p := range slice.Ports {
		got := ""
		if p.Name != nil {
			got = *p.Name
		}
		if got == name && p.Port != nil {
			return *p.Port, true
		}
	}
	return 0, false
}

// subsetAddresses lists the ready addresses of an Endpoints object that serve port.
func subsetAddresses(subsets []corev1.EndpointSubset, port string) []string {
	var found []string
	for i := range subsets {
		for _, p := range subsets[i].Ports {
			if p.Name != port {
				continue
			}
			for _, a := range subsets[i].Addresses {
				found = appendNew(found, join(a.IP, p.Port))
			}
		}
	}
	return found
}

func appendNew(list []string, address string) []string {
	if slices.Contains(list, address) {
		return list
	}
	return append(list, address)
}

func join(host string, port int32) string {
	return net.JoinHostPort(host, strconv.Itoa(int(port)))
}
