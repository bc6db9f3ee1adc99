package openapi

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/kube-openapi/pkg/util"
	"k8s.io/kube-openapi/pkg/validation/spec"
)

const refPrefix = "#/components/schemas/"

// schemas are the models of one document, made from Go types by reflection.
type schemas struct {
	byName map[string]*spec.Schema
	texts  texts
	err    error // the first type that has no JSON form
}

func newSchemas() *schemas { return &schemas{byName: map[string]*spec.Schema{}} }

// model makes the model of a value's type, and returns a reference to it.
func (s *schemas) model(value any, kinds ...schema.GroupVersionKind) *spec.Schema {
	t := reflect.TypeOf(value)
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	ref := s.of(t)
	for _, kind := range kinds {
		if t.Name() == "" || t.Name() == kind.Kind { // what a subresource is asked with, such as a Pod's log, is no object of its kind
			s.mark(modelName(t), kind)
		}
	}
	return ref
}

// mark tells clients which kind a model is.
func (s *schemas) mark(name string, kind schema.GroupVersionKind) {
	m := s.byName[name]
	if m == nil {
		return
	}
	entry := map[string]any{"group": kind.Group, "version": kind.Version, "kind": kind.Kind}
	marks, _ := m.Extensions[extensionKind].([]any)
	for _, have := range marks {
		if reflect.DeepEqual(have, entry) {
			return
		}
	}
	m.AddExtension(extensionKind, append(marks, entry))
}

// Types say themselves what they are in JSON where the Go type does not show it.
type (
	schemaTyper  interface{ OpenAPISchemaType() []string }
	schemaFormat interface{ OpenAPISchemaFormat() string }
	oneOfTyper   interface{ OpenAPIV3OneOfTypes() []string }
	modelNamer   interface{ OpenAPIModelName() string }
	marshaler    = json.Marshaler
)

var marshalerType = reflect.TypeFor[marshaler]()

// of is the schema of a type where it is used: a reference for what has a model, the whole schema for the rest.
func (s *schemas) of(t reflect.Type) *spec.Schema {
	switch t.Kind() {
	case reflect.Pointer:
		return s.of(t.Elem())
	case reflect.Struct:
		return s.reference(t)
	case reflect.Interface:
		return &spec.Schema{} // anything
	case reflect.Map:
		if t.Key().Kind() != reflect.String {
			return s.fail(t)
		}
		return spec.MapProperty(s.of(t.Elem()))
	case reflect.Slice, reflect.Array:
		if t.Elem().Kind() == reflect.Uint8 {
			return simple("string", "byte")
		}
		return spec.ArrayProperty(s.of(t.Elem()))
	case reflect.String:
		return simple("string", "")
	case reflect.Bool:
		return simple("boolean", "")
	case reflect.Int64, reflect.Uint64, reflect.Uint32:
		return simple("integer", "int64")
	case reflect.Int, reflect.Uint, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Uint8, reflect.Uint16:
		return simple("integer", "int32")
	case reflect.Float32, reflect.Float64:
		return simple("number", "double")
	}
	return s.fail(t)
}

func simple(typ, format string) *spec.Schema {
	return &spec.Schema{SchemaProps: spec.SchemaProps{Type: []string{typ}, Format: format}}
}

func (s *schemas) fail(t reflect.Type) *spec.Schema {
	if s.err == nil {
		s.err = fmt.Errorf("type %s has no form in JSON", t)
	}
	return &spec.Schema{}
}

// modelName is the field's name for a type: io.k8s.api.core.v1.ConfigMap.
func modelName(t reflect.Type) string {
	if n, ok := reflect.Zero(t).Interface().(modelNamer); ok {
		return n.OpenAPIModelName()
	}
	return util.ToRESTFriendlyName(t.PkgPath() + "." + t.Name())
}

// reference makes the model of a struct unless it is there, and returns a reference to it.
func (s *schemas) reference(t reflect.Type) *spec.Schema {
	if t.Name() == "" {
		return s.object(t)
	}
	name := modelName(t)
	if _, ok := s.byName[name]; !ok {
		s.byName[name] = &spec.Schema{} // before its fields: a type may contain itself
		*s.byName[name] = *s.define(t)
	}
	return &spec.Schema{SchemaProps: spec.SchemaProps{Ref: spec.MustCreateRef(refPrefix + name)}}
}

// define makes the model of a named struct.
func (s *schemas) define(t reflect.Type) *spec.Schema {
	var m *spec.Schema
	value := reflect.Zero(t).Interface()
	if oneOf, ok := value.(oneOfTyper); ok {
		m = &spec.Schema{}
		for _, typ := range oneOf.OpenAPIV3OneOfTypes() {
			m.OneOf = append(m.OneOf, *simple(typ, ""))
		}
		if f, ok := value.(schemaFormat); ok {
			m.Format = f.OpenAPISchemaFormat()
		}
	} else if typer, ok := value.(schemaTyper); ok {
		m = &spec.Schema{SchemaProps: spec.SchemaProps{Type: typer.OpenAPISchemaType()}}
		if f, ok := value.(schemaFormat); ok {
			m.Format = f.OpenAPISchemaFormat()
		}
	} else if t.Implements(marshalerType) || reflect.PointerTo(t).Implements(marshalerType) {
		// RawExtension, FieldsV1: some object that only their reader knows.
		m = simple("object", "")
	} else {
		m = s.object(t)
	}
	m.Description = s.texts.of(t)[""]
	return m
}

// object is a struct, field by field.
func (s *schemas) object(t reflect.Type) *spec.Schema {
	m := simple("object", "")
	m.Properties = map[string]spec.Schema{}
	s.fields(m, t, s.texts.of(t))
	if len(m.Properties) == 0 {
		m.Properties = nil
	}
	return m
}

func (s *schemas) fields(m *spec.Schema, t reflect.Type, texts map[string]string) {
	for i := range t.NumField() {
		f := t.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case name == "-" || !f.IsExported():
			continue
		case strings.Contains(options, "inline") || f.Anonymous && name == "":
			s.inline(m, f.Type)
			continue
		case name == "":
			name = f.Name
		}
		m.Properties[name] = *s.property(f, texts[name])
		if !strings.Contains(options, "omit") && !slices.Contains(mayBeLeftOut[modelName(t)], name) {
			m.Required = append(m.Required, name)
		}
	}
}

func (s *schemas) inline(m *spec.Schema, t reflect.Type) {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t.Kind() == reflect.Struct {
		s.fields(m, t, s.texts.of(t))
	}
}

func (s *schemas) property(f reflect.StructField, text string) *spec.Schema {
	p := s.of(f.Type)
	strategy, key := f.Tag.Get("patchStrategy"), f.Tag.Get("patchMergeKey")
	if p.Ref.String() != "" && (text != "" || strategy != "") {
		// Nothing may stand beside a reference.
		p = &spec.Schema{SchemaProps: spec.SchemaProps{AllOf: []spec.Schema{*p}}}
	}
	p.Description = text
	if strategy != "" {
		p.AddExtension("x-kubernetes-patch-strategy", strategy)
	}
	if key != "" {
		p.AddExtension("x-kubernetes-patch-merge-key", key)
	}
	return p
}
