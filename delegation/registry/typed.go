package registry

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/portico-api/portico/delegation/storage"
	"github.com/portico-api/portico/handler/rest"
)

// The functions here are for controllers: they read and write decoded objects of one Go type, by the same
// rules as clients.

// GetAs reads one object, decoded; T is the resource's type (*corev1.Namespace).
func GetAs[T runtime.Object](ctx context.Context, s *Store, namespace, name string) (T, error) {
	var none T
	o, err := s.get(ctx, namespace, name, storage.Read{})
	if err != nil {
		return none, s.explain(ctx, name, err)
	}
	return decodeAs[T](s, o)
}

// ListAs reads all objects of a namespace ("" for all), decoded.
func ListAs[T runtime.Object](ctx context.Context, s *Store, namespace string) ([]T, error) {
	snapshot, err := s.cache.Snapshot(ctx, storage.Read{})
	if err != nil {
		return nil, s.explain(ctx, "", err)
	}
	var all []T
	snapshot.Ascend(namespace, "", func(o *storage.Object) bool {
		var obj T
		if obj, err = decodeAs[T](s, o); err == nil {
			all = append(all, obj)
		}
		return err == nil
	})
	return all, err
}

// CreateAs stores obj and returns what was stored.
func CreateAs[T runtime.Object](ctx context.Context, s *Store, namespace string, obj T) (T, error) {
	created, err := s.Create(ctx, namespace, "", obj, &metav1.CreateOptions{FieldManager: inProcess})
	return resultAs[T](s, created, err)
}

// UpdateAs changes one object with change, which may run again when another writer was faster.
func UpdateAs[T runtime.Object](ctx context.Context, s *Store, namespace, name string, change func(obj T) error) (T, error) {
	return updateAs(ctx, s, &s.main, namespace, name, change)
}

// UpdateStatusAs is UpdateAs through the status subresource.
func UpdateStatusAs[T runtime.Object](ctx context.Context, s *Store, namespace, name string, change func(obj T) error) (T, error) {
	return updateAs(ctx, s, &s.status, namespace, name, change)
}

// UpdateSubresourceAs is UpdateAs through sub.
func UpdateSubresourceAs[T runtime.Object](ctx context.Context, s *Store, sub Subresource, namespace, name string, change func(obj T) error) (T, error) {
	d := s.subresourceDoor(sub)
	return updateAs(ctx, s, &d, namespace, name, change)
}

func updateAs[T runtime.Object](ctx context.Context, s *Store, d *door, namespace, name string, change func(obj T) error) (T, error) {
	transform := func(_ context.Context, current runtime.Object) (runtime.Object, error) {
		if current == nil { // of a kind that updates may create
			return nil, apierrors.NewNotFound(s.gr, name)
		}
		obj, ok := current.(T)
		if !ok {
			return nil, fmt.Errorf("updating %s: it is no %T", s.gr, obj)
		}
		return obj, change(obj)
	}
	updated, _, err := s.update(ctx, d, namespace, name, transform, &rest.UpdateOptions{UpdateOptions: metav1.UpdateOptions{FieldManager: inProcess}})
	return resultAs[T](s, updated, err)
}

func decodeAs[T runtime.Object](s *Store, o *storage.Object) (T, error) {
	obj, err := s.decode(o)
	return resultAs[T](s, obj, err)
}

func resultAs[T runtime.Object](s *Store, obj runtime.Object, err error) (T, error) {
	var none T
	if err != nil {
		return none, err
	}
	typed, ok := obj.(T)
	if !ok {
		return none, fmt.Errorf("reading %s: it is a %T, not a %T", s.gr, obj, none)
	}
	return typed, nil
}
