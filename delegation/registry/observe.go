package registry

import (
	"context"
	"errors"
	"fmt"

	"k8s.io/apimachinery/pkg/watch"

	"github.com/portico-api/portico/delegation/storage"
	"github.com/portico-api/portico/handler/rest"
)

// Observer is told what is stored as it is stored, for those who look at every object and at little of each. The
// objects are shared with the cache: to hold one costs a pointer.
type Observer struct {
	// Begin is called before all objects are told of, at first and again after falling behind: what is not
	// told of then has gone meanwhile. Nil is not called.
	Begin func()
	// Tell is called for each object there is and then for each change, in order.
	Tell func(o rest.Object, deleted bool)
	// Listed is called when all objects have been told of. Nil is not called.
	Listed func()
}

// Observe tells to of the resource until ctx ends.
func (s *Store) Observe(ctx context.Context, to Observer) error {
	for {
		cursor, err := s.tellAll(ctx, to)
		if err != nil {
			return ended(ctx, err)
		}
		err = tellChanges(cursor, to)
		cursor.Close()
		if !errors.Is(err, storage.ErrCompacted) {
			return ended(ctx, err)
		}
	}
}

// ended tells an observer that was stopped from one that cannot go on.
func ended(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return fmt.Errorf("following a resource: %w", err)
}

// tellAll tells what is stored and returns a cursor on what follows.
func (s *Store) tellAll(ctx context.Context, to Observer) (*storage.Cursor, error) {
	snapshot, err := s.cache.Snapshot(ctx, storage.Read{})
	if err != nil {
		return nil, err
	}
	cursor, err := s.cache.Watch(ctx, "", snapshot.Revision())
	if err != nil {
		return nil, err
	}
	if to.Begin != nil {
		to.Begin()
	}
	snapshot.Ascend("", "", func(o *storage.Object) bool {
		to.Tell(o, false)
		return true
	})
	if to.Listed != nil {
		to.Listed()
	}
	return cursor, nil
}

// tellChanges tells what happens, until the cursor ends.
func tellChanges(cursor *storage.Cursor, to Observer) error {
	for {
		events, _, err := cursor.Next()
		if err != nil {
			return err
		}
		for _, e := range events {
			to.Tell(e.Object, e.Type == watch.Deleted)
		}
	}
}
