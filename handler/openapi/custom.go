package openapi

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/kube-openapi/pkg/util"
	"k8s.io/kube-openapi/pkg/validation/spec"
)

// This file is for kinds without a Go type: what they are like, their definition says.

// patches are the languages that changes of a resource's objects can be described in. A strategic patch needs a Go type, and clients
// look here whether they can use one.
func (r *Resource) patches() []string {
	if r.Schema == nil {
		return patches
	}
	return slices.DeleteFunc(slices.Clone(patches), func(media string) bool { return media == "application/strategic-merge-patch+json" })
}

// object is the model of a resource's objects.
func (d *describer) object(r *Resource) *spec.Schema {
	if r.Schema == nil {
		return d.schemas.model(r.Object, r.Kind)
	}
	return d.schemas.custom(r.Kind, func(properties map[string]spec.Schema) (*spec.Schema, error) {
		properties["metadata"] = *d.schemas.model(metav1.ObjectMeta{})
		return asWritten(r.Schema, properties)
	})
}

// asWritten is a schema with some properties of its own. Its parts stay text: there may be thousands of them, and whoever reads the document
// gets text. See whole.
func asWritten(text json.RawMessage, properties map[string]spec.Schema) (*spec.Schema, error) {
	var members, all map[string]json.RawMessage
	if err := json.Unmarshal(text, &members); err != nil {
		return nil, fmt.Errorf("reading a schema: %w", err)
	}
	if own, ok := members["properties"]; ok {
		if err := json.Unmarshal(own, &all); err != nil {
			return nil, fmt.Errorf("reading the properties of a schema: %w", err)
		}
	}
	if all == nil {
		all = map[string]json.RawMessage{}
	}
	for name, p := range properties {
		body, err := json.Marshal(p)
		if err != nil {
			return nil, fmt.Errorf("encoding a schema: %w", err)
		}
		all[name] = body
	}
	m := &spec.Schema{ExtraProps: map[string]any{"properties": all}}
	for name, member := range members {
		if name != "properties" {
			m.ExtraProps[name] = member
		}
	}
	return m, nil
}

// whole is a schema without parts that are text.
func whole(s *spec.Schema) (*spec.Schema, error) {
	if len(s.ExtraProps) == 0 {
		return s, nil
	}
	text, err := s.MarshalJSON()
	if err != nil {
		return nil, fmt.Errorf("encoding a schema: %w", err)
	}
	read := &spec.Schema{}
	if err := read.UnmarshalJSON(text); err != nil {
		return nil, fmt.Errorf("reading a schema: %w", err)
	}
	return read, nil
}

// collection is the model of a list of a resource's objects.
func (d *describer) collection(r *Resource) *spec.Schema {
	if r.Schema == nil {
		return d.schemas.model(r.List, r.Kind.GroupVersion().WithKind(r.Kind.Kind+"List"))
	}
	kind := r.Kind.GroupVersion().WithKind(r.listKind())
	return d.schemas.custom(kind, func(properties map[string]spec.Schema) (*spec.Schema, error) {
		m := simple("object", "")
		m.Description = kind.Kind + " is a list of " + r.Kind.Kind
		m.Required = []string{"items"}
		m.Properties = properties
		properties["metadata"], properties["items"] = *d.schemas.model(metav1.ListMeta{}), *spec.ArrayProperty(d.object(r))
		return m, nil
	})
}

// custom makes a model of a kind unless it is there, and returns a reference to it. define is given the properties that all kinds have.
func (s *schemas) custom(kind schema.GroupVersionKind, define func(properties map[string]spec.Schema) (*spec.Schema, error)) *spec.Schema {
	parts := strings.Split(kind.Group, ".")
	slices.Reverse(parts)
	name := strings.Join(append(parts, kind.Version, util.ToRESTFriendlyName(kind.Kind)), ".")
	if s.byName[name] == nil {
		s.byName[name] = &spec.Schema{} // before its fields: a list refers to its objects
		texts, properties := metav1.TypeMeta{}.SwaggerDoc(), map[string]spec.Schema{}
		for _, field := range []string{"apiVersion", "kind"} {
			text := simple("string", "")
			text.Description = texts[field]
			properties[field] = *text
		}
		m, err := define(properties)
		if err != nil && s.err == nil {
			s.err = fmt.Errorf("describing %s: %w", kind, err)
		}
		if err == nil {
			*s.byName[name] = *m
			s.mark(name, kind)
		}
	}
	return &spec.Schema{SchemaProps: spec.SchemaProps{Ref: spec.MustCreateRef(refPrefix + name)}}
}
