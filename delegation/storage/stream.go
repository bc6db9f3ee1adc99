package storage

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"k8s.io/klog/v2"
)

const (
	// streamBatch bounds how many events become visible at once, so that the first does not wait for the last of a flood.
	streamBatch = 1024
	// progressPatience is how long waiting readers leave to the events on their way before the etcd is asked how far it is.
	progressPatience = 5 * time.Millisecond
	progressRepeat   = 100 * time.Millisecond
	streamRetry      = 250 * time.Millisecond
)

// stream is the one watch on the etcd that feeds all caches, in the order of revisions.
type stream struct {
	store    *Store
	progress *progress
	watching chan struct{} // closed when the first watch is in place
	once     sync.Once

	mu     sync.RWMutex
	caches map[string]*Cache // by key path
	closed bool
}

func newStream(s *Store, revision int64) *stream {
	return &stream{store: s, progress: newProgress(revision), watching: make(chan struct{}), caches: map[string]*Cache{}}
}

// attach makes the stream feed a cache.
func (s *stream) attach(c *Cache) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return ErrClosed
	}
	for path := range s.caches {
		if path == c.cfg.Path || strings.HasPrefix(path, c.cfg.Path+"/") || strings.HasPrefix(c.cfg.Path, path+"/") {
			return fmt.Errorf("its keys under %q are those of a resource under %q", c.cfg.Path, path)
		}
	}
	s.caches[c.cfg.Path] = c
	return nil
}

func (s *stream) detach(c *Cache) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.caches[c.cfg.Path] == c {
		delete(s.caches, c.cfg.Path)
	}
}

// all returns the caches of this moment.
func (s *stream) all() []*Cache {
	s.mu.RLock()
	defer s.mu.RUnlock()
	all := make([]*Cache, 0, len(s.caches))
	for _, c := range s.caches {
		all = append(all, c)
	}
	return all
}

// run follows the etcd until ctx ends, over broken watches and lost history.
func (s *stream) run(ctx context.Context) {
	for ctx.Err() == nil {
		err := s.follow(ctx)
		if errors.Is(err, ErrCompacted) {
			err = s.relist(ctx)
		}
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			klog.FromContext(ctx).Info("The watch on the store broke and is made again", "after", s.progress.revision.Load(), "reason", err.Error())
		}
		select {
		case <-time.After(streamRetry):
		case <-ctx.Done():
		}
	}
}

// follow watches from what was seen last, until the watch breaks.
func (s *stream) follow(ctx context.Context) error {
	ctx, cancel := context.WithCancel(s.store.engine.watchContext(ctx))
	defer cancel()
	client := s.store.engine.client()
	responses := client.Watch(ctx, s.store.cfg.Prefix, clientv3.WithPrefix(), clientv3.WithRev(s.progress.revision.Load()+1), clientv3.WithCreatedNotify())

	var ask <-chan time.Time // when to ask the etcd how far it is
	for {
		select {
		case resp, ok := <-responses:
			if !ok {
				return errors.New("the watch ended")
			}
			if resp.Created {
				s.once.Do(func() { close(s.watching) })
			}
			if err := s.take(ctx, resp, responses); err != nil {
				return err
			}
		case <-s.progress.asked:
			if ask == nil {
				ask = time.After(progressPatience)
			}
		case <-ask:
			// Events of other prefixes move the store's revision, but do not come here.
			if ask = nil; s.progress.waited() {
				if err := client.RequestProgress(ctx); err != nil {
					return fmt.Errorf("asking for progress: %w", err)
				}
				ask = time.After(progressRepeat)
			}
		}
	}
}

// take delivers a response, and with it those that have come already: they cost one publication.
func (s *stream) take(ctx context.Context, resp clientv3.WatchResponse, more <-chan clientv3.WatchResponse) error {
	events := resp.Events
	seen, err := reached(resp)
	for err == nil && len(events) < streamBatch {
		select {
		case next, ok := <-more:
			if !ok {
				err = errors.New("the watch ended")
				break
			}
			var at int64
			if at, err = reached(next); err == nil {
				events = append(events[:len(events):len(events)], next.Events...)
				seen = max(seen, at)
			}
			continue
		default:
		}
		break
	}
	s.deliver(ctx, events)
	s.progress.advance(seen)
	return err
}

// reached is the revision up to which a response completes the stream.
func reached(resp clientv3.WatchResponse) (int64, error) {
	if resp.CompactRevision != 0 {
		return 0, ErrCompacted
	}
	if err := resp.Err(); err != nil {
		return 0, err
	}
	if n := len(resp.Events); n > 0 {
		// Not the header's: that can be ahead of events still to come.
		return resp.Events[n-1].Kv.ModRevision, nil
	}
	if resp.IsProgressNotify() {
		return resp.Header.Revision, nil
	}
	return 0, nil
}

// deliver gives each cache its events, in one piece per cache.
func (s *stream) deliver(ctx context.Context, events []*clientv3.Event) {
	if len(events) == 0 {
		return
	}
	now := time.Now()
	s.mu.RLock()
	defer s.mu.RUnlock()
	if c := s.owner(events[0]); len(events) == 1 {
		if c != nil {
			c.apply(ctx, events, now)
		}
		return
	}
	byCache := map[*Cache][]*clientv3.Event{}
	for _, ev := range events {
		if c := s.owner(ev); c != nil {
			byCache[c] = append(byCache[c], ev)
		}
	}
	for c, own := range byCache {
		c.apply(ctx, own, now)
	}
}

// owner finds the cache of a key: its path is the first one, two or three parts behind the prefix.
func (s *stream) owner(ev *clientv3.Event) *Cache {
	rest := ev.Kv.Key[len(s.store.cfg.Prefix):]
	for end := 0; ; end++ {
		n := bytes.IndexByte(rest[end:], '/')
		if n < 0 {
			return nil
		}
		end += n
		if c := s.caches[string(rest[:end])]; c != nil {
			return c
		}
	}
}

// relist fills every cache anew, after the etcd has dropped the history that would have led there.
func (s *stream) relist(ctx context.Context) error {
	klog.FromContext(ctx).Info("The store has dropped history that was not read yet; everything is listed anew", "after", s.progress.revision.Load())
	// The stream goes on after the oldest of the lists; what a cache has from its list already it ignores.
	oldest, err := s.store.linearized(ctx)
	if err != nil {
		return err
	}
	for _, c := range s.all() {
		objects, revision, err := s.store.list(ctx, c, 0)
		if err != nil {
			return err
		}
		c.replace(objects, revision)
	}
	s.progress.advance(oldest)
	return nil
}

// close ends all cursors.
func (s *stream) close() {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	for _, c := range s.all() {
		c.ring.close()
	}
}
