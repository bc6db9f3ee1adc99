package storage

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"
)

// progress is how far the stream has come, and a bell for those who wait for more.
type progress struct {
	revision atomic.Int64
	bell     atomic.Pointer[chan struct{}] // nil when nobody waits
	asked    chan struct{}                 // tells the stream that somebody waits
}

func newProgress(revision int64) *progress {
	p := &progress{asked: make(chan struct{}, 1)}
	p.revision.Store(revision)
	return p
}

// advance tells the waiting readers that all changes up to revision are in the caches.
func (p *progress) advance(revision int64) {
	if revision <= p.revision.Load() {
		return
	}
	p.revision.Store(revision)
	if bell := p.bell.Swap(nil); bell != nil {
		close(*bell)
	}
}

// next returns what is closed at the next advance.
func (p *progress) next() <-chan struct{} {
	for {
		if bell := p.bell.Load(); bell != nil {
			return *bell
		}
		bell := make(chan struct{})
		if p.bell.CompareAndSwap(nil, &bell) {
			select {
			case p.asked <- struct{}{}:
			default:
			}
			return bell
		}
	}
}

// waited tells whether somebody waits.
func (p *progress) waited() bool { return p.bell.Load() != nil }

// seen is the revision up to which the cache knows everything. A cache that was filled a moment ago may know
// more than the stream has brought.
func (c *Cache) seen() int64 {
	return max(c.store.stream.progress.revision.Load(), c.current.Load().revision)
}

// fresh waits until the cache is as new as read asks for.
func (c *Cache) fresh(ctx context.Context, read Read) error {
	switch {
	case read.NotOlderThan > 0:
		return c.reach(ctx, read.NotOlderThan)
	case read.Any:
		return nil
	}
	revision, err := c.store.CurrentRevision(ctx)
	if err != nil {
		return err
	}
	if c.seen() >= revision {
		c.metrics.ConsistentRead(c.cfg.Group, c.cfg.Resource, 0, true)
		return nil
	}
	start := time.Now()
	ctx, end := c.startSpan(ctx, "wait until fresh")
	err = c.reach(ctx, revision)
	end(err)
	c.metrics.ConsistentRead(c.cfg.Group, c.cfg.Resource, time.Since(start), err == nil)
	return err
}

// reach waits until the cache has seen a revision.
func (c *Cache) reach(ctx context.Context, revision int64) error {
	if c.seen() >= revision {
		return nil
	}
	timeout := time.NewTimer(readTimeout)
	defer timeout.Stop()
	p := c.store.stream.progress
	for {
		bell := p.next()
		// The revision may have come between the last look and the bell.
		if c.seen() >= revision {
			return nil
		}
		select {
		case <-bell:
		case <-timeout.C:
			return fmt.Errorf("waiting for revision %d of %s, at %d now: %w", revision, c.cfg.Path, c.seen(), ErrFuture)
		case <-c.store.stopping:
			return ErrClosed
		case <-ctx.Done():
			return fmt.Errorf("waiting for revision %d of %s: %w", revision, c.cfg.Path, ctx.Err())
		}
	}
}

// CurrentRevision is the newest revision of the store: everything acknowledged before the call is at or below it.
func (s *Store) CurrentRevision(ctx context.Context) (int64, error) {
	return s.engine.revision(ctx)
}
