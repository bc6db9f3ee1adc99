package core

import (
	"errors"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/kube-openapi/pkg/spec3"
	"k8s.io/kube-openapi/pkg/validation/spec"
)

// kinds knows what the objects of this unit look like, from the documents that clients may read.
type kinds struct {
	stores   *stores
	document func(path string) (*spec3.OpenAPI, error)
}

// KindOf implements admission.Kinds.
func (k *kinds) KindOf(resource schema.GroupVersionResource) (schema.GroupVersionKind, bool) {
	for _, o := range k.stores.all {
		if o.resource.GroupVersion.WithResource(o.resource.Name) == resource {
			return o.resource.GroupVersion.WithKind(o.resource.Kind), true
		}
	}
	return schema.GroupVersionKind{}, false
}

// SchemaOf implements admission.Kinds.
func (k *kinds) SchemaOf(kind schema.GroupVersionKind) (*spec.Schema, error) {
	path := "apis/" + kind.GroupVersion().String()
	if kind.Group == "" {
		path = "api/" + kind.Version
	}
	document, err := k.document(path)
	if err != nil || document == nil || document.Components == nil {
		return nil, err
	}
	for name, model := range document.Components.Schemas {
		if isOfKind(model, kind) {
			return resolve(document.Components.Schemas, name, nil)
		}
	}
	return nil, nil
}

// isOfKind tells whether a model says that it is of a kind, and of no other: options of verbs say so of all kinds.
func isOfKind(model *spec.Schema, kind schema.GroupVersionKind) bool {
	said, ok := model.Extensions["x-kubernetes-group-version-kind"].([]any)
	if !ok || len(said) != 1 {
		return false
	}
	entry, ok := said[0].(map[string]any)
	return ok && entry["group"] == kind.Group && entry["version"] == kind.Version && entry["kind"] == kind.Kind
}

const modelPrefix = "#/components/schemas/"

// resolve returns a model with all that it refers to in its place. What contains itself may be anything there.
func resolve(models map[string]*spec.Schema, name string, within []string) (*spec.Schema, error) {
	model := models[name]
	if model == nil {
		return nil, errors.New("the document refers to " + name + ", which it does not have")
	}
	if slices.Contains(within, name) {
		anything := &spec.Schema{SchemaProps: spec.SchemaProps{Type: []string{"object"}}}
		anything.AddExtension("x-kubernetes-preserve-unknown-fields", true)
		return anything, nil
	}
	return resolveIn(models, model, append(within, name))
}

func resolveIn(models map[string]*spec.Schema, s *spec.Schema, within []string) (*spec.Schema, error) {
	if s == nil {
		return nil, nil
	}
	ref := s.Ref.String()
	if ref == "" && len(s.AllOf) == 1 { // a reference with a text of its own
		ref = s.AllOf[0].Ref.String()
	}
	if ref != "" {
		return resolve(models, strings.TrimPrefix(ref, modelPrefix), within)
	}
	resolved := *s
	var err error
	if len(s.Properties) > 0 {
		resolved.Properties = make(map[string]spec.Schema, len(s.Properties))
	}
	for name := range s.Properties {
		property := s.Properties[name]
		inner, err := resolveIn(models, &property, within)
		if err != nil {
			return nil, err
		}
		resolved.Properties[name] = *inner
	}
	if s.Items != nil {
		items := spec.SchemaOrArray{}
		if items.Schema, err = resolveIn(models, s.Items.Schema, within); err != nil {
			return nil, err
		}
		resolved.Items = &items
	}
	if s.AdditionalProperties != nil {
		more := spec.SchemaOrBool{Allows: s.AdditionalProperties.Allows}
		if more.Schema, err = resolveIn(models, s.AdditionalProperties.Schema, within); err != nil {
			return nil, err
		}
		resolved.AdditionalProperties = &more
	}
	return &resolved, nil
}
