package backend

import (
	"context"
	"net/http"
	"time"

	"k8s.io/klog/v2"
)

const (
	// firstProbe and lastProbe are how soon, and how seldom at last, an ejected endpoint is probed.
	firstProbe = 100 * time.Millisecond
	lastProbe  = 500 * time.Millisecond
	// probeTimeout is how long an endpoint may take to shake hands.
	probeTimeout = time.Second
	// doubtDelay is how long the only endpoint may fail before it is doubted that there is a server: restarted, it is back before that.
	doubtDelay = time.Second
)

// failed tells that e broke an exchange off, or could not be connected to.
func (t *Transport) failed(e *Endpoint) {
	e.witness.Count(Failures, 1)
	if e.health.failures.Add(1) >= failuresToEject {
		t.eject(e, 0, "it fails")
	}
}

// judge looks at the code of an answer. Errors in a row are the endpoint's only while others give none.
func (t *Transport) judge(e *Endpoint, code int) {
	switch code {
	case http.StatusInternalServerError, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		if e.health.errors.Add(1) >= errorsToEject && t.othersAreWell(e) {
			t.eject(e, errorHold, "it answers with errors")
		}
	default:
		if e.health.errors.Load() > 0 {
			e.health.errors.Store(0)
		}
	}
}

func (t *Transport) othersAreWell(e *Endpoint) bool {
	for _, other := range t.set.Load().endpoints {
		if other != e && !other.health.ejected.Load() && other.health.errors.Load() == 0 {
			return true
		}
	}
	return false
}

// eject sends no request to e until hold is over and it can be connected to. The last endpoint stays: a bad one is better than none.
func (t *Transport) eject(e *Endpoint, hold time.Duration, why string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	set := t.set.Load()
	if t.closed || set == nil {
		return
	}
	if set.usable(0, e, nil) == nil {
		t.doubt()
		return
	}
	if !e.health.ejected.CompareAndSwap(false, true) {
		return
	}
	klog.Background().V(1).Info("Endpoint is left out", "service", t.cfg.Service, "endpoint", e.address, "why", why)
	e.witness.Count(Ejections, 1)
	e.witness.Count(LeftOut, 1)
	e.abandon()
	t.spawn(func(ctx context.Context) { t.probeBackIn(ctx, e, hold) })
}

// await leaves out those that join others until they say that they are ready: what is called ready by a look at its port may not know yet whom to
// believe, and take users for strangers. mu is held.
func (t *Transport) await(joining []*Endpoint) {
	if t.cfg.Ready == nil {
		return
	}
	for _, e := range joining {
		e.health.ejected.Store(true)
		e.witness.Count(LeftOut, 1)
		t.spawn(func(ctx context.Context) { t.probeBackIn(ctx, e, 0) })
	}
}

// doubt tells whoever asks for the service's availability from time to time to ask soon; mu is held.
func (t *Transport) doubt() {
	if t.doubting {
		return
	}
	t.doubting = true
	t.spawn(func(ctx context.Context) {
		select {
		case <-ctx.Done():
			return
		case <-time.After(doubtDelay):
		}
		t.mu.Lock()
		t.doubting = false
		t.mu.Unlock()
		t.cfg.Doubted()
	})
}

// probeBackIn lets e have requests again when it can be connected to and says that it is ready: one that has just been started
// listens before it knows whom to believe.
func (t *Transport) probeBackIn(ctx context.Context, e *Endpoint, hold time.Duration) {
	defer e.witness.Count(LeftOut, -1)
	wait := max(hold, firstProbe)
	for !e.isGone() {
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		if t.isReady(ctx, e) {
			e.health.readmit(t.clock())
			klog.Background().V(1).Info("Endpoint is back", "service", t.cfg.Service, "endpoint", e.address)
			return
		}
		wait = min(max(firstProbe, 2*min(wait, lastProbe)), lastProbe)
	}
}

// suspect has an endpoint asked whether it still lives when all that was sent to it lately is waiting.
func (t *Transport) suspect(e *Endpoint, now int64) {
	if !e.health.stalled(now) || !e.health.asked.CompareAndSwap(0, 1) {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.spawn(func(ctx context.Context) {
		defer e.health.asked.Store(0)
		if err := t.probe(ctx, e); err == nil {
			e.health.believe(t.clock())
		} else if ctx.Err() == nil {
			t.eject(e, 0, "it hangs")
		}
	})
}

func (t *Transport) isReady(ctx context.Context, e *Endpoint) bool {
	if t.probe(ctx, e) != nil {
		return false
	}
	if t.cfg.Ready == nil {
		return true
	}
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	return t.cfg.Ready(ctx, e.address) == nil
}

// probe connects and shakes hands: a process that is stopped, or too busy to do that, does neither.
func (t *Transport) probe(ctx context.Context, e *Endpoint) error {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	p, err := t.current()
	if err != nil {
		return err
	}
	c, err := p.dialEither(ctx, e.address)
	if err == nil {
		c.Goodbye()
	}
	return err
}

func (e *Endpoint) isGone() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.gone
}
