// Package fieldtypes is the language that a unit tells its registries in what the fields of its kinds are:
// that a list is a set or a map, or is replaced as a whole, cannot be seen in the Go types.
//
// The client libraries know it of the kinds that they have, in YAML of 390 KB for client-go, which costs more
// to parse than the rest of a first start, and in packages that bring every group there is with them. So the
// part for what is served is generated from theirs, as Go in the words of this package, and a test of each
// unit holds its table to the library.
package fieldtypes

import (
	"sync"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/managedfields"
	"sigs.k8s.io/structured-merge-diff/v6/schema"
	"sigs.k8s.io/structured-merge-diff/v6/typed"
)

// New returns what registry.Config.Types takes: the types of table, which is asked for when it is needed
// first. scheme names them.
func New(scheme *runtime.Scheme, table func() []schema.TypeDef) func() (managedfields.TypeConverter, error) {
	return sync.OnceValues(func() (managedfields.TypeConverter, error) {
		parser := &typed.Parser{Schema: schema.Schema{Types: table()}}
		return managedfields.NewSchemeTypeConverter(scheme, parser), nil
	})
}

// The words below are not inlined: a table says thousands of them once, and what Go keeps of each inlined call was more
// than the table.

// Define gives a type its name.
//
//go:noinline
func Define(name string, as schema.Atom) schema.TypeDef { return schema.TypeDef{Name: name, Atom: as} }

// Named refers to a type by its name.
//
//go:noinline
func Named(name string) schema.TypeRef { return schema.TypeRef{NamedType: &name} }

// Related refers to a type whose elements are merged in another way than it says itself.
//
//go:noinline
func Related(how schema.ElementRelationship, ref schema.TypeRef) schema.TypeRef {
	ref.ElementRelationship = &how
	return ref
}

// Inline is a type without a name.
//
//go:noinline
func Inline(as schema.Atom) schema.TypeRef { return schema.TypeRef{Inlined: as} }

// Scalar is a single value.
//
//go:noinline
func Scalar(as schema.Scalar) schema.Atom { return schema.Atom{Scalar: &as} }

// List is a list; associative ones are sets, or maps by keys.
//
//go:noinline
func List(how schema.ElementRelationship, of schema.TypeRef, keys ...string) schema.Atom {
	return schema.Atom{List: &schema.List{ElementType: of, ElementRelationship: how, Keys: keys}}
}

// Object has fields of its own, others that are all alike, or both.
//
//go:noinline
func Object(how schema.ElementRelationship, of schema.TypeRef, fields ...schema.StructField) schema.Atom {
	return schema.Atom{Map: &schema.Map{Fields: fields, ElementType: of, ElementRelationship: how}}
}

// Anything may be a single value, a list or an object.
//
//go:noinline
func Anything(as schema.Scalar, list, object schema.Atom) schema.Atom {
	return schema.Atom{Scalar: &as, List: list.List, Map: object.Map}
}

// Has is a field of an object.
//
//go:noinline
func Has(name string, of schema.TypeRef) schema.StructField {
	return schema.StructField{Name: name, Type: of}
}

// HasOr is a field that counts as value where it is left out.
//
//go:noinline
func HasOr(value any, name string, of schema.TypeRef) schema.StructField {
	return schema.StructField{Name: name, Type: of, Default: value}
}

// Both are the types of two tables; what is in both is taken from the first.
func Both(one, other func() []schema.TypeDef) func() []schema.TypeDef {
	return func() []schema.TypeDef {
		all := one()
		known := make(map[string]bool, len(all))
		for _, t := range all {
			known[t.Name] = true
		}
		for _, t := range other() {
			if !known[t.Name] {
				all = append(all, t)
			}
		}
		return all
	}
}
