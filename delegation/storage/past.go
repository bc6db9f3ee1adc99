package storage

import (
	"context"
	"fmt"
	"sync"
)

// pastKept is how many earlier states a resource remembers, for the pages of lists under way.
const pastKept = 8

// past makes earlier states of a resource and remembers the last few, so that the pages of one list share
// the work. Nothing is kept for a resource that nobody pages through.
type past struct {
	mu   sync.Mutex
	kept []state // newest use last
}

// at returns the objects at a revision before that of now.
func (p *past) at(ctx context.Context, c *Cache, now *state, revision int64) (*tree, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, s := range p.kept {
		if s.revision == revision {
			p.kept = append(append(p.kept[:i:i], p.kept[i+1:]...), s)
			return s.objects, nil
		}
	}
	objects, err := c.rewind(ctx, now, revision)
	if err != nil {
		return nil, err
	}
	if len(p.kept) == pastKept {
		p.kept = append(p.kept[:0:0], p.kept[1:]...)
	}
	p.kept = append(p.kept, state{objects: objects, revision: revision})
	return objects, nil
}

func (p *past) clear() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.kept = nil
}

// rewind undoes on a copy of now what has happened after a revision. When the ring does not reach back that
// far (after a restart), the etcd may still know.
func (c *Cache) rewind(ctx context.Context, now *state, revision int64) (*tree, error) {
	events, ok := c.ring.since(revision)
	if !ok {
		objects, _, err := c.store.list(ctx, c, revision)
		if err != nil {
			return nil, fmt.Errorf("reading %s at revision %d: %w", c.cfg.Path, revision, err)
		}
		return objects, nil
	}
	objects := copyOf(now.objects)
	for i := len(events) - 1; i >= 0; i-- {
		e := events[i]
		switch {
		case e.Revision > now.revision: // on the ring already, but not in this state
		case e.Previous == nil:
			objects.Delete(e.Object.key)
		default:
			objects.Set(e.Previous.key, e.Previous)
		}
	}
	return objects, nil
}

// copyOf makes a tree that may be changed of one that others read. Copying marks the original as shared, which
// is a write to it; the copy of the handle keeps that write away from the readers.
func copyOf(t *tree) *tree {
	handle := *t
	return handle.IsoCopy()
}
