package core

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/portico-api/portico/delegation/registry"
	"github.com/portico-api/portico/delegation/registry/declare"
)

// Bounds of an event that carries an eventTime.
const (
	maxEventText = 128
	maxEventNote = 1024
)

// events are kept for ttl after their last write.
func events(ttl time.Duration) registry.Resource {
	strategy := declare.Rules[*corev1.Event]{Validate: validateEvent}.Strategy()
	strategy.AllowUnconditionalUpdate = true
	strategy.AllowCreateOnUpdate = true
	strategy.TTL = ttl
	strategy.Dependents = registry.Ignored
	strategy.FieldNames = []string{
		"involvedObject.kind", "involvedObject.namespace", "involvedObject.name", "involvedObject.uid",
		"involvedObject.apiVersion", "involvedObject.resourceVersion", "involvedObject.fieldPath",
		"reason", "reportingComponent", "source", "type",
	}
	strategy.Fields = eventFields
	// An event's name is its object's name with a suffix; the registry's default name rule fits.
	return registry.Resource{
		GroupVersion: corev1.SchemeGroupVersion,
		Kind:         "Event",
		Name:         "events",
		SingularName: "event",
		ShortNames:   []string{"ev"},
		Namespaced:   true,
		New:          func() runtime.Object { return &corev1.Event{} },
		NewList:      func() runtime.Object { return &corev1.EventList{} },
		Strategy:     strategy,
		Table: declare.Table(eventCells,
			declare.Column("Last Seen", corev1.Event{}.SwaggerDoc()["lastTimestamp"]),
			declare.Column("Type", corev1.Event{}.SwaggerDoc()["type"]),
			declare.Column("Reason", corev1.Event{}.SwaggerDoc()["reason"]),
			declare.Column("Object", corev1.Event{}.SwaggerDoc()["involvedObject"]),
			declare.Wide(declare.Column("Subobject", corev1.ObjectReference{}.SwaggerDoc()["fieldPath"])),
			declare.Wide(declare.Column("Source", corev1.Event{}.SwaggerDoc()["source"])),
			declare.Column("Message", corev1.Event{}.SwaggerDoc()["message"]),
			declare.Wide(declare.Column("First Seen", corev1.Event{}.SwaggerDoc()["firstTimestamp"])),
			declare.Wide(declare.Column("Count", corev1.Event{}.SwaggerDoc()["count"])),
			declare.Wide(declare.NameColumn())),
	}
}

func eventFields(object []byte) fields.Set {
	var event struct {
		InvolvedObject     corev1.ObjectReference `json:"involvedObject"`
		Reason             string                 `json:"reason"`
		ReportingComponent string                 `json:"reportingComponent"`
		Source             corev1.EventSource     `json:"source"`
		Type               string                 `json:"type"`
	}
	if err := json.Unmarshal(object, &event); err != nil {
		return nil
	}
	// A client that sets only one of the two ways to name the reporter is found by it.
	source := event.Source.Component
	if source == "" {
		source = event.ReportingComponent
	}
	return fields.Set{
		"involvedObject.kind":            event.InvolvedObject.Kind,
		"involvedObject.namespace":       event.InvolvedObject.Namespace,
		"involvedObject.name":            event.InvolvedObject.Name,
		"involvedObject.uid":             string(event.InvolvedObject.UID),
		"involvedObject.apiVersion":      event.InvolvedObject.APIVersion,
		"involvedObject.resourceVersion": event.InvolvedObject.ResourceVersion,
		"involvedObject.fieldPath":       event.InvolvedObject.FieldPath,
		"reason":                         event.Reason,
		"reportingComponent":             event.ReportingComponent,
		"source":                         source,
		"type":                           event.Type,
	}
}

// validateEvent holds an event to the namespace of what it is about, because that is where its
// readers look; an event about a cluster-scoped object lives in default.
func validateEvent(e *corev1.Event) field.ErrorList {
	about := e.InvolvedObject.Namespace
	agrees := e.Namespace == about
	if about == "" {
		agrees = e.Namespace == metav1.NamespaceDefault || !e.EventTime.IsZero() && e.Namespace == metav1.NamespaceSystem
	}
	var errs field.ErrorList
	if !agrees {
		errs = append(errs, field.Invalid(field.NewPath("involvedObject", "namespace"), about, "does not match event.namespace"))
	}
	if e.EventTime.IsZero() {
		return errs
	}

	// Only recorders of the newer API set eventTime, and promise the rest with it.
	if e.ReportingController == "" {
		errs = append(errs, field.Required(field.NewPath("reportingComponent"), ""))
	} else {
		errs = append(errs, declare.Invalid(validation.IsQualifiedName(e.ReportingController), field.NewPath("reportingComponent"), e.ReportingController)...)
	}
	errs = append(errs, requiredText(e.ReportingInstance, field.NewPath("reportingInstance"))...)
	errs = append(errs, requiredText(e.Action, field.NewPath("action"))...)
	errs = append(errs, requiredText(e.Reason, field.NewPath("reason"))...)
	if len(e.Message) > maxEventNote {
		errs = append(errs, field.TooLong(field.NewPath("message"), "", maxEventNote))
	}
	return errs
}

func requiredText(text string, path *field.Path) field.ErrorList {
	switch {
	case text == "":
		return field.ErrorList{field.Required(path, "")}
	case len(text) > maxEventText:
		return field.ErrorList{field.TooLong(path, "", maxEventText)}
	}
	return nil
}

func eventCells(e *corev1.Event) []any {
	first := declare.Since(e.FirstTimestamp.Time)
	if e.FirstTimestamp.IsZero() {
		first = declare.Since(e.EventTime.Time)
	}
	last, count := declare.Since(e.LastTimestamp.Time), max(e.Count, 1)
	if e.LastTimestamp.IsZero() {
		last = first
	}
	if e.Series != nil {
		last, count = declare.Since(e.Series.LastObservedTime.Time), e.Series.Count
	}
	object := e.InvolvedObject.Name
	if kind := e.InvolvedObject.Kind; kind != "" {
		object = fmt.Sprintf("%s/%s", strings.ToLower(kind), object)
	}
	return []any{last, e.Type, e.Reason, object, e.InvolvedObject.FieldPath, eventSource(e), e.Message, first, int64(count), e.Name}
}

func eventSource(e *corev1.Event) string {
	component, host := e.Source.Component, e.Source.Host
	if component == "" {
		component = e.ReportingController
	}
	if host == "" {
		host = e.ReportingInstance
	}
	if host == "" {
		return component
	}
	return component + ", " + host
}
