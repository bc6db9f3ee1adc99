package rest

import (
	"context"
	"net/http"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
)

// Object is one stored object as its clients read it: immutable and shared by all readers.
type Object interface {
	// JSON is the object in its stored version, resourceVersion included. It must not be changed.
	JSON() []byte
	// ResourceVersion is the store's revision of the last write.
	ResourceVersion() int64
	Namespace() string
	Name() string
}

// List is one consistent state of a collection, or a page of it.
type List struct {
	ResourceVersion    int64
	Continue           string
	RemainingItemCount *int64
	// Items yields the objects in key order until yield returns false.
	Items func(yield func(Object) bool)
}

// Event is one change as one watcher sees it (selectors applied).
type Event struct {
	Type   watch.EventType
	Object Object
	// Frame is the event as a watch frame in JSON with a newline at its end, encoded once and
	// shared by all watchers. It must not be changed.
	Frame []byte
}

// Watch is one watcher's place in the stream of changes.
type Watch interface {
	// Next blocks until there are events, the context of the watch ends or the watch cannot go on: an
	// APIStatus such as 410 Expired, or io.EOF when the resource itself goes and its clients had better
	// look again. The slice is valid until the next call.
	Next() ([]Event, error)
	// Stop frees what the watch holds.
	Stop()
}

// Getter, Lister, Watcher, Creater, Updater, Deleter and CollectionDeleter are what a resource's
// storage may offer; the verbs of the resource follow from those it does. namespace is empty for
// cluster-scoped resources and for lists across all namespaces. Errors are APIStatus errors.
type Getter interface {
	Get(ctx context.Context, namespace, name string, opts *metav1.GetOptions) (Object, error)
}

type Lister interface {
	List(ctx context.Context, namespace string, opts *ListOptions) (*List, error)
}

type Watcher interface {
	Watch(ctx context.Context, namespace string, opts *ListOptions) (Watch, error)
}

// Creater stores obj, or answers it without storing (TokenReview and other virtual resources).
type Creater interface {
	Create(ctx context.Context, namespace, name string, obj runtime.Object, opts *metav1.CreateOptions) (runtime.Object, error)
}

// Transform makes the new state from the current one; current is nil when the object does not
// exist. It may be called again when another writer was faster and must not keep state.
type Transform func(ctx context.Context, current runtime.Object) (runtime.Object, error)

// Updater changes one object. created tells that it did not exist before.
type Updater interface {
	Update(ctx context.Context, namespace, name string, transform Transform, opts *UpdateOptions) (obj runtime.Object, created bool, err error)
}

// Applier merges what a field manager wants into an object, and keeps account of who manages which field.
type Applier interface {
	// Apply returns current as config wants it; current is nil when the object does not exist. It is used
	// within a Transform.
	Apply(current runtime.Object, config *unstructured.Unstructured, manager string, force bool) (runtime.Object, error)
}

// Deleter deletes one object. deleted is false when finalizers or grace keep it: then obj is its
// new state, otherwise the last one.
type Deleter interface {
	Delete(ctx context.Context, namespace, name string, opts *metav1.DeleteOptions) (obj runtime.Object, deleted bool, err error)
}

// Connecter answers whatever is asked of an object with one of its methods, for subresources that are connections.
type Connecter interface {
	Methods() []string // of HTTP
	Connect(w http.ResponseWriter, r *http.Request, namespace, name string) error
}

type CollectionDeleter interface {
	DeleteCollection(ctx context.Context, namespace string, opts *metav1.DeleteOptions, list *ListOptions) (runtime.Object, error)
}
