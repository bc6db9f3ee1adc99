package registry

import (
	"context"
	"maps"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/klog/v2"

	"github.com/portico-api/portico/delegation/storage"
	"github.com/portico-api/portico/handler/rest"
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
	gone  map[string]*storage.Object // while all are told of: those that were not told of yet
}

func newFollower(s *Store, name string, on func(ev Change)) *follower {
	return &follower{store: s, name: name, on: on, known: map[string]*storage.Object{}}
}

func (f *follower) run(ctx context.Context, synced func()) error {
	return f.store.Observe(ctx, Observer{
		Begin: func() { f.gone = maps.Clone(f.known) },
		Tell: func(o rest.Object, deleted bool) {
			stored := o.(*storage.Object)
			if f.gone != nil {
				delete(f.gone, stored.Key())
				if known := f.known[stored.Key()]; known != nil && known.ResourceVersion() == stored.ResourceVersion() {
					return
				}
			}
			f.tell(ctx, stored, deleted)
		},
		Listed: func() {
			for _, o := range f.gone {
				f.tell(ctx, o, true)
			}
			f.gone = nil
			if synced != nil {
				synced()
				synced = nil
			}
		},
	})
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
