package workload

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/portico-api/portico/delegation/registry"
	"github.com/portico-api/portico/delegation/registry/declare"
)

func pods(r *rules) registry.Resource {
	return kind[corev1.Pod, corev1.PodList](r, registry.Resource{
		GroupVersion: corev1.SchemeGroupVersion, Kind: "Pod", Name: "pods", SingularName: "pod",
		ShortNames: []string{"po"}, Categories: all(), Namespaced: true, Status: true,
		Strategy: registry.Strategy{
			Generation: true,
			FieldNames: []string{"spec.nodeName", "spec.restartPolicy", "spec.schedulerName", "spec.serviceAccountName", "spec.hostNetwork",
				"status.phase", "status.podIP", "status.podIPs", "status.nominatedNodeName"},
			Fields: podFields,
		},
		Table: declare.Table(podCells, declare.NameColumn(),
			declare.Column("Ready", "How many of the containers are ready."),
			declare.Column("Status", "What has become of the pod."),
			declare.Column("Restarts", "How often containers were restarted, and when last."),
			declare.AgeColumn(),
			declare.Wide(declare.Column("IP", corev1.PodStatus{}.SwaggerDoc()["podIP"])),
			declare.Wide(declare.Column("Node", corev1.PodSpec{}.SwaggerDoc()["nodeName"])),
			declare.Wide(declare.Column("Nominated Node", corev1.PodStatus{}.SwaggerDoc()["nominatedNodeName"])),
			declare.Wide(declare.Column("Readiness Gates", corev1.PodSpec{}.SwaggerDoc()["readinessGates"]))),
	}, declare.Rules[*corev1.Pod]{
		Create: func(_ context.Context, p *corev1.Pod) {
			p.Generation = 1
			p.Status = corev1.PodStatus{Phase: corev1.PodPending, QOSClass: quality(&p.Spec)}
		},
		ValidateUpdate: validatePodUpdate,
	})
}

// quality is how well a pod's needs are known: it decides who would be evicted first.
func quality(s *corev1.PodSpec) corev1.PodQOSClass {
	some, guaranteed := false, true
	for _, list := range [][]corev1.Container{s.Containers, s.InitContainers} {
		for i := range list {
			need := &list[i].Resources
			for _, name := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory} {
				limit, limited := need.Limits[name]
				asked, asks := need.Requests[name]
				some = some || limited && !limit.IsZero() || asks && !asked.IsZero()
				guaranteed = guaranteed && limited && !limit.IsZero() && (!asks || asked.Cmp(limit) == 0)
			}
		}
	}
	switch {
	case !some:
		return corev1.PodQOSBestEffort
	case guaranteed:
		return corev1.PodQOSGuaranteed
	}
	return corev1.PodQOSBurstable
}

// validatePodUpdate lets change what can change in a pod that runs: images, deadlines and tolerations.
func validatePodUpdate(p, old *corev1.Pod) field.ErrorList {
	may := p.Spec.DeepCopy()
	if len(may.Containers) == len(old.Spec.Containers) && len(may.InitContainers) == len(old.Spec.InitContainers) {
		for i := range may.Containers {
			may.Containers[i].Image = old.Spec.Containers[i].Image
		}
		for i := range may.InitContainers {
			may.InitContainers[i].Image = old.Spec.InitContainers[i].Image
		}
	}
	may.ActiveDeadlineSeconds, may.TerminationGracePeriodSeconds = old.Spec.ActiveDeadlineSeconds, old.Spec.TerminationGracePeriodSeconds
	may.Tolerations, may.SchedulingGates = old.Spec.Tolerations, old.Spec.SchedulingGates
	if apiequality.Semantic.DeepEqual(*may, old.Spec) {
		return nil
	}
	return field.ErrorList{field.Forbidden(field.NewPath("spec"), "pod updates may not change fields other than `spec.containers[*].image`,"+
		"`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),"+
		"`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)")}
}

func podFields(object []byte) fields.Set {
	var p struct {
		Spec struct {
			NodeName, RestartPolicy, SchedulerName, ServiceAccountName string
			HostNetwork                                                bool
		}
		Status struct {
			Phase, PodIP, NominatedNodeName string
			PodIPs                          []corev1.PodIP
		}
	}
	if err := json.Unmarshal(object, &p); err != nil {
		return nil
	}
	ips := make([]string, len(p.Status.PodIPs))
	for i, ip := range p.Status.PodIPs {
		ips[i] = ip.IP
	}
	return fields.Set{
		"spec.nodeName": p.Spec.NodeName, "spec.restartPolicy": p.Spec.RestartPolicy, "spec.schedulerName": p.Spec.SchedulerName,
		"spec.serviceAccountName": p.Spec.ServiceAccountName, "spec.hostNetwork": strconv.FormatBool(p.Spec.HostNetwork),
		"status.phase": p.Status.Phase, "status.podIP": p.Status.PodIP, "status.podIPs": strings.Join(ips, ","),
		"status.nominatedNodeName": p.Status.NominatedNodeName,
	}
}

func podCells(p *corev1.Pod) []any {
	ready, restarts := 0, int32(0)
	for _, c := range p.Status.ContainerStatuses {
		if c.Ready {
			ready++
		}
		restarts += c.RestartCount
	}
	gates := declare.NoneCell
	if n := len(p.Spec.ReadinessGates); n > 0 {
		gates = fmt.Sprintf("%d/%d", openGates(p), n)
	}
	return []any{
		p.Name, fmt.Sprintf("%d/%d", ready, len(p.Spec.Containers)), podState(p), strconv.Itoa(int(restarts)), declare.Age(&p.ObjectMeta),
		orNone(p.Status.PodIP), orNone(p.Spec.NodeName), orNone(p.Status.NominatedNodeName), gates,
	}
}

func openGates(p *corev1.Pod) int {
	open := 0
	for _, gate := range p.Spec.ReadinessGates {
		for _, c := range p.Status.Conditions {
			if c.Type == gate.ConditionType && c.Status == corev1.ConditionTrue {
				open++
			}
		}
	}
	return open
}

// podState is the phase, or the reason that says more than it.
func podState(p *corev1.Pod) string {
	if p.DeletionTimestamp != nil {
		return "Terminating"
	}
	state := string(p.Status.Phase)
	if p.Status.Reason != "" {
		state = p.Status.Reason
	}
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodScheduled && c.Reason == corev1.PodReasonSchedulingGated {
			state = corev1.PodReasonSchedulingGated
		}
	}
	for i := len(p.Status.ContainerStatuses) - 1; i >= 0; i-- {
		switch c := p.Status.ContainerStatuses[i].State; {
		case c.Waiting != nil && c.Waiting.Reason != "":
			state = c.Waiting.Reason
		case c.Terminated != nil && c.Terminated.Reason != "":
			state = c.Terminated.Reason
		case c.Terminated != nil && c.Terminated.Signal != 0:
			state = fmt.Sprintf("Signal:%d", c.Terminated.Signal)
		case c.Terminated != nil:
			state = fmt.Sprintf("ExitCode:%d", c.Terminated.ExitCode)
		}
	}
	return state
}
