package core_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/portico-api/portico/delegation/core"
	"github.com/portico-api/portico/delegation/registry"
)

func namespace(name string, phase corev1.NamespacePhase) *corev1.Namespace {
	return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}, Status: corev1.NamespaceStatus{Phase: phase}}
}

func createIn(namespace string) *registry.Request {
	return &registry.Request{
		Operation: registry.Create, Resource: corev1.SchemeGroupVersion.WithResource("configmaps"),
		Kind: corev1.SchemeGroupVersion.WithKind("ConfigMap"), Namespace: namespace, Name: "a",
	}
}

func deleteNamespace(name string) *registry.Request {
	return &registry.Request{Operation: registry.Delete, Resource: corev1.SchemeGroupVersion.WithResource("namespaces"), Name: name}
}

func TestTheLifecycleReadsTheStoreWhenTheIndexMayBeBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		namespaces := newScript()
		stored := map[string]*corev1.Namespace{}
		reads := 0
		guard, lifecycle := core.NewLifecycle(namespaces, func(_ context.Context, name string) (*corev1.Namespace, error) {
			reads++
			if n := stored[name]; n != nil {
				return n, nil
			}
			return nil, apierrors.NewNotFound(corev1.Resource("namespaces"), name)
		})
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- lifecycle.Run(ctx, func() {}) }()
		namespaces.deliver(namespace("indexed", corev1.NamespaceActive), false)
		namespaces.deliver(namespace("ending", corev1.NamespaceTerminating), false)
		stored["stored"] = namespace("stored", corev1.NamespaceActive)

		for _, step := range []struct {
			name      string
			before    func()
			namespace string
			reads     int
			refused   func(error) bool
		}{
			{"an indexed namespace costs no read", nil, "indexed", 0, nil},
			{"one that ends is refused", nil, "ending", 0, apierrors.IsForbidden},
			{"one that the index does not have yet is read", nil, "stored", 1, nil},
			{"one that nobody has is not found", nil, "nowhere", 1, apierrors.IsNotFound},
			{"one whose deletion was asked for is read", func() {
				stored["indexed"] = namespace("indexed", corev1.NamespaceTerminating)
				if err := guard.Validate(ctx, deleteNamespace("indexed")); err != nil {
					t.Error(err)
				}
			}, "indexed", 1, apierrors.IsForbidden},
			{"the index is believed again after a while", func() {
				stored["indexed"] = namespace("indexed", corev1.NamespaceActive)
				time.Sleep(31 * time.Second) // of the bubble's clock
			}, "indexed", 0, nil},
			{"one that has gone is read", func() { namespaces.deliver(namespace("ending", corev1.NamespaceTerminating), true) }, "ending", 1, apierrors.IsNotFound},
		} {
			if step.before != nil {
				step.before()
			}
			reads = 0
			err := lifecycle.Admit(ctx, createIn(step.namespace))
			if reads != step.reads {
				t.Errorf("%s: %d reads, want %d", step.name, reads, step.reads)
			}
			if step.refused == nil && err != nil || step.refused != nil && !step.refused(err) {
				t.Errorf("%s: got %v", step.name, err)
			}
		}

		for _, operation := range []registry.Operation{registry.Update, registry.Delete} {
			r := createIn("nowhere")
			r.Operation = operation
			if err := lifecycle.Admit(ctx, r); err != nil {
				t.Errorf("%s: got %v, want nil", operation, err)
			}
		}
		stop()
		if err := <-ended; err != nil && ctx.Err() == nil {
			t.Error(err)
		}
	})
}

func TestADryRunOfADeletionRaisesNoDoubt(t *testing.T) {
	reads := 0
	guard, lifecycle := core.NewLifecycle(newScript(), func(context.Context, string) (*corev1.Namespace, error) {
		reads++
		return namespace("a", corev1.NamespaceActive), nil
	})
	lifecycle.Know("a")
	r := deleteNamespace("a")
	r.DryRun = true
	if err := guard.Validate(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	if err := lifecycle.Admit(t.Context(), createIn("a")); err != nil || reads != 0 {
		t.Errorf("got %v after %d reads, want none", err, reads)
	}
}

// Every create in a namespace runs this.
func BenchmarkLifecycleAdmit(b *testing.B) {
	_, lifecycle := core.NewLifecycle(newScript(), nil)
	lifecycle.Know("a")
	r := createIn("a")
	ctx := b.Context()
	b.ReportAllocs()
	for b.Loop() {
		if err := lifecycle.Admit(ctx, r); err != nil {
			b.Fatal(err)
		}
	}
}
