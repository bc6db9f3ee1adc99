package core

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/portico-api/portico/delegation/registry"
)

// doubtAfterDeletion is how long the state of a namespace is read from the store after somebody
// asked for its deletion, instead of from an index that may be a moment behind.
const doubtAfterDeletion = 30 * time.Second

// namespaceGuard is the admission of namespaces themselves.
type namespaceGuard struct {
	mu      sync.Mutex
	doubted map[string]time.Time // when the doubt ends
	doubts  atomic.Int32         // len(doubted), so that the usual case takes no lock
}

func newNamespaceGuard() *namespaceGuard {
	return &namespaceGuard{doubted: make(map[string]time.Time)}
}

// Admit refuses the deletion of the namespaces that everything else relies on.
func (g *namespaceGuard) Admit(_ context.Context, r *registry.Request) error {
	if r.Operation != registry.Delete {
		return nil
	}
	switch r.Name {
	case metav1.NamespaceDefault, metav1.NamespaceSystem, metav1.NamespacePublic:
		return apierrors.NewForbidden(r.Resource.GroupResource(), r.Name, errors.New("this namespace may not be deleted"))
	}
	return nil
}

// Validate remembers a deletion that is about to be stored.
func (g *namespaceGuard) Validate(_ context.Context, r *registry.Request) error {
	if r.Operation != registry.Delete || r.DryRun {
		return nil
	}
	now := time.Now()
	g.mu.Lock()
	defer g.mu.Unlock()
	for name, end := range g.doubted {
		if now.After(end) {
			delete(g.doubted, name)
		}
	}
	g.doubted[r.Name] = now.Add(doubtAfterDeletion)
	g.doubts.Store(int32(len(g.doubted)))
	return nil
}

func (g *namespaceGuard) doubt(name string) bool {
	if g.doubts.Load() == 0 {
		return false
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	end, ok := g.doubted[name]
	return ok && time.Now().Before(end)
}

// NamespaceLifecycle is the admission of everything that lives in a namespace: the namespace must
// exist and must not be on its way out. It answers from an index, and from the store when the
// index does not know better.
type NamespaceLifecycle struct {
	namespaces func() follower
	read       func(ctx context.Context, name string) (*corev1.Namespace, error)
	guard      *namespaceGuard
	ending     sync.Map // name → whether the namespace is terminating
}

// newNamespaceLifecycle returns the admission that reads the namespaces that opened returns.
func newNamespaceLifecycle(opened func() *registry.Store, guard *namespaceGuard) *NamespaceLifecycle {
	return &NamespaceLifecycle{
		namespaces: func() follower { return opened() },
		read: func(ctx context.Context, name string) (*corev1.Namespace, error) {
			return registry.GetAs[*corev1.Namespace](ctx, opened(), "", name)
		},
		guard: guard,
	}
}

// Run keeps the index until ctx ends.
func (l *NamespaceLifecycle) Run(ctx context.Context, synced func()) error {
	return l.namespaces().Follow(ctx, func(change registry.Change) {
		namespace := change.Object.(*corev1.Namespace)
		if change.Deleted {
			l.ending.Delete(namespace.Name)
		} else {
			l.ending.Store(namespace.Name, terminating(namespace))
		}
	}, synced)
}

// Admit refuses to create what would have no namespace. Updates and deletions are always allowed:
// the namespace was there when the object was made, and its deletion needs them.
func (l *NamespaceLifecycle) Admit(ctx context.Context, r *registry.Request) error {
	if r.Operation != registry.Create || r.Namespace == "" {
		return nil
	}
	ends, known := l.ending.Load(r.Namespace)
	if !known || l.guard.doubt(r.Namespace) {
		namespace, err := l.read(ctx, r.Namespace)
		if err != nil {
			return err // 404 names the namespace
		}
		ends = terminating(namespace)
	}
	if ends.(bool) {
		return refuseTerminating(r)
	}
	return nil
}

// Validate has nothing to add.
func (l *NamespaceLifecycle) Validate(context.Context, *registry.Request) error { return nil }

func terminating(n *corev1.Namespace) bool {
	return !n.DeletionTimestamp.IsZero() || n.Status.Phase == corev1.NamespaceTerminating
}

// refuseTerminating carries the cause by which controllers tell this refusal from a lack of permission.
func refuseTerminating(r *registry.Request) error {
	err := apierrors.NewForbidden(r.Resource.GroupResource(), r.Name,
		fmt.Errorf("unable to create new content in namespace %s because it is being terminated", r.Namespace))
	err.ErrStatus.Details.Causes = append(err.ErrStatus.Details.Causes, metav1.StatusCause{
		Type:    corev1.NamespaceTerminatingCause,
		Message: fmt.Sprintf("namespace %s is being terminated", r.Namespace),
		Field:   "metadata.namespace",
	})
	return err
}
