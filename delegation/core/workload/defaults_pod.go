package workload

import (
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/portico-api/portico/delegation/registry/declare"
)

func preset[T comparable](value *T, to T) {
	var none T
	if *value == none {
		*value = to
	}
}

// addPodDefaults says what a pod is when little is said of it.
func addPodDefaults(r *rules) {
	byDefault(r, func(s *corev1.PodSpec) {
		preset(&s.RestartPolicy, corev1.RestartPolicyAlways)
		preset(&s.DNSPolicy, corev1.DNSClusterFirst)
		preset(&s.SchedulerName, corev1.DefaultSchedulerName)
		declare.SetDefault(&s.TerminationGracePeriodSeconds, int64(corev1.DefaultTerminationGracePeriodSeconds))
		declare.SetDefault(&s.SecurityContext, corev1.PodSecurityContext{})
		// Two names of one field: older clients know the second only.
		preset(&s.ServiceAccountName, s.DeprecatedServiceAccount)
		s.DeprecatedServiceAccount = s.ServiceAccountName
		if s.HostNetwork {
			claimHostPorts(s.Containers)
			claimHostPorts(s.InitContainers)
		}
	})
	byDefault(r, func(p *corev1.Pod) { declare.SetDefault(&p.Spec.EnableServiceLinks, corev1.DefaultEnableServiceLinks) })
	byDefault(r, defaultContainer)
	byDefault(r, func(c *corev1.EphemeralContainerCommon) { defaultContainer((*corev1.Container)(c)) })
	byDefault(r, func(p *corev1.ContainerPort) { preset(&p.Protocol, corev1.ProtocolTCP) })
	byDefault(r, func(p *corev1.Probe) {
		preset(&p.TimeoutSeconds, 1)
		preset(&p.PeriodSeconds, 10)
		preset(&p.SuccessThreshold, 1)
		preset(&p.FailureThreshold, 3)
	})
	byDefault(r, func(a *corev1.HTTPGetAction) {
		preset(&a.Path, "/")
		preset(&a.Scheme, corev1.URISchemeHTTP)
	})
	byDefault(r, func(a *corev1.GRPCAction) { declare.SetDefault(&a.Service, "") })
	byDefault(r, func(f *corev1.ObjectFieldSelector) { preset(&f.APIVersion, "v1") })
	byDefault(r, func(need *corev1.ResourceRequirements) {
		for name, limit := range need.Limits {
			if _, asked := need.Requests[name]; asked {
				continue
			}
			if need.Requests == nil {
				need.Requests = corev1.ResourceList{}
			}
			need.Requests[name] = limit.DeepCopy()
		}
		roundUp(need.Limits)
		roundUp(need.Requests)
	})
}

// claimHostPorts: in the host's network a container's port is the host's.
func claimHostPorts(containers []corev1.Container) {
	for i := range containers {
		for j := range containers[i].Ports {
			port := &containers[i].Ports[j]
			preset(&port.HostPort, port.ContainerPort)
		}
	}
}

func defaultContainer(c *corev1.Container) {
	preset(&c.TerminationMessagePath, corev1.TerminationMessagePathDefault)
	preset(&c.TerminationMessagePolicy, corev1.TerminationMessageReadFile)
	if c.ImagePullPolicy == "" {
		c.ImagePullPolicy = corev1.PullIfNotPresent
		if latest(c.Image) {
			c.ImagePullPolicy = corev1.PullAlways
		}
	}
}

// latest tells whether an image may be another one tomorrow.
func latest(image string) bool {
	if strings.Contains(image, "@") {
		return false
	}
	_, tag, tagged := strings.Cut(image[strings.LastIndex(image, "/")+1:], ":")
	return !tagged || tag == "latest"
}

// roundUp holds amounts to thousandths, which is as fine as they are counted.
func roundUp(list corev1.ResourceList) {
	for name, amount := range list {
		if amount.RoundUp(resource.Milli) {
			continue
		}
		list[name] = amount
	}
}
