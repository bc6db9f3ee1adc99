package garbagecollection

import (
	"context"
	"errors"
	"fmt"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/portico-api/portico/delegation"
)

// owners are an object's owners by what is known of them.
type owners struct {
	solid   []types.UID // exist
	waiting []types.UID // exist, and wait for their dependents to go
	absent  []types.UID // do not exist
	// misplaced are in a namespace while the object is in none: it cannot be told which one is meant.
	misplaced []metav1.OwnerReference
	doubt     error // why it is not known of others whether they exist
}

// errTakesServer: a server has to be asked, and nobody may wait for it here.
var errTakesServer = errors.New("a server has to be asked")

// errUnknownKind: nobody serves the kind of an owner, at least not now.
var errUnknownKind = errors.New("nobody serves this kind now")

// sort asks for each owner of an object. It asks until one is found that keeps the object, and for those after it, too: a
// reference to an owner that is gone is removed.
func (c *Collector) sort(ctx context.Context, o *delegation.OwnedObject, mayWait bool) owners {
	var found owners
	for _, ref := range o.Owners {
		owner, err := c.owner(ctx, o.Namespace, ref, mayWait)
		switch {
		case errors.Is(err, errMisplaced):
			found.misplaced = append(found.misplaced, ref)
		case errors.Is(err, errAbsent):
			found.absent = append(found.absent, ref.UID)
		case errors.Is(err, errTakesServer):
			return owners{doubt: err}
		case err != nil:
			found.doubt = fmt.Errorf("looking for owner %s %s: %w", ref.Kind, ref.Name, err)
		case owner.Deleting && slices.Contains(owner.Finalizers, metav1.FinalizerDeleteDependents):
			found.waiting = append(found.waiting, ref.UID)
		default:
			found.solid = append(found.solid, ref.UID)
		}
	}
	return found
}

var (
	errAbsent    = errors.New("the owner does not exist")
	errMisplaced = errors.New("the owner is in a namespace and the object is in none")
)

// owner reads an owner. The absence of one is remembered with everything that the reference says: another reference to
// the same UID may name another object.
func (c *Collector) owner(ctx context.Context, namespace string, ref metav1.OwnerReference, mayWait bool) (*delegation.OwnedObject, error) {
	group := schema.FromAPIVersionAndKind(ref.APIVersion, ref.Kind).GroupKind()
	s := c.sourceOf(group)
	if s == nil {
		return nil, errUnknownKind
	}
	switch {
	case !s.Namespaced:
		namespace = ""
	case namespace == "":
		return nil, errMisplaced
	}
	place := absence{kind: group, namespace: namespace, name: ref.Name, uid: ref.UID}
	if _, known := c.absent.Get(place); known {
		return nil, errAbsent
	}
	switch {
	case s.remote && !s.complete.Load():
		return nil, errUnknownKind // to ask a server that does not answer would hold up those that wait for others
	case s.remote && !mayWait:
		return nil, errTakesServer
	}
	owner, err := s.Reader.Get(ctx, namespace, ref.Name)
	switch {
	case apierrors.IsNotFound(err), err == nil && owner.UID != ref.UID:
		c.absent.Add(place, struct{}{}) // a UID is never used again
		return nil, errAbsent
	case err != nil:
		return nil, err
	}
	return owner, nil
}

// absence is a place where an owner was looked for in vain.
type absence struct {
	kind            schema.GroupKind
	namespace, name string
	uid             types.UID
}

// without returns refs but for those of uids.
func without(refs []metav1.OwnerReference, uids []types.UID) []metav1.OwnerReference {
	return slices.DeleteFunc(slices.Clone(refs), func(ref metav1.OwnerReference) bool { return slices.Contains(uids, ref.UID) })
}
