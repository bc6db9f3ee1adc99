package backend_test

import (
	"errors"
	"reflect"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/portico-api/portico/aggregator/backend"
)

// index is a backend.Services of at most one service.
type index struct {
	service   *corev1.Service
	slices    []*discoveryv1.EndpointSlice
	endpoints *corev1.Endpoints
}

func (i *index) Service(namespace, name string) (*corev1.Service, bool) {
	return i.service, i.service != nil && i.service.Namespace == namespace && i.service.Name == name
}

func (i *index) EndpointSlices(string, string) []*discoveryv1.EndpointSlice { return i.slices }

func (i *index) Endpoints(string, string) (*corev1.Endpoints, bool) {
	return i.endpoints, i.endpoints != nil
}

func service(ports ...corev1.ServicePort) *corev1.Service {
	return &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "api"},
		Spec:       corev1.ServiceSpec{Type: corev1.ServiceTypeClusterIP, ClusterIP: "10.0.0.1", Ports: ports},
	}
}

// slice has one endpoint for each address; a "!" before it means that it is not ready, a "?" that
// it does not say.
func slice(family discoveryv1.AddressType, portName *string, port int32, addresses ...string) *discoveryv1.EndpointSlice {
	s := &discoveryv1.EndpointSlice{AddressType: family, Ports: []discoveryv1.EndpointPort{{Name: portName, Port: &port}}}
	for _, a := range addresses {
		ready := new(bool)
		*ready = true
		switch a[0] {
		case '!':
			*ready, a = false, a[1:]
		case '?':
			ready, a = nil, a[1:]
		}
		s.Endpoints = append(s.Endpoints, discoveryv1.Endpoint{Addresses: []string{a}, Conditions: discoveryv1.EndpointConditions{Ready: ready}})
	}
	return s
}

func named(name string) *string { return &name }

func TestResolve(t *testing.T) {
	https := corev1.ServicePort{Name: "https", Port: 443}
	plain := corev1.ServicePort{Port: 443}
	dual := service(https)
	dual.Spec.IPFamilies = []corev1.IPFamily{corev1.IPv6Protocol, corev1.IPv4Protocol}
	external := service()
	external.Spec = corev1.ServiceSpec{Type: corev1.ServiceTypeExternalName, ExternalName: "api.example.com"}
	nowhere := external.DeepCopy()
	nowhere.Spec.ExternalName = ""
	nodePort := service(https)
	nodePort.Spec.Type = corev1.ServiceTypeNodePort

	for _, c := range []struct {
		name   string
		index  index
		want   []string
		reason string
		text   string
	}{
		{"the ready endpoints, loopback included, on the endpoint's own port",
			index{service(https), []*discoveryv1.EndpointSlice{slice("IPv4", named("https"), 8443, "127.0.0.1", "!10.0.0.2", "?10.0.0.3")}, nil},
			[]string{"127.0.0.1:8443", "10.0.0.3:8443"}, "", ""},
		{"all slices, each address once",
			index{service(https), []*discoveryv1.EndpointSlice{slice("IPv4", named("https"), 1, "10.0.0.1"), slice("IPv4", named("https"), 1, "10.0.0.1", "10.0.0.2")}, nil},
			[]string{"10.0.0.1:1", "10.0.0.2:1"}, "", ""},
		{"a port without a name",
			index{service(plain), []*discoveryv1.EndpointSlice{slice("IPv4", nil, 8443, "10.0.0.1")}, nil},
			[]string{"10.0.0.1:8443"}, "", ""},
		{"the first family of a dual-stack service",
			index{dual, []*discoveryv1.EndpointSlice{slice("IPv4", named("https"), 1, "10.0.0.1"), slice("IPv6", named("https"), 1, "fd00::1")}, nil},
			[]string{"[fd00::1]:1"}, "", ""},
		{"the other family when the first has none ready",
			index{dual, []*discoveryv1.EndpointSlice{slice("IPv4", named("https"), 1, "10.0.0.1"), slice("IPv6", named("https"), 1, "!fd00::1")}, nil},
			[]string{"10.0.0.1:1"}, "", ""},
		{"a service of another type",
			index{nodePort, []*discoveryv1.EndpointSlice{slice("IPv4", named("https"), 1, "10.0.0.1")}, nil},
			[]string{"10.0.0.1:1"}, "", ""},
		{"Endpoints when there is no slice",
			index{service(https), nil, &corev1.Endpoints{Subsets: []corev1.EndpointSubset{{
				Addresses:         []corev1.EndpointAddress{{IP: "127.0.0.1"}},
				NotReadyAddresses: []corev1.EndpointAddress{{IP: "127.0.0.2"}},
				Ports:             []corev1.EndpointPort{{Name: "http", Port: 80}, {Name: "https", Port: 8443}},
			}}}},
			[]string{"127.0.0.1:8443"}, "", ""},
		{"an external name", index{service: external}, []string{"api.example.com:443"}, "", ""},

		{"no service", index{}, nil, "ServiceNotFound", `service/api in "ns" is not present`},
		{"an external name that is empty", index{service: nowhere}, nil, "ServiceAccessError",
			`service/api in "ns" cannot be checked due to: its type is ExternalName, but spec.externalName is empty`},
		{"another port", index{service: service(corev1.ServicePort{Port: 80})}, nil, "ServicePortError",
			`service/api in "ns" is not listening on port 443`},
		{"no endpoints", index{service: service(https)}, nil, "EndpointsNotFound",
			`cannot find endpointslices for service/api in "ns"`},
		{"no ready endpoint",
			index{service: service(https), slices: []*discoveryv1.EndpointSlice{slice("IPv4", named("https"), 1, "!10.0.0.1")}}, nil,
			"MissingEndpoints", `endpointslices for service/api in "ns" have no addresses with port name "https"`},
		{"no endpoint with the port's name",
			index{service: service(https), slices: []*discoveryv1.EndpointSlice{slice("IPv4", named("http"), 1, "10.0.0.1")}}, nil,
			"MissingEndpoints", `endpointslices for service/api in "ns" have no addresses with port name "https"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := backend.NewResolver(&c.index, "").Resolve(backend.ServiceReference{Namespace: "ns", Name: "api", Port: 443})
			if !reflect.DeepEqual(got, c.want) {
				t.Errorf("resolved to %v, want %v", got, c.want)
			}
			var u *backend.Unresolved
			switch {
			case c.reason == "" && err != nil:
				t.Errorf("error %v", err)
			case c.reason != "" && !errors.As(err, &u):
				t.Errorf("error %v, want an Unresolved", err)
			case c.reason != "" && (u.Reason != c.reason || u.Message != c.text):
				t.Errorf("%s: %s\nwant %s: %s", u.Reason, u.Message, c.reason, c.text)
			case c.reason != "" && u.Unknown() != (c.reason == "ServiceAccessError"):
				t.Errorf("Unknown is %v for %s", u.Unknown(), u.Reason)
			}
		})
	}
}

func TestTheKubernetesServiceIsThisServer(t *testing.T) {
	kubernetes := backend.ServiceReference{Namespace: "default", Name: "kubernetes", Port: 443}
	got, err := backend.NewResolver(&index{}, "127.0.0.1:6443").Resolve(kubernetes)
	if err != nil || !reflect.DeepEqual(got, []string{"127.0.0.1:6443"}) {
		t.Errorf("resolved to %v, error %v; want the own address", got, err)
	}
	if _, err := backend.NewResolver(&index{}, "").Resolve(kubernetes); err == nil {
		t.Error("resolved without an own address and without a service")
	}
}
