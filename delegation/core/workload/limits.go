package workload

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/portico-api/portico/delegation/registry"
)

// Limits is the admission that holds pods and claims to the limit ranges of their namespace, and gives containers what those
// have for who does not say, as kube-apiserver's LimitRanger does.
type Limits struct {
	// Ranges are the limit ranges of a namespace.
	Ranges func(ctx context.Context, namespace string) ([]*corev1.LimitRange, error)
}

// limitsNote is where a pod is told what it was given.
const limitsNote = "kubernetes.io/limit-ranger"

// Admit gives the containers of a new pod what they do not ask for.
func (l *Limits) Admit(ctx context.Context, r *registry.Request) error {
	pod, ok := r.Object.(*corev1.Pod)
	if !ok || r.Operation != registry.Create || r.Subresource != "" {
		return nil
	}
	ranges, err := l.Ranges(ctx, r.Namespace)
	if err != nil {
		return fmt.Errorf("reading the limit ranges of %s: %w", r.Namespace, err)
	}
	var notes []string
	for _, limits := range ranges {
		given := givenTo(limits)
		for i := range pod.Spec.InitContainers {
			notes = append(notes, complete(&pod.Spec.InitContainers[i], "init container", &given)...)
		}
		for i := range pod.Spec.Containers {
			notes = append(notes, complete(&pod.Spec.Containers[i], "container", &given)...)
		}
	}
	if len(notes) > 0 {
		if pod.Annotations == nil {
			pod.Annotations = map[string]string{}
		}
		pod.Annotations[limitsNote] = "LimitRanger plugin set: " + strings.Join(notes, "; ")
	}
	return nil
}

// givenTo is what a limit range has for containers that do not say.
func givenTo(limits *corev1.LimitRange) corev1.ResourceRequirements {
	given := corev1.ResourceRequirements{Limits: corev1.ResourceList{}, Requests: corev1.ResourceList{}}
	for i := range limits.Spec.Limits {
		item := &limits.Spec.Limits[i]
		if item.Type != corev1.LimitTypeContainer {
			continue
		}
		for name, amount := range item.DefaultRequest {
			given.Requests[name] = amount
		}
		for name, amount := range item.Default {
			given.Limits[name] = amount
		}
	}
	return given
}

// complete gives a container what it does not say, and tells what that was.
func complete(c *corev1.Container, what string, given *corev1.ResourceRequirements) (notes []string) {
	for _, part := range []struct {
		name string
		from corev1.ResourceList
		into *corev1.ResourceList
	}{{"request", given.Requests, &c.Resources.Requests}, {"limit", given.Limits, &c.Resources.Limits}} {
		var set []string
		for name, amount := range part.from {
			if _, said := (*part.into)[name]; said {
				continue
			}
			if *part.into == nil {
				*part.into = corev1.ResourceList{}
			}
			(*part.into)[name] = amount.DeepCopy()
			set = append(set, string(name))
		}
		if len(set) > 0 {
			slices.Sort(set)
			notes = append(notes, fmt.Sprintf("%s %s for %s %s", strings.Join(set, ", "), part.name, what, c.Name))
		}
	}
	return notes
}

// Validate refuses what is beyond a limit. Pods cannot change what they ask for later, claims can.
func (l *Limits) Validate(ctx context.Context, r *registry.Request) error {
	if r.Subresource != "" || r.Object == nil {
		return nil
	}
	var check func(*corev1.LimitRangeItem) []error
	switch o := r.Object.(type) {
	case *corev1.Pod:
		if r.Operation != registry.Create {
			return nil
		}
		check = func(item *corev1.LimitRangeItem) []error { return checkPodLimits(item, &o.Spec) }
	case *corev1.PersistentVolumeClaim:
		if o.DeletionTimestamp != nil {
			return nil
		}
		check = func(item *corev1.LimitRangeItem) []error { return checkClaimLimits(item, o.Spec.Resources.Requests) }
	default:
		return nil
	}
	ranges, err := l.Ranges(ctx, r.Namespace)
	if err != nil {
		return fmt.Errorf("reading the limit ranges of %s: %w", r.Namespace, err)
	}
	var problems []error
	for _, limits := range ranges {
		for i := range limits.Spec.Limits {
			problems = append(problems, check(&limits.Spec.Limits[i])...)
		}
	}
	if len(problems) == 0 {
		return nil
	}
	return apierrors.NewForbidden(r.Resource.GroupResource(), r.Name, together(problems))
}

// together is many errors in the words of clients' libraries: [a, b].
func together(problems []error) error {
	texts := make([]string, len(problems))
	for i, p := range problems {
		texts[i] = p.Error()
	}
	texts = slices.Compact(texts)
	if len(texts) == 1 {
		return errors.New(texts[0])
	}
	return errors.New("[" + strings.Join(texts, ", ") + "]")
}

func checkPodLimits(item *corev1.LimitRangeItem, spec *corev1.PodSpec) (problems []error) {
	switch item.Type {
	case corev1.LimitTypeContainer:
		for _, list := range [][]corev1.Container{spec.Containers, spec.InitContainers} {
			for i := range list {
				problems = append(problems, checkLimits(item, list[i].Resources.Requests, list[i].Resources.Limits)...)
			}
		}
	case corev1.LimitTypePod:
		requests := podTotal(spec, func(c *corev1.Container) corev1.ResourceList { return c.Resources.Requests })
		limits := podTotal(spec, func(c *corev1.Container) corev1.ResourceList { return c.Resources.Limits })
		return checkLimits(item, requests, limits)
	}
	return problems
}

func checkClaimLimits(item *corev1.LimitRangeItem, requests corev1.ResourceList) (problems []error) {
	if item.Type != corev1.LimitTypePersistentVolumeClaim {
		return nil
	}
	for _, name := range sortedNames(item.Min) {
		problems = append(problems, atLeast(item, name, requests, nil))
	}
	for _, name := range sortedNames(item.Max) {
		problems = append(problems, requestAtMost(item, name, requests))
	}
	return slices.DeleteFunc(problems, func(err error) bool { return err == nil })
}

// podTotal is what the containers of a pod need together: those that run side by side in sum, or the one that needs most
// of those that run before. Init containers that go on running count for both.
func podTotal(spec *corev1.PodSpec, of func(*corev1.Container) corev1.ResourceList) corev1.ResourceList {
	total, beside := corev1.ResourceList{}, corev1.ResourceList{}
	for i := range spec.Containers {
		add(total, of(&spec.Containers[i]))
	}
	before := corev1.ResourceList{}
	for i := range spec.InitContainers {
		c := &spec.InitContainers[i]
		if c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways {
			add(total, of(c))
			add(beside, of(c))
			atLeastAs(before, beside)
			continue
		}
		alone := beside.DeepCopy()
		add(alone, of(c))
		atLeastAs(before, alone)
	}
	atLeastAs(total, before)
	return total
}

func add(into, list corev1.ResourceList) {
	for name, amount := range list {
		sum := into[name]
		sum.Add(amount)
		into[name] = sum
	}
}

func atLeastAs(into, list corev1.ResourceList) {
	for name, amount := range list {
		if have, ok := into[name]; !ok || amount.Cmp(have) > 0 {
			into[name] = amount.DeepCopy()
		}
	}
}

func sortedNames(list corev1.ResourceList) []corev1.ResourceName {
	names := make([]corev1.ResourceName, 0, len(list))
	for name := range list {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
