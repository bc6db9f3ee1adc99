package registry

import (
	"context"
	"errors"
	"fmt"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/klog/v2"

	"github.com/portico-api/portico/delegation/storage"
)

// Change is one decoded change. The objects are the follower's own to read, not to change.
type Change struct {
	Deleted bool
	Object  runtime.Object
	Old     runtime.Object // nil when unknown
}

// Follow calls on for every object there is and then for each change, decoded, in order, until ctx ends. synced is
// called once, after the first state has been delivered. For controllers and in-memory indexes. It re-lists by itself after falling behind.
func (s *Store) Follow(ctx context.Context, on func(ev Change), synced func()) error {
	return newFollower(s, "", on).run(ctx, synced)
}

// FollowNamed is Follow for the objects of one name, in whatever namespace they are. The others are not even
// decoded: a controller that cares for one config map must not make every write of another dearer.
func (s *Store) FollowNamed(ctx context.Context, name string, on func(ev Change), synced func()) error {
	return newFollower(s, name, on).run(ctx, synced)
}

// follower remembers the last state of each object it has told of: after a gap it can say what has changed.
type follower struct {
	store *Store
	name  string // of the objects to tell of; empty for all
	on    func(ev Change)
	known map[string]*storage.Object
}

func newFollower(s *Store, name string, on func(ev Change)) *follower {
	return &follower{store: s, name: name, on: on, known: map[string]*storage.Object{}}
}

func (f *follower) run(ctx context.Context, synced func()) error {
	for {
		cursor, err := f.catchUp(ctx)
		if err != nil {
			return ended(ctx, err)
		}
		if synced != nil {
			synced()
			synced = nil
		}
		err = f.follow(ctx, cursor)
		cursor.Close()
		if !errors.Is(err, storage.ErrCompacted) {
			return ended(ctx, err)
		}
	}
}

// ended tells a follower that was stopped from one that cannot go on.
func ended(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return fmt.Errorf("following a resource: %w", err)
}

// catchUp tells what differs between what is known and what is stored, and returns a cursor on what follows.
func (f *follower) catchUp(ctx context.Context) (*storage.Cursor, error) {
	snapshot, err := f.store.cache.Snapshot(ctx, storage.Read{})
	if err != nil {
		return nil, err
	}
	cursor, err := f.store.cache.Watch(ctx, "", snapshot.Revision())
	if err != nil {
		return nil, err
	}
	gone := make(map[string]*storage.Object, len(f.known))
	for key, o := range f.known {
		gone[key] = o
	}
	snapshot.Ascend("", "", func(o *storage.Object) bool {
		delete(gone, o.Key())
		if known := f.known[o.Key()]; known == nil || known.ResourceVersion() != o.ResourceVersion() {
			f.tell(ctx, o, false)
		}
		return true
	})
	for _, o := range gone {
		f.tell(ctx, o, true)
	}
	return cursor, nil
}

// follow tells what happens, until the cursor ends.
func (f *follower) follow(ctx context.Context, cursor *storage.Cursor) error {
	for {
		events, _, err := cursor.Next(ctx)
		if err != nil {
			return err
		}
		for _, e := range events {
			f.tell(ctx, e.Object, e.Type == watch.Deleted)
		}
	}
}

// tell decodes one change and passes it on, if it is to be told of. An object that is stored and cannot be
// decoded, because another program wrote it, must not keep a controller from all others: it is logged, and
// stays as it was told of last until it can be decoded again or is deleted.
func (f *follower) tell(ctx context.Context, o *storage.Object, deleted bool) {
	if f.name != "" && o.Name() != f.name {
		return
	}
	change := Change{Deleted: deleted}
	last := f.known[o.Key()]
	if last != nil {
		change.Old, _ = f.store.decode(last) // it could be decoded before
	}
	if deleted {
		delete(f.known, o.Key())
	}
	var err error
	switch change.Object, err = f.store.decode(o); {
	case err == nil:
	case deleted && last != nil:
		change.Object = change.Old
	default:
		klog.FromContext(ctx).Error(err, "A stored object is passed over", "revision", o.ResourceVersion())
		return
	}
	if !deleted {
		f.known[o.Key()] = o
	}
	f.on(change)
}
