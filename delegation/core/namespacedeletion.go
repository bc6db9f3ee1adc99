package core

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/portico-api/portico/delegation"
	"github.com/portico-api/portico/delegation/controller"
	"github.com/portico-api/portico/delegation/registry"
	"github.com/portico-api/portico/delegation/stored"
	"github.com/portico-api/portico/handler/rest"
)

const (
	// namespaceSettles is how long after a namespace began to end its emptiness is believed: until
	// then a create that was admitted just before may still arrive, here or at a replica. The
	// beginning is known to the second, so it is half a second to one and a half.
	namespaceSettles = 1500 * time.Millisecond
	// A namespace that something still keeps is looked at again after a part of the time that it has
	// been ending, within these: what has lasted long will hardly be over in a moment.
	firstNamespaceRecheck = 2 * time.Second
	lastNamespaceRecheck  = time.Minute
	recheckedPart         = 8

	// Many, because a pass takes as long as the slowest of the servers that it has to ask.
	namespaceDeletionWorkers = 16
	// othersAtOnce bounds how many servers one pass asks at the same time.
	othersAtOnce = 64
)

// namespaceDeletion empties the namespaces that are ending, tells in their conditions what keeps
// them, and lets them go when nothing does.
//
// A server that cannot be asked keeps every namespace that ends: nobody knows what it has in them,
// and when it came back a namespace made anew under that name would begin with another one's
// objects. To let it go earlier, the server would have to be swept on its return before anybody is
// let in; nobody does that yet. What else is in the namespace is deleted meanwhile.
type namespaceDeletion struct {
	namespaces *registry.Store
	finalizer  rest.Updater
	own        []delegation.NamespacedContent
	others     func() []delegation.NamespacedContent
	subscribe  func(on func()) (stop func())

	mu     sync.Mutex
	ending map[string]bool
}

func newNamespaceDeletion(s *stores, cfg Config) *namespaceDeletion {
	d := &namespaceDeletion{
		namespaces: s.namespaces,
		finalizer:  s.namespaces.Subresource(namespaceFinalize()).Storage.(rest.Updater),
		others:     cfg.NamespacedContent,
		subscribe:  cfg.SubscribeNamespacedContent,
		ending:     make(map[string]bool),
	}
	for _, o := range s.all {
		if o.resource.Namespaced {
			d.own = append(d.own, stored.NewNamespacedContent(o.resource, o.store))
		}
	}
	return d
}

// Run follows the namespaces until ctx ends.
func (d *namespaceDeletion) Run(ctx context.Context, started func()) error {
	queue := controller.NewQueue("namespace-deletion", d.delete)
	d.forgetAll() // what was known in an earlier term of leading
	if d.subscribe != nil {
		defer d.subscribe(func() { d.lookAgain(queue) })()
	}
	return queue.Run(ctx, namespaceDeletionWorkers,
		func(ctx context.Context) error {
			return d.namespaces.Follow(ctx, func(change registry.Change) {
				n := change.Object.(*corev1.Namespace)
				ends := !change.Deleted && !n.DeletionTimestamp.IsZero()
				d.note(n.Name, ends)
				if ends {
					queue.Add(n.Name)
				}
			}, started)
		},
	)
}

func (d *namespaceDeletion) forgetAll() {
	d.mu.Lock()
	defer d.mu.Unlock()
	clear(d.ending)
}

func (d *namespaceDeletion) note(name string, ends bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if ends {
		d.ending[name] = true
	} else {
		delete(d.ending, name)
	}
}

// lookAgain has every namespace that is ending looked at without waiting for its time.
func (d *namespaceDeletion) lookAgain(queue *controller.Queue) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for name := range d.ending {
		queue.Add(name)
	}
}

// delete takes one namespace as far towards its end as it goes now.
func (d *namespaceDeletion) delete(ctx context.Context, name string) (again time.Duration, err error) {
	namespace, err := registry.GetAs[*corev1.Namespace](ctx, d.namespaces, "", name)
	switch {
	case apierrors.IsNotFound(err):
		return 0, nil
	case err != nil:
		return 0, fmt.Errorf("reading namespace %s: %w", name, err)
	case namespace.DeletionTimestamp.IsZero() || !slices.Contains(namespace.Spec.Finalizers, corev1.FinalizerKubernetes):
		return 0, nil
	}

	since := time.Since(namespace.DeletionTimestamp.Time) // before the pass, which may take long
	found := d.empty(ctx, name)
	if ctx.Err() != nil {
		return 0, ctx.Err()
	}
	if left := namespaceSettles - since; found.isEmpty() && left > 0 {
		return left, nil
	}
	if !found.isEmpty() || d.isKeptByOthers(namespace) {
		if err := d.tell(ctx, namespace, found); err != nil {
			return 0, err
		}
	}
	if !found.isEmpty() {
		return min(max(since/recheckedPart, firstNamespaceRecheck), lastNamespaceRecheck), nil
	}
	return 0, d.finalize(ctx, name)
}

// isKeptByOthers tells whether somebody will look at the namespace after this controller is done with it.
func (d *namespaceDeletion) isKeptByOthers(n *corev1.Namespace) bool {
	return len(n.Finalizers) > 0 || len(n.Spec.Finalizers) > 1
}

// empty asks the servers of others at the same time as each other, so that one that hangs costs the
// rest nothing, and deletes what is stored here meanwhile.
func (d *namespaceDeletion) empty(ctx context.Context, namespace string) *namespaceRemains {
	var others []delegation.NamespacedContent
	if d.others != nil {
		others = d.others()
	}
	answers := make(chan delegation.Remaining, len(others))
	limit := make(chan struct{}, othersAtOnce)
	for _, content := range others {
		go func() {
			limit <- struct{}{}
			answers <- content.Empty(ctx, namespace)
			<-limit
		}()
	}
	remains := newNamespaceRemains()
	for _, content := range d.own {
		remains.add(content.Empty(ctx, namespace))
	}
	for range others {
		remains.add(<-answers)
	}
	return remains
}

// tell writes what was found into the namespace's conditions, if they do not say so already.
func (d *namespaceDeletion) tell(ctx context.Context, namespace *corev1.Namespace, found *namespaceRemains) error {
	if conditions := found.conditions(namespace.Status.Conditions, metav1.Now()); slices.Equal(conditions, namespace.Status.Conditions) {
		return nil
	}
	_, err := registry.UpdateStatusAs(ctx, d.namespaces, "", namespace.Name, func(n *corev1.Namespace) error {
		n.Status.Conditions = found.conditions(n.Status.Conditions, metav1.Now())
		return nil
	})
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("writing the conditions of namespace %s: %w", namespace.Name, err)
	}
	return nil
}

func (d *namespaceDeletion) finalize(ctx context.Context, name string) error {
	_, _, err := d.finalizer.Update(ctx, "", name, func(_ context.Context, current runtime.Object) (runtime.Object, error) {
		n := current.DeepCopyObject().(*corev1.Namespace)
		n.Spec.Finalizers = slices.DeleteFunc(n.Spec.Finalizers, func(f corev1.FinalizerName) bool { return f == corev1.FinalizerKubernetes })
		return n, nil
	}, &rest.UpdateOptions{})
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("finalizing namespace %s: %w", name, err)
	}
	return nil
}
