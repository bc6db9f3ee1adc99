package storage

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tidwall/btree"
	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/klog/v2"

	"github.com/portico-api/portico/metrics"
)

// tree is a resource's objects by key. A published tree is only read.
type tree = btree.Map[string, *Object]

// Cache is one resource: written through to the store, read from memory.
type Cache struct {
	cfg     ResourceConfig
	store   *Store
	metrics *metrics.Storage
	prefix  string // of the keys of its objects
	ring    *ring
	current atomic.Pointer[state]
	past    past
	history history
	writing *foreseen // for a resource that is shown otherwise than it is stored

	mu      sync.Mutex // the stream changes what is below; so do join and Close
	objects *tree
	bytes   int64
	listed  int64             // revision of the list that filled it: older events are in it already
	joining []*clientv3.Event // events that came while the list was under way
	live    bool
}

// state is what readers see: a tree that nobody changes any more.
type state struct {
	objects  *tree
	revision int64 // of the last change in it
}

func newCache(s *Store, cfg ResourceConfig) *Cache {
	c := &Cache{cfg: cfg, store: s, metrics: s.cfg.Metrics, prefix: s.cfg.Prefix + cfg.Path + "/"}
	c.objects = new(tree)
	c.ring, c.writing = newRing(0), newForeseen()
	c.history.turn = make(chan struct{}, 1)
	c.current.Store(&state{objects: new(tree)})
	return c
}

// OpenResource starts the cache of one resource and returns when it is filled. It lives as long as the
// store, or until it is closed.
func (s *Store) OpenResource(ctx context.Context, cfg ResourceConfig) (*Cache, error) {
	if err := cfg.check(); err != nil {
		return nil, fmt.Errorf("opening resource %s: %w", cfg.Resource, err)
	}
	c := newCache(s, cfg)
	// From here on the stream keeps what happens, so that nothing falls between the list and the stream.
	if err := s.stream.attach(c); err != nil {
		return nil, fmt.Errorf("opening resource %s: %w", cfg.Resource, err)
	}
	objects, revision, err := s.list(ctx, c, 0)
	if err != nil {
		s.stream.detach(c)
		return nil, fmt.Errorf("opening resource %s: %w", cfg.Resource, err)
	}
	c.join(ctx, objects, revision)
	return c, nil
}

// join makes a cache live: the list, then what the stream has brought since.
func (c *Cache) join(ctx context.Context, objects *tree, revision int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.live {
		return // the stream had to list anew and was faster
	}
	c.install(objects, revision)
	c.ring.reset(revision)
	c.publish(revision)
	joining := c.joining
	c.joining, c.live = nil, true
	c.applyLocked(ctx, joining, time.Now())
	c.metrics.Initialized(c.cfg.Group, c.cfg.Resource)
}

func (c *Cache) install(objects *tree, revision int64) {
	c.objects, c.listed, c.bytes = objects, revision, 0
	objects.Scan(func(_ string, o *Object) bool {
		c.bytes += int64(len(o.JSON()))
		return true
	})
}

// Close stops the cache; its cursors end with ErrClosed. The objects stay stored.
func (c *Cache) Close() {
	c.store.stream.detach(c)
	c.ring.close()
}

// CountInitial counts events by which a watcher was told of what there was before it came.
func (c *Cache) CountInitial(n int) { c.metrics.InitialEvents(c.cfg.Group, c.cfg.Resource, n) }

// apply takes events of one or more whole revisions from the stream.
func (c *Cache) apply(ctx context.Context, events []*clientv3.Event, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.live {
		c.joining = append(c.joining, events...)
		return
	}
	c.applyLocked(ctx, events, now)
}

func (c *Cache) applyLocked(ctx context.Context, events []*clientv3.Event, now time.Time) {
	changes := make([]*Event, 0, len(events))
	for _, ev := range events {
		if ev.Kv.ModRevision <= c.listed {
			continue
		}
		c.metrics.EventReceived(c.cfg.Group, c.cfg.Resource)
		change, err := c.change(ev)
		if err != nil {
			c.complain(ctx, ev.Kv, err)
			continue
		}
		if change != nil {
			changes = append(changes, change)
		}
	}
	if len(changes) == 0 {
		return
	}
	// The ring first: who reads a snapshot and then watches from its revision must find what follows, and only that.
	c.ring.add(changes, now)
	c.publish(changes[len(changes)-1].Revision)
	for range changes {
		c.metrics.EventDispatched(c.cfg.Group, c.cfg.Resource)
	}
}

