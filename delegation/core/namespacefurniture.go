package core

import (
	"context"
	"fmt"
	"maps"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/portico-api/portico/delegation/controller"
	"github.com/portico-api/portico/delegation/registry"
)

const (
	defaultServiceAccountName = "default"
	rootCAMapName             = "kube-root-ca.crt"
	rootCAKey                 = "ca.crt"
)

// namespaceFurniture keeps one object of a fixed name in every namespace that is not ending.
type namespaceFurniture struct {
	name                string // of the object, and in logs
	namespaces, objects *registry.Store
	// ensure makes the object in one namespace, or makes it right.
	ensure func(ctx context.Context, namespace string) error
	// changed has all namespaces looked at again; nil when nothing but the objects changes.
	changed chan struct{}
}

// newDefaultServiceAccounts keeps the service account that programs use when they name none.
func newDefaultServiceAccounts(namespaces, serviceAccounts *registry.Store) *namespaceFurniture {
	return &namespaceFurniture{
		name:       defaultServiceAccountName,
		namespaces: namespaces,
		objects:    serviceAccounts,
		ensure: func(ctx context.Context, namespace string) error {
			_, err := registry.GetAs[*corev1.ServiceAccount](ctx, serviceAccounts, namespace, defaultServiceAccountName)
			if apierrors.IsNotFound(err) {
				_, err = registry.CreateAs(ctx, serviceAccounts, namespace, &corev1.ServiceAccount{
					ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: defaultServiceAccountName}})
			}
			return err
		},
	}
}

// newRootCAs keeps the config map by which programs in a namespace verify this server.
func newRootCAs(namespaces, configMaps *registry.Store, trust TrustSource) *namespaceFurniture {
	f := &namespaceFurniture{
		name:       rootCAMapName,
		namespaces: namespaces,
		objects:    configMaps,
		changed:    make(chan struct{}, 1),
	}
	f.ensure = func(ctx context.Context, namespace string) error {
		ca := trust.Trust().ServingCA
		if len(ca) == 0 {
			return nil // the server's certificate is of an authority that was not given
		}
		data := map[string]string{rootCAKey: string(ca)}
		stored, err := registry.GetAs[*corev1.ConfigMap](ctx, configMaps, namespace, rootCAMapName)
		switch {
		case apierrors.IsNotFound(err):
			_, err = registry.CreateAs(ctx, configMaps, namespace, &corev1.ConfigMap{
				ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: rootCAMapName},
				Data:       data,
			})
		case err == nil && !maps.Equal(stored.Data, data):
			_, err = registry.UpdateAs(ctx, configMaps, namespace, rootCAMapName, func(cm *corev1.ConfigMap) error {
				cm.Data = data
				return nil
			})
		}
		return err
	}
	trust.OnTrustChange(func() {
		select {
		case f.changed <- struct{}{}:
		default:
		}
	})
	return f
}

// Run looks at each namespace that is new, and again at those whose object was changed.
func (f *namespaceFurniture) Run(ctx context.Context, started func()) error {
	queue := controller.NewQueue(f.name, f.furnish)
	return queue.Run(ctx, 1,
		func(ctx context.Context) error {
			return f.namespaces.Follow(ctx, func(change registry.Change) {
				if namespace := change.Object.(*corev1.Namespace); change.Old == nil && !change.Deleted && !terminating(namespace) {
					queue.Add(namespace.Name)
				}
			}, started)
		},
		func(ctx context.Context) error {
			return f.objects.FollowNamed(ctx, f.name, func(change registry.Change) {
				// What is new is ours or is looked at when its namespace is.
				object, err := meta.Accessor(change.Object)
				if err == nil && (change.Deleted || change.Old != nil) {
					queue.Add(object.GetNamespace())
				}
			}, func() {})
		},
		func(ctx context.Context) error { return f.refurnish(ctx, queue) },
	)
}

func (f *namespaceFurniture) refurnish(ctx context.Context, queue *controller.Queue) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-f.changed:
		}
		all, err := registry.ListAs[*corev1.Namespace](ctx, f.namespaces, "")
		if err != nil {
			return fmt.Errorf("listing namespaces: %w", err)
		}
		for _, namespace := range all {
			queue.Add(namespace.Name)
		}
	}
}

func (f *namespaceFurniture) furnish(ctx context.Context, namespace string) (time.Duration, error) {
	err := f.ensure(ctx, namespace)
	switch {
	case err == nil, apierrors.IsAlreadyExists(err), apierrors.IsNotFound(err):
		return 0, nil // not found: the namespace has gone meanwhile
	case apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause):
		return 0, nil
	}
	return 0, fmt.Errorf("keeping %s in namespace %s: %w", f.name, namespace, err)
}
