package garbagecollection_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/portico-api/portico/delegation"
	"github.com/portico-api/portico/delegation/core/garbagecollection"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bed is a resource in memory that can be out of reach.
type bed struct {
	resource schema.GroupVersionResource

	mu       sync.Mutex
	objects  map[string]*delegation.OwnedObject
	version  int
	down     error
	hangs    bool
	writes   bool        // hang, as with a webhook that does not answer
	changes  chan func() // tells the follower
	follow   context.CancelCauseFunc
	observer delegation.OwnershipObserver
}

func newBed(resource string) *bed {
	return &bed{
		resource: schema.GroupVersionResource{Group: "garden", Version: "v1", Resource: resource},
		objects:  map[string]*delegation.OwnedObject{}, changes: make(chan func(), 1000),
	}
}

func (b *bed) owned() delegation.OwnedResource {
	return delegation.OwnedResource{Resource: b.resource, Kind: b.resource.Resource, Namespaced: true, Reader: b, Writer: b}
}

// plant puts an object there; owners are names in beds.
func (b *bed) plant(name string, owners ...metav1.OwnerReference) metav1.OwnerReference {
	o := &delegation.OwnedObject{Namespace: "n", Name: name, UID: types.UID(b.resource.Resource + "-" + name), Owners: owners}
	b.put(o)
	blocks := true
	return metav1.OwnerReference{APIVersion: "garden/v1", Kind: b.resource.Resource, Name: name, UID: o.UID, BlockOwnerDeletion: &blocks}
}

func (b *bed) put(o *delegation.OwnedObject) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.version++
	o.ResourceVersion = strconv.Itoa(b.version)
	b.objects[o.Name] = o
	b.tell(o, false)
}

// begin marks an object as being deleted with a finalizer.
func (b *bed) begin(name, finalizer string) {
	b.mu.Lock()
	o := *b.objects[name]
	b.mu.Unlock()
	o.Deleting, o.Finalizers = true, []string{finalizer}
	b.put(&o)
}

func (b *bed) remove(name string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	o := b.objects[name]
	delete(b.objects, name)
	b.tell(o, true)
}

func (b *bed) tell(o *delegation.OwnedObject, deleted bool) {
	if b.follow == nil {
		return
	}
	to, observer := *o, b.observer
	b.changes <- func() { observer.Changed(&to, deleted) }
}

func (b *bed) has(name string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.objects[name] != nil
}

func (b *bed) get(name string) delegation.OwnedObject {
	b.mu.Lock()
	defer b.mu.Unlock()
	return *b.objects[name]
}

// lose ends what follows the bed, with an error until recover.
func (b *bed) lose(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.down = err
	if b.follow != nil {
		b.follow(errors.New("lost"))
	}
}

// hang has nobody get an answer until recover.
func (b *bed) hang() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.hangs = true
}

func (b *bed) recover() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.down, b.hangs = nil, false
}

func (b *bed) Observe(ctx context.Context, to delegation.OwnershipObserver) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	b.mu.Lock()
	if down := b.down; down != nil {
		b.mu.Unlock()
		return down
	}
	b.observer, b.follow, b.changes = to, stop, make(chan func(), 1000)
	all, changes := maps.Clone(b.objects), b.changes
	b.mu.Unlock()
	to.Begin()
	for _, o := range all {
		to.Changed(o, false)
	}
	to.Listed()
	for {
		select {
		case <-ctx.Done():
			b.mu.Lock()
			b.follow = nil
			b.mu.Unlock()
			return context.Cause(ctx)
		case change := <-changes:
			change()
		}
	}
}

func (b *bed) Get(ctx context.Context, _, name string) (*delegation.OwnedObject, error) {
	b.mu.Lock()
	down, hangs, o := b.down, b.hangs, b.objects[name]
	b.mu.Unlock()
	switch {
	case hangs:
		<-ctx.Done()
		return nil, ctx.Err()
	case down != nil:
		return nil, down
	case o == nil:
		return nil, apierrors.NewNotFound(b.resource.GroupResource(), name)
	}
	found := *o
	return &found, nil
}

func (b *bed) Rewrite(ctx context.Context, namespace, name string, uid types.UID, change func(o *delegation.OwnedObject) bool) error {
	o, err := b.Get(ctx, namespace, name)
	if err != nil {
		return err
	}
	if o.UID != uid || !change(o) {
		return nil
	}
	if o.Deleting && len(o.Finalizers) == 0 {
		b.remove(name)
		return nil
	}
	b.put(o)
	return nil
}

func (b *bed) Delete(ctx context.Context, seen *delegation.OwnedObject, policy metav1.DeletionPropagation) error {
	b.mu.Lock()
	hang := b.writes
	b.mu.Unlock()
	if hang {
		<-ctx.Done()
		return ctx.Err()
	}
	o, err := b.Get(ctx, seen.Namespace, seen.Name)
	if err != nil {
		return err
	}
	if o.ResourceVersion != seen.ResourceVersion {
		return apierrors.NewConflict(b.resource.GroupResource(), seen.Name, errors.New("changed"))
	}
	if policy == metav1.DeletePropagationForeground {
		b.begin(seen.Name, metav1.FinalizerDeleteDependents)
		return nil
	}
	b.remove(seen.Name)
	return nil
}

// collect runs a collector until the test ends.
func collect(t *testing.T, own []*bed, others ...*bed) (changed func()) {
	t.Helper()
	var notify func()
	cfg := garbagecollection.Config{
		Others: func() (all []delegation.OwnedResource) {
			for _, b := range others {
				all = append(all, b.owned())
			}
			return all
		},
		Subscribe: func(on func()) (stop func()) {
			notify = on
			return func() {}
		},
	}
	for _, b := range own {
		cfg.Own = append(cfg.Own, b.owned())
	}
	ctx, cancel := context.WithCancel(context.Background())
	started, ended := make(chan struct{}), make(chan error)
	go func() { ended <- garbagecollection.New(cfg).Run(ctx, func() { close(started) }) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil && !errors.Is(err, context.Canceled) {
			t.Errorf("the collector ended with %v", err)
		}
	})
	<-started
	return func() { notify() }
}

func eventually(t *testing.T, what string, ask func() bool) {
	t.Helper()
	for begin := time.Now(); !ask(); time.Sleep(time.Millisecond) {
		if time.Since(begin) > 30*time.Second {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

// collected waits until a piece of garbage that is planted now is gone: what was told before has been looked at.
func collected(t *testing.T, b *bed) {
	t.Helper()
	name := fmt.Sprint("marker-", time.Now().UnixNano())
	b.plant(name, metav1.OwnerReference{APIVersion: "garden/v1", Kind: b.resource.Resource, Name: "nobody", UID: types.UID(name)})
	eventually(t, name, func() bool { return !b.has(name) })
}
