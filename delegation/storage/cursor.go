package storage

import (
	"context"
	"fmt"
	"sync/atomic"
)

// cursorBatch is how many changes a watcher is given at once: enough to fill a write, and
// few enough that a watcher far behind holds the ring's lock for microseconds only.
const cursorBatch = 256

// Cursor is one watcher's place on the ring of events. It holds no copy of an event. It belongs to one goroutine.
type Cursor struct {
	cache     *Cache
	topic     *topic
	namespace string
	position  uint64
	seen      int64
	batch     []*Event
	closed    bool
	behind    bool // it has not been given yet what had happened before it came

	ctx     context.Context // the cursor lasts as long as it does
	unwatch func() bool     // stops listening to ctx
	wake    chan struct{}   // holds something when there is reason to look again
	nudged  atomic.Bool

	waiting bool // the topic's, with slot: where among those that wait
	slot    int
}

// Watch returns a cursor on the changes after revision, of one namespace or all (""), that lasts until ctx ends. It waits like
// a read for a revision that is not there yet. What has left the ring, or happened before this process began, is read from the
// etcd's history; ErrCompacted when that does not reach back so far.
func (c *Cache) Watch(ctx context.Context, namespace string, revision int64) (*Cursor, error) {
	if err := c.reach(ctx, revision); err != nil {
		return nil, err
	}
	topic, position, ok := c.ring.join(namespace, revision)
	if !ok {
		if err := c.recall(ctx, revision); err != nil {
			return nil, fmt.Errorf("watching %s from revision %d: %w", c.cfg.Path, revision, err)
		}
		topic, position, ok = c.ring.join(namespace, revision)
	}
	if !ok {
		return nil, fmt.Errorf("watching %s from revision %d: %w", c.cfg.Path, revision, ErrCompacted)
	}
	cursor := &Cursor{cache: c, topic: topic, namespace: namespace, position: position, seen: revision, behind: true, ctx: ctx, wake: make(chan struct{}, 1)}
	// So that there is one channel to wait on: choosing among two costs as much as delivering the event.
	cursor.unwatch = context.AfterFunc(ctx, cursor.wakeUp)
	return cursor, nil
}

// Next blocks until there are events, its context ends or the cursor is nudged; ErrCompacted when it fell off the ring. The
// slice is valid until the next call. seen is the revision up to which everything has been delivered (for
// bookmarks); it is right when the context has ended, too.
func (c *Cursor) Next() (events []*Event, seen int64, err error) {
	for {
		ended := c.ctx.Err() // before looking, so that seen is as new as the end
		if err := c.collect(); err != nil {
			return nil, c.seen, err
		}
		switch {
		case len(c.batch) > 0:
			return c.batch, c.seen, nil
		case ended != nil:
			return nil, c.seen, ended
		case c.nudged.CompareAndSwap(true, false):
			return nil, c.seen, nil
		}
		<-c.wake
	}
}

// Nudge has Next return, the one that waits or else the next one, although there may be no event: somebody who shares
// the cursor's goroutine has something to do. It may be called from any goroutine.
func (c *Cursor) Nudge() {
	c.nudged.Store(true)
	c.wakeUp()
}

func (c *Cursor) wakeUp() {
	select {
	case c.wake <- struct{}{}:
	default: // it will look again anyway
	}
}

// collect fills the batch with what follows the cursor. When that is nothing, the next change will wake it.
func (c *Cursor) collect() error {
	c.batch = c.batch[:0]
	// Before the ring is looked at: whatever is seen has been put on the ring by then.
	seen := c.cache.seen()

	r := c.cache.ring
	r.mu.RLock()
	defer r.mu.RUnlock()
	switch {
	case r.closed:
		return ErrClosed
	case c.position < c.topic.evicted:
		c.cache.metrics.WatchersTerminated(c.cache.cfg.Group, c.cache.cfg.Resource)
		return fmt.Errorf("watching %s after revision %d: %w", c.cache.cfg.Path, c.seen, ErrCompacted)
	}
	// What left the ring between the cursor and the ring's begin was of other namespaces.
	c.position = max(c.position, r.first)
	for ; c.position < r.next; c.position++ {
		e := r.at(c.position)
		if c.namespace != "" && e.Object.Namespace() != c.namespace {
			continue
		}
		if len(c.batch) == cursorBatch {
			c.seen = max(c.seen, e.Revision-1)
			c.countBacklog()
			return nil
		}
		c.batch = append(c.batch, e)
	}
	c.countBacklog()
	c.behind = false
	if n := len(c.batch); n > 0 {
		seen = max(seen, c.batch[n-1].Revision)
	}
	c.seen = max(c.seen, seen)
	if len(c.batch) == 0 {
		c.topic.await(c)
	}
	return nil
}

// countBacklog counts a batch of what had happened before the watcher came.
func (c *Cursor) countBacklog() {
	if c.behind && len(c.batch) > 0 {
		c.cache.CountInitial(len(c.batch))
	}
}

// Close frees the cursor.
func (c *Cursor) Close() {
	if !c.closed {
		c.closed = true
		c.unwatch()
		c.cache.ring.leave(c)
	}
}
