package certificates

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/portico-api/portico/delegation/controller"
	"github.com/portico-api/portico/delegation/registry"
)

const (
	// settledLife is how long a request stays after its verdict, and pendingLife without one.
	settledLife = time.Hour
	pendingLife = 24 * time.Hour
)

// Cleaner deletes requests that are over.
type Cleaner struct {
	requests *registry.Store
	now      func() time.Time
}

// NewCleaner returns a cleaner of requests.
func NewCleaner(requests *registry.Store) *Cleaner {
	return &Cleaner{requests: requests, now: time.Now}
}

// Run cleans until ctx ends.
func (c *Cleaner) Run(ctx context.Context, started func()) error {
	queue := controller.NewQueue("certificate-cleaner", c.settle)
	return queue.Run(ctx, 1,
		func(ctx context.Context) error {
			return c.requests.Follow(ctx, func(change registry.Change) {
				if !change.Deleted {
					queue.Add(change.Object.(*csr).Name)
				}
			}, started)
		},
	)
}

// settle deletes a request whose time is over, or asks to be called when it is.
func (c *Cleaner) settle(ctx context.Context, name string) (again time.Duration, err error) {
	r, err := registry.GetAs[*csr](ctx, c.requests, "", name)
	if apierrors.IsNotFound(err) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("reading request %s: %w", name, err)
	}
	if left := endOf(r).Sub(c.now()); left > 0 {
		return left, nil
	}
	_, _, err = c.requests.Delete(ctx, "", name, &metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &r.UID}})
	if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
		return 0, fmt.Errorf("deleting request %s, which is over: %w", name, err)
	}
	return 0, nil
}

// endOf is when nobody needs a request any more: an hour after the last verdict, or when its certificate ends if that is
// earlier, or a day after nobody gave one.
func endOf(r *csr) time.Time {
	end := r.CreationTimestamp.Add(pendingLife)
	var settled time.Time
	for _, c := range r.Status.Conditions {
		if (isVerdict(c.Type) || c.Type == certificatesv1.CertificateFailed) && c.LastUpdateTime.After(settled) {
			settled = c.LastUpdateTime.Time
		}
	}
	if !settled.IsZero() {
		end = settled.Add(settledLife)
	}
	if block, _ := pem.Decode(r.Status.Certificate); block != nil {
		if cert, err := x509.ParseCertificate(block.Bytes); err == nil && cert.NotAfter.Before(end) {
			end = cert.NotAfter
		}
	}
	return end
}
