package storage

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/metadata"
	"k8s.io/apimachinery/pkg/watch"
)

const (
	// historyBytes bounds what a resource takes back into memory, so that nobody fills it by asking for the past.
	historyBytes = 64 << 20
	// historyProgress is how often the etcd is asked whether it has told everything.
	historyProgress = 20 * time.Millisecond
	historyTries    = 3
)

// history brings changes that the ring does not have back from the etcd, which keeps them until they are compacted. So the
// clients of a server that was restarted go on where they were, instead of listing everything at the same moment.
// Those who want the same past share the reading of it.
type history struct {
	turn chan struct{} // full while somebody reads

	mu     sync.Mutex
	wanted int64 // the oldest revision that somebody waits for; 0 for none
	lost   int64 // up to here the etcd has forgotten
}

// want notes what a caller waits for; false when it is known to be lost.
func (h *history) want(revision int64) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if revision <= h.lost {
		return false
	}
	if h.wanted == 0 || revision < h.wanted {
		h.wanted = revision
	}
	return true
}

// take returns where to begin for the sake of all who wait, the caller included.
func (h *history) take(revision int64) int64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	since := revision
	if h.wanted > 0 {
		since = min(since, h.wanted)
	}
	h.wanted = 0
	return since
}

func (h *history) lose(revision int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.lost = max(h.lost, revision)
}

// recall makes the ring reach back to a revision, or tells that nobody knows any more what came after it.
func (c *Cache) recall(ctx context.Context, revision int64) error {
	if !c.history.want(revision) {
		return ErrCompacted
	}
	select {
	case c.history.turn <- struct{}{}:
		defer func() { <-c.history.turn }()
	case <-ctx.Done():
		return ctx.Err()
	}
	for range historyTries {
		floor := c.ring.oldest()
		if revision >= floor {
			return nil
		}
		since := c.history.take(revision)
		events, err := c.store.changes(ctx, c, since, floor)
		switch {
		case errors.Is(err, ErrCompacted):
			c.history.lose(since)
			if since == revision {
				return err
			}
			continue // somebody else's revision was too old; this one may not be
		case err != nil:
			return err
		}
		if c.ring.recall(events, since, floor, time.Now()) {
			return nil
		}
	}
	return ErrCompacted // more happened than the ring can hold
}

// changes reads from the etcd what happened to a resource after a revision and up to another.
func (s *Store) changes(ctx context.Context, c *Cache, since, upTo int64) ([]*Event, error) {
	ctx, cancel := context.WithTimeout(s.engine.watchContext(ctx), requestTimeout)
	defer cancel()
	// A stream of its own: the etcd tells no progress on one with a watch that is behind, and the caches need theirs.
	ctx = metadata.AppendToOutgoingContext(ctx, "portico-watch", "history")
	client := s.engine.client()
	responses := client.Watch(ctx, c.prefix, clientv3.WithPrefix(), clientv3.WithRev(since+1), clientv3.WithPrevKV())
	ask := time.NewTicker(historyProgress)
	defer ask.Stop()

	t := tale{cache: c, upTo: upTo, known: map[string]*Object{}}
	for {
		select {
		case resp, ok := <-responses:
			if !ok {
				return nil, explain(ctx, "reading the history of "+c.cfg.Path, errors.New("the watch ended"))
			}
			at, err := reached(resp)
			if err == nil {
				err = t.add(ctx, resp.Events)
			}
			if err != nil {
				return nil, fmt.Errorf("reading the history of %s after revision %d: %w", c.cfg.Path, since, err)
			}
			if at >= upTo {
				return t.events, nil
			}
		case <-ask.C:
			// The last change of the resource may lie long before upTo: only the etcd knows that nothing follows.
			if err := client.RequestProgress(ctx); err != nil {
				return nil, explain(ctx, "reading the history of "+c.cfg.Path, err)
			}
		case <-s.stopping:
			return nil, ErrClosed
		}
	}
}

// tale is a part of a resource's past while it is read.
type tale struct {
	cache  *Cache
	upTo   int64
	known  map[string]*Object // the last state of each object that it tells of
	events []*Event
	bytes  int
}

func (t *tale) add(ctx context.Context, events []*clientv3.Event) error {
	for _, ev := range events {
		if ev.Kv.ModRevision > t.upTo {
			return nil
		}
		e, err := t.event(ctx, ev)
		if err != nil {
			return err
		}
		if e == nil {
			continue
		}
		t.events = append(t.events, e)
		if t.bytes += len(e.Object.frame); t.bytes > historyBytes || len(t.events) > ringMax {
			return fmt.Errorf("more happened than is taken back into memory: %w", ErrCompacted)
		}
	}
	return nil
}

// event is what a cache would have made of an event of the etcd; nil for nothing.
func (t *tale) event(ctx context.Context, ev *clientv3.Event) (*Event, error) {
	c := t.cache
	key, namespace, ok := c.split(ev.Kv.Key)
	if !ok {
		return nil, nil
	}
	previous, err := t.previous(ctx, ev, key, namespace)
	if err != nil {
		return nil, err
	}
	if ev.Type == clientv3.EventTypeDelete {
		delete(t.known, key)
		if previous == nil {
			return nil, nil
		}
		gone := previous.at(ev.Kv.ModRevision, watch.Deleted)
		return &Event{Type: watch.Deleted, Object: gone, Previous: previous, Revision: ev.Kv.ModRevision}, nil
	}
	typ := watch.Added
	if previous != nil {
		typ = watch.Modified
	}
	o, err := c.object(key, namespace, ev.Kv, typ)
	if err != nil {
		c.complain(ctx, ev.Kv, err)
		return nil, nil
	}
	t.known[key] = o
	return &Event{Type: typ, Object: o, Previous: previous, Revision: ev.Kv.ModRevision}, nil
}

// previous is the state before an event; nil when there was none that could be served.
func (t *tale) previous(ctx context.Context, ev *clientv3.Event, key string, namespace int) (*Object, error) {
	switch {
	case ev.IsCreate():
		return nil, nil
	case t.known[key] != nil:
		return t.known[key], nil
	case ev.PrevKv == nil:
		return nil, fmt.Errorf("the state before revision %d is gone: %w", ev.Kv.ModRevision, ErrCompacted)
	}
	o, err := t.cache.object(key, namespace, ev.PrevKv, watch.Added)
	if err != nil {
		t.cache.complain(ctx, ev.PrevKv, err)
		return nil, nil
	}
	return o, nil
}
