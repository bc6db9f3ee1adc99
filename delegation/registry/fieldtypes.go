package registry

import (
	"fmt"
	"sync"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/managedfields"
	smdschema "sigs.k8s.io/structured-merge-diff/v6/schema"
	"sigs.k8s.io/structured-merge-diff/v6/typed"
	"sigs.k8s.io/structured-merge-diff/v6/value"
)

// fieldTypes turns objects of one kind into values with a schema, as field managers compare and merge
// them, and back. It does so at less cost than the converter behind it, which it asks for everything else:
// what was decoded into a Go type or was stored is not checked against the schema again, and a value becomes
// an object only when somebody looks into it.
type fieldTypes struct {
	kind   schema.GroupVersionKind
	object func() runtime.Object
	load   FieldTypes

	once      sync.Once
	converter managedfields.TypeConverter
	schema    *smdschema.Schema
	ref       smdschema.TypeRef
	err       error
}

// FieldTypes loads what is known of the fields of a server's kinds. Each registry calls it once, for the
// first write.
type FieldTypes func() (managedfields.TypeConverter, error)

func newFieldTypes(load FieldTypes, kind schema.GroupVersionKind, object func() runtime.Object) *fieldTypes {
	return &fieldTypes{kind: kind, object: object, load: load}
}

// empty is an object of the kind that nobody has written to.
func (t *fieldTypes) empty() runtime.Object {
	obj := t.object()
	obj.GetObjectKind().SetGroupVersionKind(t.kind)
	return obj
}

// resolve finds the schema of the kind.
func (t *fieldTypes) resolve() error {
	t.once.Do(func() {
		if t.converter, t.err = t.load(); t.err != nil {
			return
		}
		empty, err := t.converter.ObjectToTyped(t.empty())
		if err != nil {
			t.err = err
			return
		}
		t.schema, t.ref = empty.Schema(), empty.TypeRef()
	})
	if t.err != nil {
		return fmt.Errorf("finding the field types of %s: %w", t.kind.Kind, t.err)
	}
	return nil
}

// ObjectToTyped gives obj its schema. Objects that come with options are our own and right; what comes
// without, a client has sent for being applied.
func (t *fieldTypes) ObjectToTyped(obj runtime.Object, opts ...typed.ValidationOptions) (*typed.TypedValue, error) {
	if err := t.resolve(); err != nil {
		return nil, err
	}
	if len(opts) == 0 || obj.GetObjectKind().GroupVersionKind() != t.kind {
		return t.converter.ObjectToTyped(obj, opts...)
	}
	if u, ok := obj.(runtime.Unstructured); ok {
		return typed.AsTypedUnvalidated(value.NewValueInterface(u.UnstructuredContent()), t.schema, t.ref), nil
	}
	v, err := value.NewValueReflect(obj)
	if err != nil {
		return nil, fmt.Errorf("reading the fields of a %s: %w", t.kind.Kind, err)
	}
	return typed.AsTypedUnvalidated(v, t.schema, t.ref), nil
}

// TypedToObject promises an object. Most of the time only its version is of interest.
func (t *fieldTypes) TypedToObject(v *typed.TypedValue) (runtime.Object, error) {
	root := v.AsValue()
	if !root.IsMap() {
		return nil, fmt.Errorf("a %s is no object", t.kind.Kind)
	}
	fields := root.AsMap()
	text := func(name string) string {
		if field, ok := fields.Get(name); ok && field.IsString() {
			return field.AsString()
		}
		return ""
	}
	return &typedObject{kind: schema.FromAPIVersionAndKind(text("apiVersion"), text("kind")), value: v}, nil
}

// typedObject is an object that has not been made yet of a value with a schema.
type typedObject struct {
	kind  schema.GroupVersionKind
	value *typed.TypedValue
}

func (o *typedObject) GetObjectKind() schema.ObjectKind                 { return o }
func (o *typedObject) GroupVersionKind() schema.GroupVersionKind        { return o.kind }
func (o *typedObject) SetGroupVersionKind(kind schema.GroupVersionKind) { o.kind = kind }
func (o *typedObject) DeepCopyObject() runtime.Object                   { return &typedObject{o.kind, o.value} }

// content is the value as a tree that nobody else holds.
func (o *typedObject) content() (map[string]any, error) {
	content, ok := o.value.AsValue().Unstructured().(map[string]any)
	if !ok {
		return nil, fmt.Errorf("a %s is no object", o.kind.Kind)
	}
	return content, nil
}
