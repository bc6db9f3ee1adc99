package delegation

import (
	"context"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
)

// OwnedResource is one resource whose objects may own others and be owned, wherever they are kept. The garbage
// collector follows it.
type OwnedResource struct {
	Resource   schema.GroupVersionResource
	Kind       string
	Namespaced bool

	Reader OwnershipReader
	Writer OwnershipWriter
}

// OwnershipReader tells of the objects of one resource.
type OwnershipReader interface {
	// Observe tells to of every object that there is and of each change, until ctx ends or the resource cannot be
	// followed any more.
	Observe(ctx context.Context, to OwnershipObserver) error
	// Get reads the newest state of one object. Errors are APIStatus errors; only NotFound means that there
	// is none.
	Get(ctx context.Context, namespace, name string) (*OwnedObject, error)
}

// OwnershipObserver is what OwnershipReader tells.
type OwnershipObserver interface {
	// Begin comes before all objects are told of: what is not told of then has gone meanwhile.
	Begin()
	// Changed tells of an object: as it is, or as it was when it was deleted.
	Changed(o *OwnedObject, deleted bool)
	// Listed comes when all objects have been told of.
	Listed()
}

// OwnershipWriter changes one object, if it is still the one with the given UID: otherwise the error is NotFound or
// Conflict.
type OwnershipWriter interface {
	// Rewrite lets change set owners and finalizers of the newest state, and stores it unless it returns false.
	Rewrite(ctx context.Context, namespace, name string, uid types.UID, change func(o *OwnedObject) bool) error
	// Delete deletes the object in the state that seen was read in.
	Delete(ctx context.Context, seen *OwnedObject, policy metav1.DeletionPropagation) error
}

// OwnedObject is what of an object decides whether it is garbage.
type OwnedObject struct {
	Namespace, Name string
	UID             types.UID
	ResourceVersion string
	Owners          []metav1.OwnerReference
	Finalizers      []string
	Deleting        bool // it has a deletionTimestamp
}
