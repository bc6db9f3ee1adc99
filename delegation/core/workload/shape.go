package workload

import (
	"encoding/json"
	"reflect"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// member is one field of a struct as it is in JSON.
type member struct {
	index    int
	name     string // empty for what is inlined
	required bool
}

var (
	marshaler  = reflect.TypeFor[json.Marshaler]()
	objectMeta = reflect.TypeFor[metav1.ObjectMeta]()
	typeMeta   = reflect.TypeFor[metav1.TypeMeta]()
)

// opaque tells of types that are one value in JSON, or that the registry checks.
func opaque(t reflect.Type) bool {
	return t == objectMeta || t == typeMeta || t.Implements(marshaler) || reflect.PointerTo(t).Implements(marshaler)
}

// members are the fields of a struct type; they are found out once.
func (r *rules) members(t reflect.Type) []member {
	if known, ok := r.shapes.Load(t); ok {
		return known.([]member)
	}
	var all []member
	for i := range t.NumField() {
		f := t.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "-" || !f.IsExported() || name == "" && !f.Anonymous {
			continue
		}
		required := name != "" && !strings.Contains(options, "omitempty") && !strings.Contains(options, "omitzero")
		all = append(all, member{index: i, name: name, required: required && !r.mayBeEmpty[spot{t, name}]})
	}
	known, _ := r.shapes.LoadOrStore(t, all)
	return known.([]member)
}

// fill sets what is left out in v and in everything below it.
func (r *rules) fill(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			r.fill(v.Elem())
		}
	case reflect.Slice:
		if holdsStructs(v.Type().Elem()) {
			for i := range v.Len() {
				r.fill(v.Index(i))
			}
		}
	case reflect.Struct:
		if opaque(v.Type()) {
			return
		}
		if set, ok := r.defaults[v.Type()]; ok {
			set(v.Addr().Interface())
		}
		for _, m := range r.members(v.Type()) {
			if m.name != "status" {
				r.fill(v.Field(m.index))
			}
		}
	}
}

func holdsStructs(t reflect.Type) bool {
	return t.Kind() == reflect.Struct || t.Kind() == reflect.Pointer && t.Elem().Kind() == reflect.Struct
}

// check finds what is missing or cannot be in v and in everything below it. The status of a kind is not looked at: it
// is what a controller saw, and comes in by another door.
func (r *rules) check(v reflect.Value, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			return r.check(v.Elem(), path)
		}
	case reflect.String:
		if known, ok := r.enums[v.Type()]; ok && v.Len() > 0 && !known[v.String()] {
			errs = append(errs, field.NotSupported(path, v.String(), sortedKeys(known)))
		}
	case reflect.Slice:
		for i := 0; i < v.Len() && (holdsStructs(v.Type().Elem()) || v.Type().Elem().Kind() == reflect.String); i++ {
			errs = append(errs, r.check(v.Index(i), path.Index(i))...)
		}
	case reflect.Struct:
		if opaque(v.Type()) {
			return nil
		}
		errs = r.checkMembers(v, path)
		if own, ok := r.checks[v.Type()]; ok {
			errs = append(errs, own(v.Addr().Interface(), path)...)
		}
	}
	return errs
}

func (r *rules) checkMembers(v reflect.Value, path *field.Path) field.ErrorList {
	var errs field.ErrorList
	for _, m := range r.members(v.Type()) {
		if m.name == "status" && v.Field(m.index).Kind() == reflect.Struct {
			continue
		}
		at := path
		if m.name != "" {
			at = child(path, m.name)
		}
		value := v.Field(m.index)
		if m.required && missing(value) {
			errs = append(errs, field.Required(at, ""))
			continue
		}
		errs = append(errs, r.check(value, at)...)
	}
	return errs
}

// child is path.Child, from the root of an object too.
func child(path *field.Path, name string) *field.Path {
	if path == nil {
		return field.NewPath(name)
	}
	return path.Child(name)
}

// missing tells whether nothing stands for a value in JSON. Numbers, flags and structs always stand for something.
func missing(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.String, reflect.Slice, reflect.Map:
		return v.Len() == 0
	case reflect.Pointer:
		return v.IsNil()
	}
	return false
}
