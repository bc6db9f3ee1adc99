package core

import (
	"context"
	"crypto/sha256"
	"encoding/base32"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/portico-api/portico/delegation/controller"
	"github.com/portico-api/portico/delegation/registry"
)

const (
	// identityLabel tells leases of servers from those of others.
	identityLabel = "apiserver.kubernetes.io/identity"

	identityLeaseDuration = time.Hour
	identityLeaseRenewal  = 10 * time.Second
	// identityLeaseSweep is how often leases of servers that are no more are looked for.
	identityLeaseSweep = time.Hour
)

// Replica tells one server from the others of its cluster.
type Replica struct {
	Host string
	// Address is where the host's server listens: there may be several of them.
	Address string
}

// leaseName is the same after a restart.
func (r Replica) leaseName() string {
	sum := sha256.Sum256([]byte(strings.Join([]string{r.Host, name, r.Address}, "\n")))
	return "apiserver-" + strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(sum[:16]))
}

// identityLease tells in kube-system that this replica lives (contract 8.4).
type identityLease struct {
	leases  *registry.Store
	replica Replica
	holder  string
	ready   func(ctx context.Context) error // returns when there is a kube-system
	now     func() time.Time
}

func newIdentityLease(leases *registry.Store, replica Replica, ready func(context.Context) error) *identityLease {
	return &identityLease{leases: leases, replica: replica, holder: replica.leaseName() + "_" + uuid.NewString(), ready: ready, now: time.Now}
}

// Run renews the lease until ctx ends. Then it is left to run out: whoever looks for a server that has ended finds when that was.
func (l *identityLease) Run(ctx context.Context, started func()) error {
	started()
	if err := l.ready(ctx); err != nil {
		return err
	}
	return controller.Every(ctx, identityLeaseRenewal, l.renew)
}

func (l *identityLease) renew(ctx context.Context) error {
	leaseName := l.replica.leaseName()
	_, err := registry.UpdateAs(ctx, l.leases, metav1.NamespaceSystem, leaseName, func(lease *coordinationv1.Lease) error {
		l.write(lease)
		return nil
	})
	if apierrors.IsNotFound(err) {
		lease := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: metav1.NamespaceSystem, Name: leaseName}}
		l.write(lease)
		_, err = registry.CreateAs(ctx, l.leases, metav1.NamespaceSystem, lease)
	}
	if err != nil {
		return fmt.Errorf("renewing this server's lease %s: %w", leaseName, err)
	}
	return nil
}

func (l *identityLease) write(lease *coordinationv1.Lease) {
	if lease.Labels == nil {
		lease.Labels = map[string]string{}
	}
	lease.Labels[identityLabel], lease.Labels[corev1.LabelHostname] = name, l.replica.Host
	duration, now := int32(identityLeaseDuration/time.Second), metav1.NewMicroTime(l.now())
	lease.Spec.HolderIdentity, lease.Spec.LeaseDurationSeconds, lease.Spec.RenewTime = &l.holder, &duration, &now
}

// identityLeaseCleaner deletes the leases of servers that are no more.
type identityLeaseCleaner struct {
	leases *registry.Store
	now    func() time.Time
}

// Run cleans at once, and then every hour, until ctx ends.
func (c *identityLeaseCleaner) Run(ctx context.Context, started func()) error {
	started()
	return controller.Every(ctx, identityLeaseSweep, c.clean)
}

func (c *identityLeaseCleaner) clean(ctx context.Context) error {
	all, err := registry.ListAs[*coordinationv1.Lease](ctx, c.leases, metav1.NamespaceSystem)
	if err != nil {
		return fmt.Errorf("listing the leases of servers: %w", err)
	}
	for _, lease := range all {
		if lease.Labels[identityLabel] != name || !c.isOver(&lease.Spec) {
			continue
		}
		_, _, err := c.leases.Delete(ctx, lease.Namespace, lease.Name, &metav1.DeleteOptions{
			Preconditions: &metav1.Preconditions{UID: &lease.UID, ResourceVersion: &lease.ResourceVersion}, // it may be renewed meanwhile
		})
		if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
			return fmt.Errorf("deleting lease %s, which has run out: %w", lease.Name, err)
		}
	}
	return nil
}

// isOver tells whether a lease has run out, or says of nobody when that is.
func (c *identityLeaseCleaner) isOver(spec *coordinationv1.LeaseSpec) bool {
	if spec.RenewTime == nil || spec.LeaseDurationSeconds == nil || spec.HolderIdentity == nil {
		return true
	}
	return spec.RenewTime.Add(time.Duration(*spec.LeaseDurationSeconds) * time.Second).Before(c.now())
}
