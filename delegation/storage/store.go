package storage

import (
	"context"
	"errors"
	"time"

	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/portico-api/portico/metrics"
)

// Errors of the store. The registry turns them into answers; none of them is shown to a client as is.
var (
	ErrNotFound  = errors.New("object not found")
	ErrExists    = errors.New("object exists already")
	ErrConflict  = errors.New("object has changed")        // the expected revision is not the current one
	ErrCompacted = errors.New("revision is too old")       // left the ring, or compacted
	ErrFuture    = errors.New("revision is not there yet") // still not after waiting
)

// Config says where objects are kept.
type Config struct {
	DataDir                   string   // the embedded etcd's directory; used when Servers is empty
	Servers                   []string // a cluster's client URLs
	Prefix                    string   // key prefix, default "/registry"
	CAFile, CertFile, KeyFile string   // TLS to the cluster
	Metrics                   *metrics.Storage
}

// Store is the etcd, embedded or a cluster.
type Store struct{}

// Open returns a store that is ready for reads and writes.
func Open(ctx context.Context, cfg Config) (*Store, error) { panic("skeleton") }

// Close ends every cache and the embedded etcd, after all that was acknowledged is on disk.
func (s *Store) Close() error { panic("skeleton") }

// Health returns nil when the store answers.
func (s *Store) Health(ctx context.Context) error { panic("skeleton") }

// ResourceConfig says how one resource is stored.
type ResourceConfig struct {
	Group, Resource string // for metrics
	// Path is the key path below the store's prefix: "configmaps", "services/specs",
	// "apiregistration.k8s.io/apiservices".
	Path       string
	Namespaced bool
	// Fields are the selectable fields of an object beyond metadata.name and metadata.namespace,
	// taken from its JSON once, when it enters the cache; nil for none.
	Fields func(json []byte) fields.Set
}

// OpenResource starts the cache of one resource and returns when it is filled. It lives as long as the store, or until it is closed.
func (s *Store) OpenResource(ctx context.Context, cfg ResourceConfig) (*Cache, error) { panic("skeleton") }

// Object is one stored object: immutable and shared by all readers.
type Object struct{}

func (o *Object) JSON() []byte           { panic("skeleton") } // resourceVersion included
func (o *Object) ResourceVersion() int64 { panic("skeleton") }
func (o *Object) Namespace() string      { panic("skeleton") }
func (o *Object) Name() string           { panic("skeleton") }
func (o *Object) Labels() labels.Set     { panic("skeleton") }
func (o *Object) Fields() fields.Set     { panic("skeleton") } // metadata.name, metadata.namespace and the resource's own

// Cache is one resource: written through to the store, read from memory.
type Cache struct{}

// Get returns the newest object when revision is 0... see Read. ErrNotFound when there is none.
func (c *Cache) Get(ctx context.Context, namespace, name string, read Read) (*Object, error) {
	panic("skeleton")
}

// Read says how fresh a read must be.
type Read struct {
	// Any accepts what the cache has now (resourceVersion=0).
	Any bool
	// NotOlderThan waits up to 3 s for this revision (ErrFuture after that). Zero with Any unset means
	// the newest: everything acknowledged before the call is seen.
	NotOlderThan int64
}

// Snapshot returns an immutable state of the whole resource, read without a lock.
func (c *Cache) Snapshot(ctx context.Context, read Read) (*Snapshot, error) { panic("skeleton") }

// SnapshotAt returns the state at exactly that revision (pages of a list); ErrCompacted when it is no longer there.
func (c *Cache) SnapshotAt(ctx context.Context, revision int64) (*Snapshot, error) {
	panic("skeleton")
}

// Snapshot is the resource at one revision.
type Snapshot struct{}

func (s *Snapshot) Revision() int64 { panic("skeleton") }
func (s *Snapshot) Len() int        { panic("skeleton") }

// Ascend calls yield for each object of namespace (empty: all) whose key is >= start, in key order, until it returns false.
// A key is "namespace/name" or "name" for cluster-scoped resources.
func (s *Snapshot) Ascend(namespace, start string, yield func(*Object) bool) { panic("skeleton") }

// Create stores json (without resourceVersion) if the key is free: ErrExists otherwise. ttl 0 keeps it.
func (c *Cache) Create(ctx context.Context, namespace, name string, json []byte, ttl time.Duration) (*Object, error) {
	panic("skeleton")
}

// Update replaces the object if its revision is still expect: ErrConflict or ErrNotFound otherwise.
func (c *Cache) Update(ctx context.Context, namespace, name string, json []byte, expect int64, ttl time.Duration) (*Object, error) {
	panic("skeleton")
}

// Delete removes the object if its revision is still expect, and returns it with the revision of the deletion.
func (c *Cache) Delete(ctx context.Context, namespace, name string, expect int64) (*Object, error) {
	panic("skeleton")
}

// Watch returns a cursor on the changes after revision, of one namespace or all (""). ErrCompacted when they have left the ring.
func (c *Cache) Watch(ctx context.Context, namespace string, revision int64) (*Cursor, error) {
	panic("skeleton")
}

// Cursor is one watcher's place on the ring of events. It holds no copy of an event.
type Cursor struct{}

// Next blocks until there are events or ctx ends; ErrCompacted when the cursor fell off the ring. The
// slice is valid until the next call. seen is the revision up to which everything has been delivered (for bookmarks).
func (c *Cursor) Next(ctx context.Context) (events []*Event, seen int64, err error) {
	panic("skeleton")
}

// Close frees the cursor.
func (c *Cursor) Close() { panic("skeleton") }

// Event is one change, shared by all watchers.
type Event struct {
	Type     watch.EventType // Added, Modified, Deleted
	Object   *Object         // the new state; for Deleted the last state with the deletion's revision
	Previous *Object         // nil for Added
	Revision int64
}

// Frame is the JSON watch frame of the event shown as typ (a selector may turn a modification into an
// addition or a deletion), made once for each typ.
func (e *Event) Frame(typ watch.EventType) []byte { panic("skeleton") }
