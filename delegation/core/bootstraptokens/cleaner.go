package bootstraptokens

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

// Cleaner deletes the secrets of tokens that have ended.
type Cleaner struct {
	secrets *registry.Store
	now     func() time.Time
}

// NewCleaner returns a cleaner of secrets.
func NewCleaner(secrets *registry.Store) *Cleaner {
	return &Cleaner{secrets: secrets, now: time.Now}
}

// Run cleans until ctx ends.
func (c *Cleaner) Run(ctx context.Context, started func()) error {
	queue := controller.NewQueue("token_cleaner", c.settle)
	return queue.Run(ctx, 1,
		func(ctx context.Context) error {
			return c.secrets.Follow(ctx, func(change registry.Change) {
				if s := change.Object.(*corev1.Secret); !change.Deleted && isToken(s) {
					queue.Add(s.Name)
				}
			}, started)
		},
	)
}

// settle deletes a token that has ended, or asks to be called when it does.
func (c *Cleaner) settle(ctx context.Context, name string) (again time.Duration, err error) {
	s, err := registry.GetAs[*corev1.Secret](ctx, c.secrets, metav1.NamespaceSystem, name)
	if apierrors.IsNotFound(err) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("reading secret %s: %w", name, err)
	}
	expiry, expires := expiryOf(s)
	if !expires || !isToken(s) {
		return 0, nil
	}
	if left := expiry.Sub(c.now()); left > 0 {
		return left, nil
	}
	_, _, err = c.secrets.Delete(ctx, metav1.NamespaceSystem, name, &metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &s.UID}})
	if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
		return 0, fmt.Errorf("deleting bootstrap token %s, which has ended: %w", name, err)
	}
	return 0, nil
}
