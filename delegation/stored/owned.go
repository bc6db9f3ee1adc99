package stored

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strconv"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"

	"github.com/portico-api/portico/delegation"
	"github.com/portico-api/portico/delegation/registry"
	"github.com/portico-api/portico/handler/rest"
)

// NewOwnedResource returns a resource that is kept in a registry, for the garbage collector.
func NewOwnedResource(resource registry.Resource, store *registry.Store) delegation.OwnedResource {
	o := ownedStore{store}
	return delegation.OwnedResource{
		Resource:   resource.GroupVersion.WithResource(resource.Name),
		Kind:       resource.Kind,
		Namespaced: resource.Namespaced,
		Reader:     o,
		Writer:     o,
	}
}

// ownedStore reads and writes who owns the objects of a registry.
type ownedStore struct{ store *registry.Store }

func (s ownedStore) Observe(ctx context.Context, to delegation.OwnershipObserver) error {
	return s.store.Observe(ctx, registry.Observer{
		Begin:  to.Begin,
		Listed: to.Listed,
		Tell: func(o rest.Object, deleted bool) {
			if !deleted && !mayMatter(o.JSON()) {
				// Nearly all objects: nobody owns them and nothing holds them. Only their end is of interest.
				to.Changed(&delegation.OwnedObject{Namespace: o.Namespace(), Name: o.Name()}, false)
				return
			}
			if owned, err := ownedObject(o); err == nil {
				to.Changed(owned, deleted)
			}
		},
	})
}

// mayMatter tells whether an object can have owners or finalizers. It may be wrong only in that it says so: no other
// place in JSON can hide the two names.
func mayMatter(json []byte) bool {
	return bytes.Contains(json, []byte(`"ownerReferences"`)) || bytes.Contains(json, []byte(`"finalizers"`))
}

func (s ownedStore) Get(ctx context.Context, namespace, name string) (*delegation.OwnedObject, error) {
	o, err := s.store.Get(ctx, namespace, name, nil)
	if err != nil {
		return nil, err
	}
	return ownedObject(o)
}

func (s ownedStore) Rewrite(ctx context.Context, namespace, name string, uid types.UID, change func(o *delegation.OwnedObject) bool) error {
	_, _, err := s.store.Update(ctx, namespace, name, func(_ context.Context, current runtime.Object) (runtime.Object, error) {
		m, err := meta.Accessor(current)
		if err != nil {
			return nil, fmt.Errorf("reading who owns an object: %w", err)
		}
		if m.GetUID() != uid {
			return nil, s.another(name)
		}
		o := &delegation.OwnedObject{
			Namespace: namespace, Name: name, UID: uid, ResourceVersion: m.GetResourceVersion(),
			Owners: m.GetOwnerReferences(), Finalizers: m.GetFinalizers(), Deleting: m.GetDeletionTimestamp() != nil,
		}
		if change(o) {
			m.SetOwnerReferences(o.Owners)
			m.SetFinalizers(o.Finalizers)
		}
		return current, nil // what is as it was is not written
	}, &rest.UpdateOptions{UpdateOptions: metav1.UpdateOptions{FieldManager: "portico"}})
	return err
}

func (s ownedStore) Delete(ctx context.Context, seen *delegation.OwnedObject, policy metav1.DeletionPropagation) error {
	_, _, err := s.store.Delete(ctx, seen.Namespace, seen.Name, &metav1.DeleteOptions{
		PropagationPolicy: &policy,
		Preconditions:     &metav1.Preconditions{UID: &seen.UID, ResourceVersion: &seen.ResourceVersion},
	})
	return err
}

func (s ownedStore) another(name string) error {
	resource := s.store.Rest()
	return apierrors.NewNotFound(resource.GroupVersion.WithResource(resource.Name).GroupResource(), name)
}

// ownedObject reads what is of interest, without decoding the rest.
func ownedObject(o rest.Object) (*delegation.OwnedObject, error) {
	var stored struct {
		Metadata struct {
			UID               types.UID               `json:"uid"`
			OwnerReferences   []metav1.OwnerReference `json:"ownerReferences"`
			Finalizers        []string                `json:"finalizers"`
			DeletionTimestamp *metav1.Time            `json:"deletionTimestamp"`
		} `json:"metadata"`
	}
	if err := json.Unmarshal(o.JSON(), &stored); err != nil {
		return nil, fmt.Errorf("reading who owns %s/%s: %w", o.Namespace(), o.Name(), err)
	}
	m := &stored.Metadata
	return &delegation.OwnedObject{
		Namespace: o.Namespace(), Name: o.Name(), UID: m.UID, ResourceVersion: strconv.FormatInt(o.ResourceVersion(), 10),
		Owners: m.OwnerReferences, Finalizers: m.Finalizers, Deleting: m.DeletionTimestamp != nil,
	}, nil
}
