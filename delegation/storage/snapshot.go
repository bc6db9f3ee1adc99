package storage

import (
	"context"
	"fmt"
	"strings"
)

// Read says how fresh a read must be.
type Read struct {
	// Any accepts what the cache has now (resourceVersion=0).
	Any bool
	// NotOlderThan waits up to 3 s for this revision (ErrFuture after that). Zero with Any unset means
	// the newest: everything acknowledged before the call is seen.
	NotOlderThan int64
}

// Get returns one object, as fresh as read asks for. ErrNotFound when there is none.
func (c *Cache) Get(ctx context.Context, namespace, name string, read Read) (*Object, error) {
	if err := c.fresh(ctx, read); err != nil {
		return nil, err
	}
	if o, ok := c.current.Load().objects.Get(objectKey(namespace, name)); ok {
		return o, nil
	}
	return nil, ErrNotFound
}

// Snapshot returns an immutable state of the whole resource, read without a lock.
func (c *Cache) Snapshot(ctx context.Context, read Read) (*Snapshot, error) {
	if err := c.fresh(ctx, read); err != nil {
		return nil, err
	}
	return c.now(), nil
}

// now is the state at this moment.
func (c *Cache) now() *Snapshot {
	// In this order: all that is seen is published, so no change lies between the state and what was seen.
	seen := c.seen()
	s := c.current.Load()
	return &Snapshot{objects: s.objects, revision: max(seen, s.revision)}
}

// SnapshotAt returns the state at exactly that revision (pages of a list); ErrCompacted when it is no longer
// there. It waits like a read for a revision that is not there yet.
func (c *Cache) SnapshotAt(ctx context.Context, revision int64) (*Snapshot, error) {
	if revision <= 0 {
		return nil, fmt.Errorf("reading %s at revision %d: %w", c.cfg.Path, revision, ErrCompacted)
	}
	if err := c.reach(ctx, revision); err != nil {
		return nil, err
	}
	s := c.current.Load()
	if s.revision <= revision {
		return &Snapshot{objects: s.objects, revision: revision}, nil
	}
	objects, err := c.past.at(ctx, c, s, revision)
	if err != nil {
		return nil, err
	}
	return &Snapshot{objects: objects, revision: revision}, nil
}

// Snapshot is the resource at one revision.
type Snapshot struct {
	objects  *tree
	revision int64
}

// Revision is what a list made of the snapshot has as its resourceVersion.
func (s *Snapshot) Revision() int64 { return s.revision }

// Len is the number of objects in all namespaces.
func (s *Snapshot) Len() int { return s.objects.Len() }

// Get returns the object of that name; false when there is none.
func (s *Snapshot) Get(namespace, name string) (*Object, bool) {
	return s.objects.Get(objectKey(namespace, name))
}

// Ascend calls yield for each object of namespace (empty: all) whose key is >= start, in key order, until it returns false.
// A key is "namespace/name" or "name" for cluster-scoped resources.
func (s *Snapshot) Ascend(namespace, start string, yield func(*Object) bool) {
	if namespace == "" {
		s.objects.Ascend(start, func(_ string, o *Object) bool { return yield(o) })
		return
	}
	prefix := namespace + "/"
	s.objects.Ascend(max(start, prefix), func(key string, o *Object) bool {
		return strings.HasPrefix(key, prefix) && yield(o)
	})
}
