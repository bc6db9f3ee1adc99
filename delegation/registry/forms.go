package registry

import (
	"fmt"
	"reflect"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/structured-merge-diff/v6/typed"
)

// forms are the versions that objects of one kind are written in: the stored one, and its views. Field managers compare and merge
// in any of them, and know who manages a field in one form when it is written in another.
type forms struct {
	runtime.ObjectConvertor // of labels and into given objects: never asked for

	stored *fieldTypes
	views  []viewForm // all of them before the first write
}

type viewForm struct {
	view  *View
	types *fieldTypes
}

// of are the types of a version, and the view that it is unless it is the stored one.
func (f *forms) of(gv schema.GroupVersion) (types *fieldTypes, view *View, ok bool) {
	if gv == f.stored.kind.GroupVersion() {
		return f.stored, nil, true
	}
	for _, v := range f.views {
		if gv == v.types.kind.GroupVersion() {
			return v.types, v.view, true
		}
	}
	return nil, nil, false
}

// ObjectToTyped gives obj the schema of its version.
func (f *forms) ObjectToTyped(obj runtime.Object, opts ...typed.ValidationOptions) (*typed.TypedValue, error) {
	types, _, ok := f.of(obj.GetObjectKind().GroupVersionKind().GroupVersion())
	if !ok {
		types = f.stored
	}
	return types.ObjectToTyped(obj, opts...)
}

// TypedToObject promises an object of whatever version the value is.
func (f *forms) TypedToObject(v *typed.TypedValue) (runtime.Object, error) {
	return f.stored.TypedToObject(v)
}

// New makes an object of a version.
func (f *forms) New(kind schema.GroupVersionKind) (runtime.Object, error) {
	types, _, ok := f.of(kind.GroupVersion())
	if !ok || types.kind != kind {
		return nil, runtime.NewNotRegisteredErrForKind("managed fields", kind)
	}
	return types.empty(), nil
}

// ConvertToVersion makes the object that a typed value promised, and shows it in another version when target is one.
func (f *forms) ConvertToVersion(obj runtime.Object, target runtime.GroupVersioner) (runtime.Object, error) {
	gv, ok := target.(schema.GroupVersion)
	if !ok {
		gv = f.stored.kind.GroupVersion()
	}
	_, to, ok := f.of(gv)
	if !ok { // a version that is gone: the library forgets who managed fields of it
		return nil, runtime.NewNotRegisteredErrForTarget("managed fields", reflect.TypeOf(obj), target)
	}
	types, from, ok := f.of(obj.GetObjectKind().GroupVersionKind().GroupVersion())
	if !ok {
		types, from = f.stored, nil
	}
	promised, fresh := obj.(*typedObject)
	if fresh {
		var err error
		if obj, err = promised.make(types); err != nil {
			return nil, err
		}
	}
	if to == from {
		return obj, nil
	}
	if !fresh {
		obj = obj.DeepCopyObject() // a view may use up what it is given
	}
	return f.convert(obj, from, to)
}

// convert leads from one view by the stored form to another; nil is the stored form.
func (f *forms) convert(obj runtime.Object, from, to *View) (runtime.Object, error) {
	var err error
	if from != nil {
		if obj, err = from.take(obj, f.stored.kind); err != nil {
			return nil, err
		}
	}
	if to != nil {
		return to.show(obj)
	}
	return obj, nil
}

// make makes the object that was promised.
func (o *typedObject) make(types *fieldTypes) (runtime.Object, error) {
	content, err := o.content()
	if err != nil {
		return nil, err
	}
	made := types.empty()
	if u, ok := made.(runtime.Unstructured); ok {
		u.SetUnstructuredContent(content)
		return made, nil
	}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(content, made); err != nil {
		return nil, fmt.Errorf("making a %s: %w", types.kind.Kind, err)
	}
	return made, nil
}
