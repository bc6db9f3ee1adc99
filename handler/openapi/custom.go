package openapi

import (
	"maps"
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
	return d.schemas.custom(r.Kind, func() *spec.Schema {
		m := *r.Schema
		m.Properties = maps.Clone(m.Properties)
		if m.Properties == nil {
			m.Properties = map[string]spec.Schema{}
		}
		m.Properties["metadata"] = *d.schemas.model(metav1.ObjectMeta{})
		return &m
	})
}

// collection is the model of a list of a resource's objects.
func (d *describer) collection(r *Resource) *spec.Schema {
	kind := r.Kind.GroupVersion().WithKind(r.Kind.Kind + "List")
	if r.Schema == nil {
		return d.schemas.model(r.List, kind)
	}
	if r.ListKind != "" {
		kind.Kind = r.ListKind
	}
	return d.schemas.custom(kind, func() *spec.Schema {
		m := simple("object", "")
		m.Description = kind.Kind + " is a list of " + r.Kind.Kind
		m.Required = []string{"items"}
		m.Properties = map[string]spec.Schema{"metadata": *d.schemas.model(metav1.ListMeta{}), "items": *spec.ArrayProperty(d.object(r))}
		return m
	})
}

// custom makes a model of a kind unless it is there, and returns a reference to it.
func (s *schemas) custom(kind schema.GroupVersionKind, define func() *spec.Schema) *spec.Schema {
	parts := strings.Split(kind.Group, ".")
	slices.Reverse(parts)
	name := strings.Join(append(parts, kind.Version, util.ToRESTFriendlyName(kind.Kind)), ".")
	if s.byName[name] == nil {
		s.byName[name] = &spec.Schema{} // before its fields: a list refers to its objects
		m := define()
		texts := metav1.TypeMeta{}.SwaggerDoc()
		for _, field := range []string{"apiVersion", "kind"} {
			text := simple("string", "")
			text.Description = texts[field]
			m.Properties[field] = *text
		}
		*s.byName[name] = *m
		s.mark(name, kind)
	}
	return &spec.Schema{SchemaProps: spec.SchemaProps{Ref: spec.MustCreateRef(refPrefix + name)}}
}
