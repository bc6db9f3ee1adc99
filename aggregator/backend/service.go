package backend

import (
	"strconv"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
)

// ServiceReference names the service behind an APIService and one of its ports.
type ServiceReference struct {
	Namespace string
	Name      string
	Port      int32
}

// ServerName is the name that the service's certificate must carry, whatever address is dialled.
func (s ServiceReference) ServerName() string {
	return s.Name + "." + s.Namespace + ".svc"
}

// String is namespace/name:port, for errors and logs.
func (s ServiceReference) String() string {
	return s.Namespace + "/" + s.Name + ":" + strconv.Itoa(int(s.Port))
}

// Services is what is known of services, answered from memory on every request. The objects are
// read-only and are replaced, never changed: the same pointers mean the same addresses.
type Services interface {
	Service(namespace, name string) (*corev1.Service, bool)
	EndpointSlices(namespace, service string) []*discoveryv1.EndpointSlice
	Endpoints(namespace, name string) (*corev1.Endpoints, bool)
}
