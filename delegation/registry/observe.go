package registry

import (
	"context"
	"errors"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/klog/v2"

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

// Observe tells to of the resource until ctx ends or the resource is closed. While the store does not answer, it waits.
func (s *Store) Observe(ctx context.Context, to Observer) error {
	pause := firstPause
	for {
		cursor, err := s.tellAll(ctx, to)
		if err == nil {
			pause = firstPause
			err = tellChanges(cursor, to)
			cursor.Close()
		}
		switch {
		case ctx.Err() != nil, errors.Is(err, storage.ErrClosed):
			return ended(ctx, err)
		case errors.Is(err, storage.ErrCompacted):
			continue
		}
		klog.FromContext(ctx).Error(err, "A resource cannot be followed now", "resource", s.gr, "again", pause)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
		pause = min(2*pause, lastPause)
	}
}

// firstPause and lastPause are between attempts to follow a resource of a store that does not answer.
const (
	firstPause = 100 * time.Millisecond
	lastPause  = 5 * time.Second
)

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
