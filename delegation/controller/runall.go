package controller

import (
	"context"
	"errors"
	"sync"
)

// RunAll runs each part until it ends. The first one that fails ends the others, and RunAll
// returns after all of them have, with the error of the first. The end of ctx is no error.
func RunAll(ctx context.Context, parts ...func(context.Context) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wait sync.WaitGroup
	for _, part := range parts {
		wait.Go(func() {
			if err := part(ctx); err != nil && !errors.Is(err, context.Canceled) {
				cancel(err)
			}
		})
	}
	wait.Wait()
	if err := context.Cause(ctx); err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}
