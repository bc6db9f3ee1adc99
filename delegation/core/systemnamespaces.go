package core

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/portico-api/portico/delegation/controller"
	"github.com/portico-api/portico/delegation/registry"
)

// systemNamespacesInterval is how often the namespaces are looked for again.
const systemNamespacesInterval = time.Minute

// systemNamespaces makes the namespaces that are there on every server. There are no nodes, so
// kube-node-lease is not among them.
type systemNamespaces struct {
	namespaces *registry.Store
	// made is closed when all of them were there for the first time; what writes into kube-system waits for it.
	made chan struct{}
}

func newSystemNamespaces(namespaces *registry.Store) *systemNamespaces {
	return &systemNamespaces{namespaces: namespaces, made: make(chan struct{})}
}

// Run makes them at once and again when one has gone, until ctx ends.
func (s *systemNamespaces) Run(ctx context.Context, started func()) error {
	err := controller.Retry(ctx, "making the system namespaces", s.ensure)
	if err != nil {
		return err
	}
	close(s.made)
	started()
	return controller.Every(ctx, systemNamespacesInterval, s.ensure)
}

// wait blocks until the system namespaces are there or ctx ends.
func (s *systemNamespaces) wait(ctx context.Context) error {
	select {
	case <-s.made:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *systemNamespaces) ensure(ctx context.Context) error {
	for _, name := range []string{metav1.NamespaceSystem, metav1.NamespacePublic, metav1.NamespaceDefault} {
		_, err := registry.GetAs[*corev1.Namespace](ctx, s.namespaces, "", name)
		if apierrors.IsNotFound(err) {
			_, err = registry.CreateAs(ctx, s.namespaces, "", &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}})
		}
		if err != nil && !apierrors.IsAlreadyExists(err) {
			return fmt.Errorf("creating system namespace %s: %w", name, err)
		}
	}
	return nil
}
