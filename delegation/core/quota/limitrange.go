package quota

import (
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/portico-api/portico/delegation/registry"
	"github.com/portico-api/portico/delegation/registry/declare"
)

// LimitRanges declares limitranges. They bound what pods and claims ask for: package workload holds those to them, and without
// pods they are kept and change nothing.
func LimitRanges() registry.Resource {
	strategy := declare.Rules[*corev1.LimitRange]{SetDefaults: defaultLimitRange, Validate: validateLimitRange}.Strategy()
	strategy.AllowUnconditionalUpdate, strategy.AllowCreateOnUpdate = true, true
	return registry.Resource{
		GroupVersion: corev1.SchemeGroupVersion,
		Kind:         "LimitRange",
		Name:         "limitranges",
		SingularName: "limitrange",
		ShortNames:   []string{"limits"},
		Namespaced:   true,
		New:          func() runtime.Object { return &corev1.LimitRange{} },
		NewList:      func() runtime.Object { return &corev1.LimitRangeList{} },
		Strategy:     strategy,
	}
}

// defaultLimitRange completes what containers get who do not say: the limit is the most there is, what is asked for the limit, or
// the least there is.
func defaultLimitRange(l *corev1.LimitRange) {
	for i := range l.Spec.Limits {
		item := &l.Spec.Limits[i]
		if item.Type != corev1.LimitTypeContainer {
			continue
		}
		item.Default = completed(item.Default, item.Max)
		item.DefaultRequest = completed(completed(item.DefaultRequest, item.Default), item.Min)
	}
}

// completed is list with what it lacks from another.
func completed(list, from corev1.ResourceList) corev1.ResourceList {
	if list == nil {
		list = corev1.ResourceList{}
	}
	for name, amount := range from {
		if _, ok := list[name]; !ok {
			list[name] = amount.DeepCopy()
		}
	}
	return list
}

// validateLimitRange: for each resource min ≤ defaultRequest ≤ default ≤ max.
func validateLimitRange(l *corev1.LimitRange) field.ErrorList {
	var problems field.ErrorList
	seen := map[corev1.LimitType]bool{}
	for i := range l.Spec.Limits {
		item, path := &l.Spec.Limits[i], field.NewPath("spec", "limits").Index(i)
		if item.Type == "" {
			problems = append(problems, field.Required(path.Child("type"), ""))
		} else if why := wrongLimitType(item.Type); why != "" {
			problems = append(problems, field.Invalid(path.Child("type"), item.Type, why))
		} else if seen[item.Type] {
			problems = append(problems, field.Duplicate(path.Child("type"), item.Type))
		}
		seen[item.Type] = true
		if item.Type == corev1.LimitTypePod {
			if len(item.Default) > 0 {
				problems = append(problems, field.Forbidden(path.Child("default"), "may not be specified when `type` is 'Pod'"))
			}
			if len(item.DefaultRequest) > 0 {
				problems = append(problems, field.Forbidden(path.Child("defaultRequest"), "may not be specified when `type` is 'Pod'"))
			}
		}
		problems = append(problems, validateOrder(item, path)...)
	}
	return problems
}

// wrongLimitType says what is wrong with a type; empty when nothing is. Others than the usual three belong to somebody's domain.
func wrongLimitType(t corev1.LimitType) string {
	if t == corev1.LimitTypePod || t == corev1.LimitTypeContainer || t == corev1.LimitTypePersistentVolumeClaim {
		return ""
	}
	if why := validation.IsQualifiedName(string(t)); len(why) > 0 {
		return why[0]
	}
	if !strings.Contains(string(t), "/") {
		return "must be a standard limit type or fully qualified"
	}
	return ""
}

func validateOrder(item *corev1.LimitRangeItem, path *field.Path) field.ErrorList {
	var problems field.ErrorList
	ladder := []struct {
		name string
		list corev1.ResourceList
	}{{"min", item.Min}, {"defaultRequest", item.DefaultRequest}, {"default", item.Default}, {"max", item.Max}}
	for i, low := range ladder {
		for _, name := range slices.Sorted(maps.Keys(low.list)) {
			amount := low.list[name]
			if amount.Sign() < 0 {
				problems = append(problems, field.Invalid(path.Child(low.name).Key(string(name)), amount.String(), "must be greater than or equal to 0"))
			}
			for _, high := range ladder[i+1:] {
				if bound, ok := high.list[name]; ok && amount.Cmp(bound) > 0 {
					problems = append(problems, field.Invalid(path.Child(low.name).Key(string(name)), amount.String(), low.name+" value "+amount.String()+" is greater than "+high.name+" value "+bound.String()))
				}
			}
		}
	}
	return problems
}
