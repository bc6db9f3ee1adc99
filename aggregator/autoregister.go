package aggregator

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/klog/v2"
	apiregistrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"

	"github.com/portico-api/portico/delegation/registry"
)

const (
	automanagedAlways = "true"

	// customGroupPriority and customVersionPriority are those of custom resources (contract 5.3).
	customGroupPriority   = 1000
	customVersionPriority = 100
	// automanagedLabel marks the APIServices that are ours to keep; one without it is somebody's
	// wish and is not touched.
	automanagedLabel   = "kube-aggregator.kubernetes.io/automanaged"
	automanagedOnStart = "onstart"

	registrationWorkers = 5
	registrationRetry   = time.Second
)

// autoRegistration creates an APIService for each built-in group-version, once after the start, so
// that clients see the built-in groups in the same list and order as all others (contract 5.3).
type autoRegistration struct {
	store *registry.Store
	paths func() []string // that the next delegates list; nil when they list none

	done    atomic.Bool
	mu      sync.Mutex
	missing map[string]bool // names that do not exist yet; nil before the start
}

// run brings the APIServices that were stored up to what the delegates serve. It tries until it has:
// the server is not ready before, and a store that is slow to answer is no reason to end it.
func (a *autoRegistration) run(ctx context.Context) error {
	for {
		err := a.reconcile(ctx)
		if err == nil {
			a.done.Store(true)
			return nil
		}
		klog.FromContext(ctx).Error(err, "Built-in groups are not registered yet")
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(registrationRetry):
		}
	}
}

func (a *autoRegistration) reconcile(ctx context.Context) error {
	desired := map[string]*apiregistrationv1.APIService{}
	if a.paths != nil {
		for _, s := range builtInAPIServices(a.paths()) {
			desired[s.Name] = s
		}
	}
	a.expect(desired)
	stored, err := registry.ListAs[*apiregistrationv1.APIService](ctx, a.store, "")
	if err != nil {
		return fmt.Errorf("listing APIServices: %w", err)
	}

	var work []func(ctx context.Context) error
	for _, s := range stored {
		want, wanted := desired[s.Name]
		delete(desired, s.Name)
		switch {
		case s.Labels[automanagedLabel] != automanagedOnStart:
			a.exists(s.Name)
		case !wanted:
			work = append(work, func(ctx context.Context) error { return a.remove(ctx, s) })
		default:
			work = append(work, func(ctx context.Context) error { return a.update(ctx, s, want) })
		}
	}
	for _, want := range desired {
		work = append(work, func(ctx context.Context) error { return a.create(ctx, want) })
	}
	return inParallel(ctx, registrationWorkers, work)
}

func (a *autoRegistration) expect(desired map[string]*apiregistrationv1.APIService) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.missing = make(map[string]bool, len(desired))
	for name := range desired {
		a.missing[name] = true
	}
}

func (a *autoRegistration) exists(name string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.missing, name)
}

// check is the health check autoregister-completion.
func (a *autoRegistration) check(context.Context) error {
	if a.done.Load() {
		return nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.missing == nil {
		return errors.New("APIServices are not registered yet")
	}
	return fmt.Errorf("missing APIService: %v", slices.Sorted(maps.Keys(a.missing)))
}

func (a *autoRegistration) create(ctx context.Context, want *apiregistrationv1.APIService) error {
	if _, err := registry.CreateAs(ctx, a.store, "", want); err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("registering APIService %s: %w", want.Name, err)
	}
	a.exists(want.Name)
	return nil
}

// update reconciles the spec and nothing else: labels and annotations are the users'.
func (a *autoRegistration) update(ctx context.Context, stored, want *apiregistrationv1.APIService) error {
	if !sameSpec(&stored.Spec, &want.Spec) {
		_, err := registry.UpdateAs(ctx, a.store, "", want.Name, func(s *apiregistrationv1.APIService) error {
			s.Spec = want.Spec
			return nil
		})
		if err != nil && !apierrors.IsNotFound(err) {
			return fmt.Errorf("updating APIService %s: %w", want.Name, err)
		}
	}
	a.exists(want.Name)
	return nil
}

// remove deletes an APIService that an older version registered, unless it is another one by now.
func (a *autoRegistration) remove(ctx context.Context, stored *apiregistrationv1.APIService) error {
	_, _, err := a.store.Delete(ctx, "", stored.Name, &metav1.DeleteOptions{
		Preconditions: &metav1.Preconditions{UID: &stored.UID},
	})
	if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
		return fmt.Errorf("removing APIService %s: %w", stored.Name, err)
	}
	return nil
}

func sameSpec(a, b *apiregistrationv1.APIServiceSpec) bool {
	return isLocalSpec(a) && isLocalSpec(b) &&
		a.Group == b.Group && a.Version == b.Version &&
		a.GroupPriorityMinimum == b.GroupPriorityMinimum && a.VersionPriority == b.VersionPriority &&
		len(a.CABundle) == 0 && !a.InsecureSkipTLSVerify
}

func isLocalSpec(s *apiregistrationv1.APIServiceSpec) bool { return s.Service == nil }

// builtInAPIServices are the APIServices of the group-versions among paths that have a priority.
func builtInAPIServices(paths []string) []*apiregistrationv1.APIService {
	priorities := builtInPriorities()
	var out []*apiregistrationv1.APIService
	for _, path := range paths {
		gv, ok := groupVersionOfPath(path)
		if !ok {
			continue
		}
		p, ok := priorities[gv]
		if !ok {
			continue
		}
		out = append(out, &apiregistrationv1.APIService{
			ObjectMeta: metav1.ObjectMeta{
				Name:   gv.Version + "." + gv.Group,
				Labels: map[string]string{automanagedLabel: automanagedOnStart},
			},
			Spec: apiregistrationv1.APIServiceSpec{
				Group:                gv.Group,
				Version:              gv.Version,
				GroupPriorityMinimum: int32(p.group),
				VersionPriority:      int32(p.version),
			},
		})
	}
	return out
}

// groupVersionOfPath understands exactly "/api/<version>" and "/apis/<group>/<version>".
func groupVersionOfPath(path string) (schema.GroupVersion, bool) {
	gv, ok := groupVersionOfKey(strings.TrimPrefix(path, "/"))
	return gv, ok && documentPath(gv) == path && gv.Version != "" && !strings.Contains(gv.Version, "/")
}

// inParallel calls work, some at a time, and returns the errors of all. It is how a store with one
// commit for several writers is kept busy.
func inParallel(ctx context.Context, workers int, work []func(ctx context.Context) error) error {
	errs := make([]error, len(work))
	next := make(chan int)
	var wg sync.WaitGroup
	for range min(workers, len(work)) {
		wg.Go(func() {
			for i := range next {
				errs[i] = work[i](ctx)
			}
		})
	}
	for i := range work {
		next <- i
	}
	close(next)
	wg.Wait()
	return errors.Join(errs...)
}
