package workload

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
)

// checkLimits holds what something asks for to an item of a limit range.
func checkLimits(item *corev1.LimitRangeItem, requests, limits corev1.ResourceList) (problems []error) {
	for _, name := range sortedNames(item.Min) {
		problems = append(problems, atLeast(item, name, requests, limits))
	}
	for _, name := range sortedNames(item.Max) {
		problems = append(problems, atMost(item, name, requests, limits))
	}
	for _, name := range sortedNames(item.MaxLimitRequestRatio) {
		problems = append(problems, inRatio(item, name, requests, limits))
	}
	return slices.DeleteFunc(problems, func(err error) bool { return err == nil })
}

func atLeast(item *corev1.LimitRangeItem, name corev1.ResourceName, requests, limits corev1.ResourceList) error {
	bound := item.Min[name]
	says := func(rest string, args ...any) error {
		return fmt.Errorf("minimum %s usage per %s is %s"+rest, append([]any{name, item.Type, bound.String()}, args...)...)
	}
	request, asks := requests[name]
	limit, limited := limits[name]
	switch {
	case !asks:
		return says(".  No request is specified")
	case request.Cmp(bound) < 0:
		return says(", but request is %s", request.String())
	case limited && limit.Cmp(bound) < 0:
		return says(", but limit is %s", limit.String())
	}
	return nil
}

func atMost(item *corev1.LimitRangeItem, name corev1.ResourceName, requests, limits corev1.ResourceList) error {
	bound := item.Max[name]
	says := func(rest string, args ...any) error {
		return fmt.Errorf("maximum %s usage per %s is %s"+rest, append([]any{name, item.Type, bound.String()}, args...)...)
	}
	request, asks := requests[name]
	limit, limited := limits[name]
	switch {
	case !limited:
		return says(".  No limit is specified")
	case limit.Cmp(bound) > 0:
		return says(", but limit is %s", limit.String())
	case asks && request.Cmp(bound) > 0:
		return says(", but request is %s", request.String())
	}
	return nil
}

// requestAtMost is for claims, which have no limits.
func requestAtMost(item *corev1.LimitRangeItem, name corev1.ResourceName, requests corev1.ResourceList) error {
	bound := item.Max[name]
	request, asks := requests[name]
	switch {
	case !asks:
		return fmt.Errorf("maximum %s usage per %s is %s.  No request is specified", name, item.Type, bound.String())
	case request.Cmp(bound) > 0:
		return fmt.Errorf("maximum %s usage per %s is %s, but request is %s", name, item.Type, bound.String(), request.String())
	}
	return nil
}

func inRatio(item *corev1.LimitRangeItem, name corev1.ResourceName, requests, limits corev1.ResourceList) error {
	bound := item.MaxLimitRequestRatio[name]
	says := func(rest string, args ...any) error {
		return fmt.Errorf("%s max limit to request ratio per %s is %s, but "+rest, append([]any{name, item.Type, bound.String()}, args...)...)
	}
	request, limit := requests[name], limits[name]
	switch {
	case request.IsZero():
		return says("no request is specified or request is 0")
	case limit.IsZero():
		return says("no limit is specified or limit is 0")
	}
	ratio := limit.AsApproximateFloat64() / request.AsApproximateFloat64()
	if ratio > bound.AsApproximateFloat64() {
		return says("provided ratio is %f", ratio)
	}
	return nil
}
