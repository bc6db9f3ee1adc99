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

// forms are those of some media types that a resource's objects can be had in. Only a Go type says how its fields are numbered in protobuf.
func (r *Resource) forms(media []string) []string {
	media = slices.Clone(media)
	if r.Schema == nil {
		return media
	}
	return slices.DeleteFunc(media, func(form string) bool { return strings.HasPrefix(form, "application/vnd.kubernetes.protobuf") })
}

// object is the model of a resource's objects.
func (d *describer) object(r *Resource) *spec.Schema {
	if r.Schema == nil {
		return d.schemas.model(r.Object, r.Kind)
	}
	return d.schemas.custom(r.Kind, func() (*spec.Schema, error) {
		properties := d.schemas.objectProperties()
		text, err := embedding(r.Schema, properties)
		if err != nil {
			return nil, err
		}
		m, err := asWritten(text, properties)
		if err != nil {
			return nil, err
		}
		return r.selectable(m), nil
	})
}

// selectable notes in a model by which fields its objects can be selected.
func (r *Resource) selectable(m *spec.Schema) *spec.Schema {
	if len(r.SelectableFields) > 0 {
		var paths []any
		for _, path := range r.SelectableFields {
			paths = append(paths, map[string]any{"fieldPath": strings.TrimPrefix(path, ".")})
		}
		m.AddExtension("x-kubernetes-selectable-fields", paths)
	}
	return m
}

// described is a reference with a text of its own, beside which it cannot stand.
func described(ref *spec.Schema, text string) *spec.Schema {
	return &spec.Schema{SchemaProps: spec.SchemaProps{Description: text, AllOf: []spec.Schema{*ref}}}
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
	return d.schemas.custom(kind, func() (*spec.Schema, error) {
		properties := typeProperties()
		m := simple("object", "")
		m.Description = kind.Kind + " is a list of " + r.Kind.Kind
		m.Required = []string{"items"}
		m.Properties = properties
		properties["metadata"] = *described(d.schemas.model(metav1.ListMeta{}), metav1.PartialObjectMetadataList{}.SwaggerDoc()["metadata"])
		properties["items"] = *spec.ArrayProperty(d.object(r)).WithDescription("List of " + r.Name + ".")
		return r.selectable(m), nil
	})
}

// typeProperties are the properties that all kinds have.
func typeProperties() map[string]spec.Schema {
	texts, properties := metav1.TypeMeta{}.SwaggerDoc(), map[string]spec.Schema{}
	for _, field := range []string{"apiVersion", "kind"} {
		text := simple("string", "")
		text.Description = texts[field]
		properties[field] = *text
	}
	return properties
}

// objectProperties are those that all objects have. Their metadata refer to a model, which schemas has then.
func (s *schemas) objectProperties() map[string]spec.Schema {
	properties := typeProperties()
	properties["metadata"] = *described(s.model(metav1.ObjectMeta{}), metav1.PartialObjectMetadata{}.SwaggerDoc()["metadata"])
	return properties
}

// custom makes a model of a kind unless it is there, and returns a reference to it.
func (s *schemas) custom(kind schema.GroupVersionKind, define func() (*spec.Schema, error)) *spec.Schema {
	parts := strings.Split(kind.Group, ".")
	slices.Reverse(parts)
	name := strings.Join(append(parts, kind.Version, util.ToRESTFriendlyName(kind.Kind)), ".")
	if s.byName[name] == nil {
		s.byName[name] = &spec.Schema{} // before its fields: a list refers to its objects
		m, err := define()
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
