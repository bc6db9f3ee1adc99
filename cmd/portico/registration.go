package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation"
	apiregistrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"
)

// registrar is who makes the objects of a registration, in their managed fields and in a label by which they are found again.
const registrar = "portico-register"

const (
	madeBy      = "app.kubernetes.io/managed-by"
	madeFor     = "portico/registered-service" // of an APIService: the Service that was made for it, whatever others have it point to since
	servicePort = 443
	portName    = "https"
)

// registration is an extension API server and how it is reached.
type registration struct {
	gv              schema.GroupVersion
	backends        []string
	caFile          string
	serverName      string
	insecure        bool
	groupPriority   int32
	versionPriority int32

	places             []place
	bundle             []byte
	namespace, service string
}

// place is one replica: an address, or a name that is resolved again and again.
type place struct {
	host string
	ip   netip.Addr // the zero value for a name
	port int32
}

func (r *registration) parse(groupVersion string) error {
	gv, err := schema.ParseGroupVersion(groupVersion)
	if err != nil || gv.Group == "" || gv.Version == "" {
		return fmt.Errorf("%q is no GROUP/VERSION, such as wardle.example.com/v1alpha1", groupVersion)
	}
	r.gv = gv
	return nil
}

// settle checks what was said and finds out what was not.
func (r *registration) settle(groupVersion string) error {
	if err := r.parse(groupVersion); err != nil {
		return err
	}
	if len(r.backends) == 0 {
		return errors.New("where the server is, is missing: --backend https://HOST:PORT")
	}
	for _, backend := range r.backends {
		p, err := parseBackend(backend)
		if err != nil {
			return err
		}
		r.places = append(r.places, p)
	}
	if i := slices.IndexFunc(r.places, func(p place) bool { return !p.ip.IsValid() }); i >= 0 && len(r.places) > 1 {
		return fmt.Errorf("--backend %s is a name, and a name stands for all replicas: give it alone, or addresses only", r.backends[i])
	}
	if r.caFile != "" && r.insecure {
		return errors.New("--ca-file and --insecure-skip-tls-verify exclude each other")
	}
	var err error
	if r.bundle, err = readAuthority(r.caFile); err != nil {
		return err
	}
	return r.settleService()
}

func parseBackend(text string) (place, error) {
	wrong := fmt.Errorf("--backend %q is no https://HOST:PORT", text)
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "https" || u.Hostname() == "" || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.User != nil {
		return place{}, wrong
	}
	port := uint64(servicePort)
	if u.Port() != "" {
		if port, err = strconv.ParseUint(u.Port(), 10, 16); err != nil || port == 0 {
			return place{}, wrong
		}
	}
	p := place{host: u.Hostname(), port: int32(port)}
	p.ip, _ = netip.ParseAddr(p.host)
	return p, nil
}

// settleService finds the name of the Service, by which certificates know the server.
func (r *registration) settleService() error {
	if r.serverName == "" {
		first, _, _ := strings.Cut(r.gv.Group, ".")
		r.service, r.namespace = first, metav1.NamespaceDefault
	} else {
		name, rest, _ := strings.Cut(r.serverName, ".")
		namespace, isService := strings.CutSuffix(rest, ".svc")
		if !isService || strings.Contains(namespace, ".") {
			return fmt.Errorf("--server-name %q is not of the form NAME.NAMESPACE.svc, by which the aggregator knows servers", r.serverName)
		}
		r.service, r.namespace = name, namespace
	}
	if problems := validation.IsDNS1035Label(r.service); len(problems) > 0 {
		return fmt.Errorf("%q cannot be the name of a Service, %s: give another with --server-name NAME.NAMESPACE.svc", r.service, problems[0])
	}
	return nil
}

func (r *registration) apiServiceName() string { return r.gv.Version + "." + r.gv.Group }

func apiServicePath(name string) string {
	return "/apis/apiregistration.k8s.io/v1/apiservices/" + name
}

func (r *registration) servicePath() string {
	return "/api/v1/namespaces/" + r.namespace + "/services/" + r.service
}

func (r *registration) slicesPath() string {
	return "/apis/discovery.k8s.io/v1/namespaces/" + r.namespace + "/endpointslices"
}

// errServedHere keeps what this server serves itself from being taken over or away: nothing would serve it then.
var errServedHere = errors.New("it is served by this server itself")

// existing is the APIService of the group-version, and one without a name when there is none.
func (r *registration) existing(ctx context.Context, client *frontClient) (*apiregistrationv1.APIService, error) {
	var found apiregistrationv1.APIService
	if err := client.get(ctx, apiServicePath(r.apiServiceName()), &found); err != nil && !apierrors.IsNotFound(err) {
		return nil, err
	}
	if found.Name != "" && found.Spec.Service == nil {
		return nil, errServedHere
	}
	return &found, nil
}

