package registry

import (
	"reflect"

	"k8s.io/apimachinery/pkg/runtime"
)

// Kinds with a status subresource keep intent and observation apart: what comes in through one door leaves
// the other part as it is. The parts are told apart by name, in Go types as in schemas: "status".

// statusField is the status of a Go type; invalid when it has none.
func statusField(obj runtime.Object) reflect.Value {
	v := reflect.ValueOf(obj)
	if v.Kind() != reflect.Pointer || v.Elem().Kind() != reflect.Struct {
		return reflect.Value{}
	}
	return v.Elem().FieldByName("Status")
}

// clearStatus drops the status that a client sent with a new object.
func clearStatus(obj runtime.Object) {
	if u, ok := obj.(runtime.Unstructured); ok {
		delete(u.UnstructuredContent(), "status")
		return
	}
	if field := statusField(obj); field.IsValid() {
		field.SetZero()
	}
}

// keepStatus gives obj the status of old. old may be used up.
func keepStatus(obj, old runtime.Object) {
	if u, ok := obj.(runtime.Unstructured); ok {
		status, found := old.(runtime.Unstructured).UnstructuredContent()["status"]
		if found {
			u.UnstructuredContent()["status"] = status
		} else {
			delete(u.UnstructuredContent(), "status")
		}
		return
	}
	if field := statusField(obj); field.IsValid() {
		field.Set(statusField(old))
	}
}

// keepAllButStatus gives obj everything but the status of old. What has a Go type shares it then.
func keepAllButStatus(obj, old runtime.Object) {
	if u, ok := obj.(runtime.Unstructured); ok {
		kept := old.DeepCopyObject().(runtime.Unstructured) // metadata are written in obj later, and are a map like the rest
		keepStatus(kept, obj)
		u.SetUnstructuredContent(kept.UnstructuredContent())
		return
	}
	all := reflect.ValueOf(obj).Elem()
	kept := reflect.New(all.Type())
	kept.Elem().Set(reflect.ValueOf(old).Elem())
	keepStatus(kept.Interface().(runtime.Object), obj)
	all.Set(kept.Elem())
}
