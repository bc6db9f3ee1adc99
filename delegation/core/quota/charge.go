package quota

import (
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// countPrefix is how any resource can be counted: count/deployments.apps, count/configmaps.
const countPrefix = "count/"

// countName is the name by which the objects of a resource are counted.
func countName(r schema.GroupResource) corev1.ResourceName {
	return corev1.ResourceName(countPrefix + r.String())
}

// charges are what an object counts as: 1 of each of these. obj is needed for what depends on the object; nil counts
// nothing of that.
func charges(r schema.GroupResource, obj runtime.Object) []corev1.ResourceName {
	names := []corev1.ResourceName{countName(r)}
	if r.Group != "" {
		return names
	}
	for _, plain := range plainNames() {
		if string(plain) == r.Resource {
			names = append(names, plain)
		}
	}
	if service, ok := obj.(*corev1.Service); ok {
		names = append(names, chargesOfService(service)...)
	}
	return names
}

func chargesOfService(s *corev1.Service) []corev1.ResourceName {
	switch s.Spec.Type {
	case corev1.ServiceTypeNodePort:
		return []corev1.ResourceName{corev1.ResourceServicesNodePorts}
	case corev1.ServiceTypeLoadBalancer:
		if s.Spec.AllocateLoadBalancerNodePorts != nil && !*s.Spec.AllocateLoadBalancerNodePorts {
			return []corev1.ResourceName{corev1.ResourceServicesLoadBalancers}
		}
		return []corev1.ResourceName{corev1.ResourceServicesLoadBalancers, corev1.ResourceServicesNodePorts}
	}
	return nil
}

// resourceOf is the resource that a name counts, and whether it counts one at all.
func resourceOf(name corev1.ResourceName) (r schema.GroupResource, ok bool) {
	if rest, counted := strings.CutPrefix(string(name), countPrefix); counted {
		return schema.ParseGroupResource(rest), true
	}
	switch name {
	case corev1.ResourceServicesNodePorts, corev1.ResourceServicesLoadBalancers:
		return schema.GroupResource{Resource: "services"}, true
	}
	for _, plain := range plainNames() {
		if plain == name {
			return schema.GroupResource{Resource: string(name)}, true
		}
	}
	return r, false
}
