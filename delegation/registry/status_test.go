package registry_test

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/portico-api/portico/delegation/registry"
)

// A status that is written is all that changes, and the state before is left as it is.
func TestAStatusComesWithNothingElse(t *testing.T) {
	meta := metav1.ObjectMeta{Name: "x", Labels: map[string]string{"a": "b"}}
	free := func(spec, status string) runtime.Object {
		return &unstructured.Unstructured{Object: map[string]any{"metadata": map[string]any{"name": "x"}, "spec": spec, "status": status}}
	}
	namespace := func(meta metav1.ObjectMeta, finalizer corev1.FinalizerName, phase corev1.NamespacePhase) runtime.Object {
		return &corev1.Namespace{ObjectMeta: meta, Spec: corev1.NamespaceSpec{Finalizers: []corev1.FinalizerName{finalizer}}, Status: corev1.NamespaceStatus{Phase: phase}}
	}
	for name, c := range map[string]struct{ obj, old, want runtime.Object }{
		"a Go type":              {namespace(metav1.ObjectMeta{}, "sent", "new"), namespace(meta, "there", "old"), namespace(meta, "there", "new")},
		"none":                   {free("sent", "new"), free("there", "old"), free("there", "new")},
		"a Go type without such": {&corev1.ConfigMap{Data: map[string]string{"a": "sent"}}, &corev1.ConfigMap{ObjectMeta: meta}, &corev1.ConfigMap{ObjectMeta: meta}},
	} {
		before := c.old.DeepCopyObject()
		registry.KeepAllButStatus(c.obj, c.old)
		if !apiequality.Semantic.DeepEqual(c.obj, c.want) {
			t.Errorf("%s: got %v, want %v", name, c.obj, c.want)
		}
		if !apiequality.Semantic.DeepEqual(c.old, before) {
			t.Errorf("%s: the state before became %v", name, c.old)
		}
	}
}
