package core

import (
	"sync"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/managedfields"
	"sigs.k8s.io/structured-merge-diff/v6/schema"
	"sigs.k8s.io/structured-merge-diff/v6/typed"

	"github.com/portico-api/portico/delegation/registry"
)

// newFieldTypes returns what the registries of the built-in kinds know their fields by: that a list is a set
// or a map cannot be seen in the Go types. client-go knows it of all kinds there are, in YAML that costs more
// to parse than the rest of a first start. So the part for what is served here is generated from client-go's,
// and a test holds it to that.
func newFieldTypes(scheme *runtime.Scheme) registry.FieldTypes {
	return sync.OnceValues(func() (managedfields.TypeConverter, error) {
		parser := &typed.Parser{Schema: schema.Schema{Types: generatedFieldTypes()}}
		return managedfields.NewSchemeTypeConverter(scheme, parser), nil
	})
}

// The generated table is written in the words below.

func define(name string, as schema.Atom) schema.TypeDef { return schema.TypeDef{Name: name, Atom: as} }

func named(name string) schema.TypeRef { return schema.TypeRef{NamedType: &name} }

// related refers to a type whose elements are to be merged in another way than it says itself.
func related(how schema.ElementRelationship, ref schema.TypeRef) schema.TypeRef {
	ref.ElementRelationship = &how
	return ref
}

func inline(as schema.Atom) schema.TypeRef { return schema.TypeRef{Inlined: as} }

func scalar(as schema.Scalar) schema.Atom { return schema.Atom{Scalar: &as} }

func list(how schema.ElementRelationship, of schema.TypeRef, keys ...string) schema.Atom {
	return schema.Atom{List: &schema.List{ElementType: of, ElementRelationship: how, Keys: keys}}
}

// object is a map with fields of its own, with others that are all alike, or with both.
func object(how schema.ElementRelationship, of schema.TypeRef, fields ...schema.StructField) schema.Atom {
	return schema.Atom{Map: &schema.Map{Fields: fields, ElementType: of, ElementRelationship: how}}
}

func anything(as schema.Scalar, l, m schema.Atom) schema.Atom {
	return schema.Atom{Scalar: &as, List: l.List, Map: m.Map}
}

func has(name string, of schema.TypeRef) schema.StructField {
	return schema.StructField{Name: name, Type: of}
}

// hasOr is a field that has a value when nobody sets it.
func hasOr(value any, name string, of schema.TypeRef) schema.StructField {
	return schema.StructField{Name: name, Type: of, Default: value}
}
