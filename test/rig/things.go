package rig

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	apiregistrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"
)

const (
	group, version = "things.example.com", "v1"
	groupVersion   = "/apis/" + group + "/" + version

	// ThingPath is where the one thing is.
	ThingPath = ThingsPath + "/one"
	// ThingSize is how long it is.
	ThingSize = 1500
	// ThingsPath is where a list of things is, of about a megabyte.
	ThingsPath = groupVersion + "/namespaces/default/things"
	// ThingsHost is the name that the certificate of the server of things must hold.
	ThingsHost = "things.default.svc"
	// Reader is the user that RegisterThings allows to use things and config maps, and nothing more.
	Reader = "reader"
)

// Things is a remote API of one kind with one object and a long list, as fast as a server in Go can be.
func Things() http.Handler {
	const head, tail = `{"apiVersion":"things.example.com/v1","kind":"Thing","metadata":{"name":"one","namespace":"default"},"data":"`, "\"}\n"
	thing := []byte(head + strings.Repeat("x", ThingSize-len(head)-len(tail)) + tail)
	resources := []byte(`{"kind":"APIResourceList","apiVersion":"v1","groupVersion":"things.example.com/v1","resources":[{"name":"things","singularName":"thing","namespaced":true,"kind":"Thing","verbs":["get","list"]}]}` + "\n")

	item := strings.TrimSpace(string(thing))
	list := []byte(`{"kind":"ThingList","apiVersion":"things.example.com/v1","metadata":{"resourceVersion":"1"},"items":[` +
		strings.Repeat(item+",", 1<<20/ThingSize) + item + "]}\n")

	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header()["Content-Type"] = []string{"application/json"}
		switch r.URL.Path {
		case ThingPath:
			w.Write(thing)
		case ThingsPath:
			w.Write(list)
		case groupVersion:
			w.Write(resources)
		default:
			http.NotFound(w, r)
		}
	})
}

// RegisterThings puts the server of things at address behind the front door, allows the Reader to
// use it, and returns when the front door proxies to it. caBundle vouches for the server.
func (d *Door) RegisterThings(ctx context.Context, address string, caBundle []byte) error {
	host, number, err := net.SplitHostPort(address)
	if err != nil {
		return err
	}
	port, err := strconv.Atoi(number)
	if err != nil {
		return err
	}
	name, named := metav1.ObjectMeta{Name: "things"}, metav1.ObjectMeta{Name: version + "." + group}
	for _, o := range []struct {
		path   string
		object any
	}{
		{"/api/v1/namespaces/default/services", &corev1.Service{ObjectMeta: name, Spec: corev1.ServiceSpec{
			Ports: []corev1.ServicePort{{Port: 443}},
		}}},
		{"/apis/discovery.k8s.io/v1/namespaces/default/endpointslices", &discoveryv1.EndpointSlice{
			ObjectMeta:  metav1.ObjectMeta{Name: "things", Labels: map[string]string{discoveryv1.LabelServiceName: "things"}},
			AddressType: discoveryv1.AddressTypeIPv4,
			Endpoints:   []discoveryv1.Endpoint{{Addresses: []string{host}}},
			Ports:       []discoveryv1.EndpointPort{{Port: new(int32(port))}},
		}},
		{"/apis/rbac.authorization.k8s.io/v1/clusterroles", &rbacv1.ClusterRole{ObjectMeta: name, Rules: []rbacv1.PolicyRule{
			{Verbs: []string{"get", "list"}, APIGroups: []string{group}, Resources: []string{"things"}},
			{Verbs: []string{"create", "get", "list"}, APIGroups: []string{""}, Resources: []string{"configmaps"}},
		}}},
		{"/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", &rbacv1.ClusterRoleBinding{
			ObjectMeta: name,
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "things"},
			Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: Reader}},
		}},
		{"/apis/apiregistration.k8s.io/v1/apiservices", &apiregistrationv1.APIService{ObjectMeta: named, Spec: apiregistrationv1.APIServiceSpec{
			Group: group, Version: version, GroupPriorityMinimum: 1000, VersionPriority: 10,
			Service:  &apiregistrationv1.ServiceReference{Namespace: "default", Name: "things", Port: new(int32(443))},
			CABundle: caBundle,
		}}},
	} {
		if err := d.Create(ctx, o.path, o.object); err != nil {
			return err
		}
	}
	if err := d.WaitFor(ctx, ThingPath); err != nil {
		return fmt.Errorf("registering the server of things: %w", err)
	}
	return nil
}
