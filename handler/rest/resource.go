package rest

import (
	"context"
	"net/http"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Resource is everything the verbs need to know of one resource or subresource of one version.
type Resource struct {
	GroupVersion schema.GroupVersion
	// Kind is the kind of what is read and written here; KindGroupVersion says where it lives when
	// that is not GroupVersion (autoscaling/v1 Scale, authentication.k8s.io/v1 TokenRequest).
	Kind             string
	ListKind         string // default Kind + "List", or what Scheme knows
	KindGroupVersion schema.GroupVersion

	Name         string // plural, or the subresource's name: "status"
	SingularName string
	ShortNames   []string
	Categories   []string
	Namespaced   bool

	// Storage offers some of Getter, Lister, Watcher, Creater, Updater, Deleter, CollectionDeleter.
	Storage any
	// New and NewList make empty values to decode into; NewList is nil for what cannot be listed.
	New     func() runtime.Object
	NewList func() runtime.Object
	// Scheme knows the types; Codecs are made from it.
	Scheme *runtime.Scheme
	// Applier makes server-side apply possible; nil refuses it.
	Applier Applier
	// Table renders the resource for kubectl get; nil means Name and Created At.
	Table *Table

	// Settle drops from an object without a Go type, which a client has sent, what its schema does not know, and tells what that was; nil drops
	// nothing. An error says that it is no object of its kind.
	Settle func(obj runtime.Object) (unknown []error, err error)

	// MaxDepth is how deep objects that clients send may be nested; 0 leaves it to who decodes them. It is for types that contain themselves.
	MaxDepth int

	// Turn does what a write of one object takes, once its body, of size bytes, is there, and may have it wait for others first. What waits for
	// the client is no part of it. Nil does it at once.
	Turn func(ctx context.Context, size int, write func(ctx context.Context) error) error

	Subresources []*Resource
}

// Table is how a resource looks in kubectl get.
type Table struct {
	Columns []metav1.TableColumnDefinition
	// Cells are the cells of one object, one for each column.
	Cells func(obj runtime.Object) []any
}

// Verbs are the API verbs that the storage offers, sorted, as discovery lists them.
func (r *Resource) Verbs() []string {
	var verbs []string
	offers := func(ok bool, names ...string) {
		if ok {
			verbs = append(verbs, names...)
		}
	}
	_, get := r.Storage.(Getter)
	_, list := r.Storage.(Lister)
	_, watch := r.Storage.(Watcher)
	_, create := r.Storage.(Creater)
	_, update := r.Storage.(Updater)
	_, remove := r.Storage.(Deleter)
	_, removeAll := r.Storage.(CollectionDeleter)
	offers(get, "get")
	offers(list, "list")
	offers(watch, "watch")
	offers(create, "create")
	offers(update, "update")
	offers(update && get, "patch") // a patch reads what it changes
	offers(remove, "delete")
	offers(removeAll, "deletecollection")
	if c, ok := r.Storage.(Connecter); ok {
		for _, method := range c.Methods() {
			offers(true, connectVerbs[method])
		}
	}
	slices.Sort(verbs)
	return verbs
}

// connectVerbs are the verbs by which connections are authorized.
var connectVerbs = map[string]string{
	http.MethodGet: "get", http.MethodPost: "create", http.MethodPut: "update", http.MethodPatch: "patch", http.MethodDelete: "delete",
}

// GroupVersionKind is the kind of the bodies that are read and written here.
func (r *Resource) GroupVersionKind() schema.GroupVersionKind {
	if !r.KindGroupVersion.Empty() {
		return r.KindGroupVersion.WithKind(r.Kind)
	}
	return r.GroupVersion.WithKind(r.Kind)
}