// change puts one event of the etcd into the tree and tells what it means; nil when it means nothing here.
func (c *Cache) change(ev *clientv3.Event) (*Event, error) {
	key, namespace, ok := c.split(ev.Kv.Key)
	if !ok {
		return nil, nil
	}
	if ev.Type == clientv3.EventTypeDelete {
		previous, ok := c.objects.Delete(key)
		if !ok {
			return nil, nil
		}
		c.bytes -= int64(len(previous.JSON()))
		gone := previous.at(ev.Kv.ModRevision, watch.Deleted)
		return &Event{Type: watch.Deleted, Object: gone, Previous: previous, Revision: ev.Kv.ModRevision}, nil
	}
	previous, _ := c.objects.Get(key)
	typ := watch.Added
	if previous != nil {
		typ = watch.Modified
		key = previous.key // one copy of it is enough
	}
	o, err := c.object(key, namespace, ev.Kv, typ)
	if err != nil {
		return nil, err
	}
	c.objects.Set(key, o)
	c.bytes += int64(len(o.JSON()))
	if previous != nil {
		c.bytes -= int64(len(previous.JSON()))
	}
	return &Event{Type: typ, Object: o, Previous: previous, Revision: ev.Kv.ModRevision}, nil
}

// object makes what clients are shown of a key's value.
func (c *Cache) object(key string, namespace int, kv *mvccpb.KeyValue, typ watch.EventType) (*Object, error) {
	body, rewritten := kv.Value, false
	if c.cfg.Read != nil {
		if s, ok := c.writing.take(key, body); ok {
			body, rewritten = s.shown, s.rewritten
		} else {
			body, rewritten = c.cfg.Read(body)
		}
	}
	o, err := newObject(key, namespace, body, kv.ModRevision, typ)
	if err != nil {
		return nil, err
	}
	o.rewritten = rewritten
	o.index(c.cfg.Fields)
	return o, nil
}

// split takes an etcd key apart; false for one that is no object of this resource.
func (c *Cache) split(etcdKey []byte) (key string, namespace int, ok bool) {
	key = string(etcdKey[len(c.prefix):])
	if !c.cfg.Namespaced {
		return key, 0, key != "" && strings.IndexByte(key, '/') < 0
	}
	namespace = strings.IndexByte(key, '/')
	return key, namespace, namespace > 0 && namespace < len(key)-1 && strings.IndexByte(key[namespace+1:], '/') < 0
}

// publish lets readers see the tree as it is.
func (c *Cache) publish(revision int64) {
	c.current.Store(&state{objects: c.objects.IsoCopy(), revision: revision})
	c.metrics.SetCacheRevision(c.cfg.Group, c.cfg.Resource, revision)
	c.metrics.SetObjects(c.cfg.Group, c.cfg.Resource, c.objects.Len())
	c.metrics.SetObjectBytes(c.cfg.Group, c.cfg.Resource, c.bytes)
	c.metrics.SetCapacity(c.cfg.Group, c.cfg.Resource, c.ring.capacity())
}

// replace takes a whole new state, after the etcd has dropped the history in between. Watchers keep their
// place if nothing has changed; otherwise they cannot be told exactly what happened, and have to list again.
func (c *Cache) replace(objects *tree, revision int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	same := c.live && objects.Len() == c.objects.Len()
	if same {
		objects.Scan(func(key string, o *Object) bool {
			old, ok := c.objects.Get(key)
			same = ok && old.revision == o.revision
			return same
		})
	}
	c.writing.clear()
	if same {
		c.listed = revision
		return
	}
	c.install(objects, revision)
	c.ring.reset(revision)
	c.past.clear()
	c.publish(revision)
	c.joining, c.live = nil, true
	c.metrics.Initialized(c.cfg.Group, c.cfg.Resource)
}

// trim gives back what readers of the past no longer need.
func (c *Cache) trim(now time.Time) {
	c.ring.trim(now)
	c.past.clear()
}

func (c *Cache) complain(ctx context.Context, kv *mvccpb.KeyValue, err error) {
	c.metrics.DecodeError(c.cfg.Group, c.cfg.Resource)
	klog.FromContext(ctx).Error(err, "A stored object cannot be served", "key", string(kv.Key), "revision", kv.ModRevision)
}
