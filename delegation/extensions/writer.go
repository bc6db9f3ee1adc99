package extensions

import (
	"context"

	"github.com/portico-api/portico/delegation/registry"
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

func (w *writer) update(ctx context.Context, name string, change func(current *definition) error) error {
	return w.turns.do(ctx, ofController, func(ctx context.Context) error {
		_, err := registry.UpdateAs(ctx, w.store, "", name, change)
		return err
	})
}
