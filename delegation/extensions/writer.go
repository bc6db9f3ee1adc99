package extensions

import (
	"context"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/portico-api/portico/delegation/registry"
	"github.com/portico-api/portico/handler/rest"
)

// writer is how controllers write definitions: in a turn of theirs, before everybody else.
type writer struct {
	store *registry.Store
	turns *turns
}

func (w *writer) updateStatus(ctx context.Context, name string, change func(current *definition) error) (updated *definition, err error) {
	err = w.turns.do(ctx, ofController, func(ctx context.Context) error {
		updated, err = registry.UpdateStatusAs(ctx, w.store, "", name, change)
		return err
	})
	return updated, err
}

// letGo is updateStatus for who takes a finalizer away, too. The schemas are not looked at: one that a release before accepted and this one does
// not must not keep a definition for good.
func (w *writer) letGo(ctx context.Context, name string, change func(current *definition) error) error {
	return w.turns.do(ctx, ofController, func(ctx context.Context) error {
		_, err := registry.UpdateSubresourceAs(ctx, w.store, departure(), "", name, change)
		return err
	})
}

// departure is the status, with the finalizers.
func departure() registry.Subresource {
	return registry.Subresource{
		Name: "status",
		Prepare: func(_ context.Context, obj, old runtime.Object) {
			d, before := obj.(*definition), old.(*definition)
			before.Status, before.Finalizers = d.Status, d.Finalizers
			*d = *before
		},
		Validate: validateStatusUpdate,
	}
}

// inTurns deletes a collection of definitions as if each were deleted by itself: others have their turns in between.
type inTurns struct {
	*registry.Store
	turns *turns
}

func (t *inTurns) DeleteCollection(ctx context.Context, namespace string, opts *metav1.DeleteOptions, list *rest.ListOptions) (runtime.Object, error) {
	return t.DeleteEach(ctx, namespace, list, func(ctx context.Context, o rest.Object) (obj runtime.Object, err error) {
		err = t.turns.do(ctx, len(o.JSON()), func(ctx context.Context) error {
			obj, _, err = t.Delete(ctx, o.Namespace(), o.Name(), opts)
			return err
		})
		return obj, err
	})
}
