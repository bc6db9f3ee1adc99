package aggregator

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/klog/v2"
	apiregistrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"

	"github.com/portico-api/portico/aggregator/backend"
	"github.com/portico-api/portico/delegation/registry"
	"github.com/portico-api/portico/metrics"
)

const (
	// recheckInterval is how old a good verdict may become when nothing is known to have changed.
	recheckInterval = 30 * time.Second
	// After a failure the next look comes soon, then less and less often, but so often that who comes back need not wait to be noticed.
	firstRetry = 100 * time.Millisecond
	lastRetry  = time.Second
	// failureShare is what each failing server adds to lastRetry's place when there are many: together they get a hundred looks a second.
	failureShare = 10 * time.Millisecond
)

// availability finds out whether remote servers answer, each by itself, and says so in the
// condition of their APIServices (contract 5.2).
type availability struct {
	store    *registry.Store
	catalogs *catalogs
	metrics  *metrics.Aggregator
	now      func() time.Time
	loops    *loops[string]
	failing  atomic.Int64
}

// watch checks the APIService of rt until ctx ends or forget is called. A route that was watched
// already is looked at anew from the start.
func (a *availability) watch(ctx context.Context, rt *route) {
	m := &monitor{
		check: func(ctx context.Context) verdict { return check(ctx, rt) },
		apply: func(ctx context.Context, v verdict) error { return a.apply(ctx, rt, v) },

		failing: &a.failing,
	}
	rt.verdict.Store(nil)
	a.loops.start(ctx, rt.name, m)
}

// recheck has the APIService of rt checked soon. That of a local one has ended and begins anew.
func (a *availability) recheck(ctx context.Context, rt *route) {
	if rt.remote.Load() == nil {
		a.watch(ctx, rt)
		return
	}
	a.loops.kick(rt.name)
}

// doubt has the server of rt checked soon if it is thought to be well. One that is not is checked anyway.
func (a *availability) doubt(rt *route) {
	if rt.available.Load() {
		a.loops.kick(rt.name)
	}
}

// forget ends the checks of the APIService called name and returns when they have ended.
func (a *availability) forget(name string) {
	a.loops.stop(name)
	a.metrics.Forget(name)
}

// apply makes v known: first to the requests, then to the documents, then to the clients that wait
// for the condition. So one who reads True is served (contract 13), and finds the group in discovery.
func (a *availability) apply(ctx context.Context, rt *route, v verdict) error {
	if was := rt.available.Swap(v.available()); v.available() && !was {
		a.catalogs.reachable.Notify()
	}
	if !v.available() {
		rt.doubt()
	}
	former := rt.verdict.Swap(&v)
	if former == nil || former.status != v.status || former.reason != v.reason {
		a.metrics.SetUnavailable(rt.name, v.reason, !v.available())
	}
	if v.matches(rt.service.Load()) {
		return nil
	}
	if remote := rt.remote.Load(); remote != nil && v.available() {
		a.catalogs.catchUp(ctx, remote.destination, *rt.doubted.Load())
	} else if remote != nil {
		a.catalogs.refresh(remote.destination)
	}
	_, err := registry.UpdateStatusAs(ctx, a.store, "", rt.name, func(s *apiregistrationv1.APIService) error {
		if !v.matches(s) {
			setCondition(&s.Status, v, a.now())
		}
		return nil
	})
	if apierrors.IsNotFound(err) {
		return nil // it went while it was checked
	}
	if err != nil {
		return fmt.Errorf("writing the status of APIService %s: %w", rt.name, err)
	}
	klog.FromContext(ctx).V(1).Info("APIService changed", "apiService", rt.name, "available", v.status, "reason", v.reason, "message", v.message)
	return nil
}

// monitor looks again and again whether one server answers.
type monitor struct {
	check func(ctx context.Context) verdict
	apply func(ctx context.Context, v verdict) error

	failing *atomic.Int64 // how many monitors look at a server that fails
	fails   bool          // this one does
	retry   time.Duration // how long the next failure is waited after; 0 is firstRetry
}

// look implements task.
func (m *monitor) look(ctx context.Context, kicked bool) (next time.Duration) {
	if kicked {
		m.retry = 0 // services and endpoints changed, or the APIService: an old failure says little now
	}
	v := m.check(ctx)
	if ctx.Err() != nil {
		return 0 // what a cancelled check found says nothing about the server
	}
	err := m.apply(ctx, v)
	if err != nil && ctx.Err() == nil {
		klog.FromContext(ctx).Error(err, "Availability is not written")
	}
	if err == nil && v.reason == reasonLocal {
		return 0 // it is for good
	}

	m.count(err != nil || v.reason == reasonFailedDiscoveryCheck)
	if !m.fails {
		m.retry = 0
		return spread(recheckInterval)
	}
	wait := max(m.retry, firstRetry)
	m.retry = min(2*wait, m.longest())
	return spread(wait)
}

// over implements task.
func (m *monitor) over() { m.count(false) }

// count keeps the number of those that fail.
func (m *monitor) count(fails bool) {
	if fails == m.fails {
		return
	}
	m.fails = fails
	if fails {
		m.failing.Add(1)
	} else {
		m.failing.Add(-1)
	}
}

// longest is how long a server that fails may have to wait until it is looked at again.
func (m *monitor) longest() time.Duration {
	return min(max(lastRetry, time.Duration(m.failing.Load())*failureShare), recheckInterval)
}

// spread keeps the checks of thousands of APIServices from falling on the same moment.
func spread(d time.Duration) time.Duration {
	return d - time.Duration(rand.Int64N(int64(d)/10+1))
}

// check finds out whether the server of rt answers.
func check(ctx context.Context, rt *route) verdict {
	remote := rt.remote.Load()
	if remote == nil {
		return localVerdict()
	}
	return verdictOf(probe(ctx, remote, rt.gv))
}

func verdictOf(err error) verdict {
	var unresolved *backend.Unresolved
	switch {
	case err == nil:
		return passedVerdict()
	case errors.As(err, &unresolved):
		status := apiregistrationv1.ConditionFalse
		if unresolved.Unknown() {
			status = apiregistrationv1.ConditionUnknown
		}
		return verdict{status, unresolved.Reason, unresolved.Message}
	default:
		return failedVerdict(err)
	}
}