// apply makes the objects, the APIService last: what it names is there then. What was made for former, and is not needed any more, goes.
func (r *registration) apply(ctx context.Context, client *frontClient, former *apiregistrationv1.APIService) error {
	service, err := r.declareAPIService()
	if err != nil {
		return err
	}
	// Asked first what would come of it, so that nothing is left behind of a registration that is refused.
	if err := client.tryApply(ctx, apiServicePath(r.apiServiceName()), service); err != nil {
		return err
	}
	if err := client.apply(ctx, r.servicePath(), r.declareService()); err != nil {
		return r.explain(err)
	}
	wanted := r.declareSlices()
	for _, slice := range wanted {
		if err := client.apply(ctx, r.slicesPath()+"/"+slice.Name, slice); err != nil {
			return err
		}
	}
	if err := r.dropSlices(ctx, client, wanted); err != nil {
		return err
	}
	if err := client.apply(ctx, apiServicePath(r.apiServiceName()), service); err != nil {
		return err
	}
	return r.sweep(ctx, client, former)
}

// explain says what to do about a namespace that is not there.
func (r *registration) explain(err error) error {
	if apierrors.IsNotFound(err) {
		return fmt.Errorf("%w: create the namespace %s first", err, r.namespace)
	}
	return err
}

func (r *registration) meta(name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Name: name, Namespace: r.namespace, Labels: map[string]string{madeBy: registrar}}
}

func (r *registration) declareService() *corev1.Service {
	s := &corev1.Service{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Service"}, ObjectMeta: r.meta(r.service)}
	s.Spec.Ports = []corev1.ServicePort{{Name: portName, Port: r.port(), Protocol: corev1.ProtocolTCP}}
	s.Spec.Type = corev1.ServiceTypeClusterIP
	if !r.places[0].ip.IsValid() {
		s.Spec.Type, s.Spec.ExternalName = corev1.ServiceTypeExternalName, r.places[0].host
	}
	return s
}

// port is the Service's. A name is reached on the port that the APIService says.
func (r *registration) port() int32 {
	if !r.places[0].ip.IsValid() {
		return r.places[0].port
	}
	return servicePort
}

// declareSlices has a slice for all replicas of one family on one port, because that is all that a slice can hold.
func (r *registration) declareSlices() []*discoveryv1.EndpointSlice {
	var all []*discoveryv1.EndpointSlice
	yes, name := true, portName
	for _, p := range r.places {
		if !p.ip.IsValid() {
			return nil
		}
		family := discoveryv1.AddressTypeIPv4
		if p.ip.Is6() {
			family = discoveryv1.AddressTypeIPv6
		}
		called := strings.ToLower(fmt.Sprintf("%s-%s-%d", r.service, family, p.port))
		i := slices.IndexFunc(all, func(s *discoveryv1.EndpointSlice) bool { return s.Name == called })
		if i < 0 {
			made := &discoveryv1.EndpointSlice{
				TypeMeta: metav1.TypeMeta{APIVersion: "discovery.k8s.io/v1", Kind: "EndpointSlice"}, ObjectMeta: r.meta(called),
				AddressType: family, Ports: []discoveryv1.EndpointPort{{Name: &name, Port: &p.port}},
			}
			made.Labels[discoveryv1.LabelServiceName], made.Labels[discoveryv1.LabelManagedBy] = r.service, registrar
			i, all = len(all), append(all, made)
		}
		all[i].Endpoints = append(all[i].Endpoints, discoveryv1.Endpoint{
			Addresses: []string{p.ip.String()}, Conditions: discoveryv1.EndpointConditions{Ready: &yes},
		})
	}
	return all
}

// dropSlices deletes those of an earlier registration that are not wanted any more.
func (r *registration) dropSlices(ctx context.Context, client *frontClient, wanted []*discoveryv1.EndpointSlice) error {
	var found discoveryv1.EndpointSliceList
	selector := url.QueryEscape(discoveryv1.LabelServiceName + "=" + r.service + "," + madeBy + "=" + registrar)
	if err := client.get(ctx, r.slicesPath()+"?labelSelector="+selector, &found); err != nil {
		return err
	}
	for _, slice := range found.Items {
		if slices.ContainsFunc(wanted, func(w *discoveryv1.EndpointSlice) bool { return w.Name == slice.Name }) {
			continue
		}
		if err := client.delete(ctx, r.slicesPath()+"/"+slice.Name); err != nil {
			return err
		}
	}
	return nil
}

// declareAPIService says whether the certificate is verified even where that is the default: another manager of the APIService may
// have said that it is not.
func (r *registration) declareAPIService() (map[string]any, error) {
	port := r.port()
	declared, err := runtime.DefaultUnstructuredConverter.ToUnstructured(&apiregistrationv1.APIService{
		TypeMeta: metav1.TypeMeta{APIVersion: "apiregistration.k8s.io/v1", Kind: "APIService"},
		ObjectMeta: metav1.ObjectMeta{
			Name: r.apiServiceName(), Labels: map[string]string{madeBy: registrar}, Annotations: map[string]string{madeFor: r.namespace + "/" + r.service},
		},
		Spec: apiregistrationv1.APIServiceSpec{
			Group: r.gv.Group, Version: r.gv.Version, GroupPriorityMinimum: r.groupPriority, VersionPriority: r.versionPriority,
			Service:  &apiregistrationv1.ServiceReference{Namespace: r.namespace, Name: r.service, Port: &port},
			CABundle: r.bundle,
		},
	})
	if err != nil {
		return nil, fmt.Errorf("declaring %s: %w", r.apiServiceName(), err)
	}
	delete(declared, "status")
	return declared, unstructured.SetNestedField(declared, r.insecure, "spec", "insecureSkipTLSVerify")
}
