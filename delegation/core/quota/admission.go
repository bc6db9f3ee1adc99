package quota

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/portico-api/portico/delegation/registry"
	"github.com/portico-api/portico/handler"
)

// Admission charges what is created to the quotas of its namespace.
type Admission struct {
	quotas func() *registry.Store

	any   atomic.Int32 // how many quotas there are, so that a server without any pays nothing
	mu    sync.Mutex
	known map[string]map[string]*corev1.ResourceQuota // namespace → name → quota
	// charged is when a quota was charged last: what was charged may not be stored yet.
	charged map[string]time.Time
}

// NewAdmission returns the admission. quotas tells where they are stored, from the first request on: their own store asks
// for admission, too, and so is made after it.
func NewAdmission(quotas func() *registry.Store) *Admission {
	return &Admission{quotas: quotas, known: map[string]map[string]*corev1.ResourceQuota{}, charged: map[string]time.Time{}}
}

// Run keeps the index of quotas until ctx ends.
func (a *Admission) Run(ctx context.Context, synced func()) error {
	return a.quotas().Follow(ctx, func(change registry.Change) {
		q := change.Object.(*corev1.ResourceQuota)
		a.mu.Lock()
		defer a.mu.Unlock()
		if change.Deleted {
			delete(a.known[q.Namespace], q.Name)
			delete(a.charged, q.Namespace+"/"+q.Name)
			if len(a.known[q.Namespace]) == 0 {
				delete(a.known, q.Namespace)
			}
		} else {
			if a.known[q.Namespace] == nil {
				a.known[q.Namespace] = map[string]*corev1.ResourceQuota{}
			}
			a.known[q.Namespace][q.Name] = q
		}
		n := 0
		for _, quotas := range a.known {
			n += len(quotas)
		}
		a.any.Store(int32(n))
	}, synced)
}

// Admit has nothing to change.
func (a *Admission) Admit(context.Context, *registry.Request) error { return nil }

// Validate charges a create, or the part of an update that counts.
func (a *Admission) Validate(ctx context.Context, r *registry.Request) error {
	if a.any.Load() == 0 || r.Namespace == "" || r.Subresource != "" {
		return nil
	}
	var names []corev1.ResourceName
	switch r.Operation {
	case registry.Create:
		names = charges(r.Resource.GroupResource(), r.Object)
	case registry.Update:
		before := charges(r.Resource.GroupResource(), r.Old)
		names = slices.DeleteFunc(charges(r.Resource.GroupResource(), r.Object), func(n corev1.ResourceName) bool { return slices.Contains(before, n) })
	}
	if len(names) == 0 {
		return nil
	}
	all := a.of(r.Namespace)
	for _, q := range all { // nothing is charged to one quota for what another one refuses
		if err := afford(q.DeepCopy(), names, r); err != nil {
			return err
		}
	}
	if r.DryRun {
		return nil
	}
	for _, q := range all {
		if err := a.charge(ctx, q, names, r); err != nil {
			return err
		}
	}
	return nil
}

// of are the quotas of a namespace by name, so that two creates charge them in the same order.
func (a *Admission) of(namespace string) []*corev1.ResourceQuota {
	a.mu.Lock()
	defer a.mu.Unlock()
	var all []*corev1.ResourceQuota
	for _, q := range a.known[namespace] {
		all = append(all, q)
	}
	slices.SortFunc(all, func(x, y *corev1.ResourceQuota) int { return strings.Compare(x.Name, y.Name) })
	return all
}

// counts tells whether a quota is about any of names.
func counts(q *corev1.ResourceQuota, names []corev1.ResourceName) bool {
	return !isScoped(q) && slices.ContainsFunc(names, func(n corev1.ResourceName) bool { _, ok := q.Spec.Hard[n]; return ok })
}

// afford adds one of each of names to what q says is used, if that is not more than there may be.
func afford(q *corev1.ResourceQuota, names []corev1.ResourceName, r *registry.Request) error {
	if !counts(q, names) {
		return nil
	}
	for _, name := range names {
		hard, ok := q.Spec.Hard[name]
		if !ok {
			continue
		}
		used := q.Status.Used[name]
		if used.Value()+1 > hard.Value() {
			return apierrors.NewForbidden(r.Resource.GroupResource(), r.Name,
				fmt.Errorf("exceeded quota: %s, requested: %s=1, used: %s=%s, limited: %s=%s", q.Name, name, name, used.String(), name, hard.String()))
		}
		if q.Status.Used == nil {
			q.Status.Used = corev1.ResourceList{}
		}
		q.Status.Used[name] = amount(used.Value() + 1)
	}
	return nil
}

// charge stores what is afforded. Whoever writes the quota at the same time is seen: the change is made again on the newer state.
func (a *Admission) charge(ctx context.Context, q *corev1.ResourceQuota, names []corev1.ResourceName, r *registry.Request) error {
	if !counts(q, names) {
		return nil
	}
	a.note(q)
	_, err := registry.UpdateStatusAs(handler.WithoutRequest(ctx), a.quotas(), q.Namespace, q.Name, func(q *corev1.ResourceQuota) error {
		if err := isCounted(q, names, r); err != nil {
			return err
		}
		return afford(q, names, r)
	})
	if apierrors.IsNotFound(err) {
		return nil // it has gone meanwhile
	}
	return err
}

// isCounted refuses what is charged to a quota before anybody has counted what was there already: it will be soon.
func isCounted(q *corev1.ResourceQuota, names []corev1.ResourceName, r *registry.Request) error {
	for _, name := range names {
		_, wanted := q.Spec.Hard[name]
		if _, counted := q.Status.Used[name]; wanted && !counted {
			return apierrors.NewForbidden(r.Resource.GroupResource(), r.Name, fmt.Errorf("status unknown for quota: %s, resources: %s", q.Name, name))
		}
	}
	return nil
}

func (a *Admission) note(q *corev1.ResourceQuota) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.charged[q.Namespace+"/"+q.Name] = time.Now()
}

// sinceCharged is how long ago a quota was charged here last.
func (a *Admission) sinceCharged(key string) time.Duration {
	a.mu.Lock()
	defer a.mu.Unlock()
	return time.Since(a.charged[key])
}
