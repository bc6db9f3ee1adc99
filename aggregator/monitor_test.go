package aggregator

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestMonitor(t *testing.T) {
	failed := failedVerdict(errors.New("no answer"))
	tests := map[string]struct {
		verdict verdict
		writes  error
		others  int64 // that fail too
		after   time.Duration
		least   int
		most    int
	}{
		"a good server is looked at about twice a minute":             {verdict: passedVerdict(), after: 5*time.Minute + time.Second, least: 11, most: 13},
		"a failing server is looked at soon again, then less often":   {verdict: failed, after: 10 * time.Second, least: 12, most: 16},
		"one that stays down is noticed soon after it is back":        {verdict: failed, after: time.Minute, least: 60, most: 76},
		"many that stay down are looked at less often":                {verdict: failed, others: 999, after: time.Minute, least: 9, most: 15},
		"one of very many is asked no more than a good one":           {verdict: failed, others: 1e6, after: time.Hour, least: 120, most: 150},
		"a service that cannot be resolved waits for its news":        {verdict: verdict{"False", "ServiceNotFound", ""}, after: 10 * time.Second, least: 1, most: 1},
		"a verdict that could not be written is written soon":         {verdict: passedVerdict(), writes: errors.New("store is down"), after: 10 * time.Second, least: 12, most: 16},
		"a local APIService is told once that it is always available": {verdict: localVerdict(), after: time.Hour, least: 1, most: 1},
		"a local one is told again when it could not be written":      {verdict: localVerdict(), writes: errors.New("store is down"), after: 10 * time.Second, least: 12, most: 16},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var checks, failing atomic.Int64
				failing.Store(test.others)
				m := &monitor{
					check: func(context.Context) verdict { checks.Add(1); return test.verdict },
					apply: func(context.Context, verdict) error { return test.writes },

					failing: &failing,
				}
				l := newLoops[string]()
				l.start(t.Context(), "v1.example.com", m)
				time.Sleep(test.after)
				synctest.Wait()
				l.stopAll()
				if got := failing.Load(); got != test.others {
					t.Errorf("%d are counted as failing, want %d", got, test.others)
				}
				if got := int(checks.Load()); got < test.least || got > test.most {
					t.Errorf("checks of %v in %v = %d, want %d to %d", test.verdict, test.after, got, test.least, test.most)
				}
			})
		})
	}
}

func TestMonitorLooksAtOnceWhenKicked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var checks atomic.Int64
		m := &monitor{
			check: func(context.Context) verdict { checks.Add(1); return passedVerdict() },
			apply: func(context.Context, verdict) error { return nil },
		}
		l := newLoops[string]()
		defer l.stopAll()
		l.start(t.Context(), "v1.example.com", m)
		synctest.Wait()
		l.kick("v1.example.com")
		synctest.Wait()
		if got := checks.Load(); got != 2 {
			t.Errorf("checks after a kick = %d, want 2", got)
		}
		l.kick("v1.other.com") // nobody there: no harm
	})
}

func TestMonitorSaysNothingOfACancelledCheck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &monitor{
			check: func(ctx context.Context) verdict { <-ctx.Done(); return failedVerdict(ctx.Err()) },
			apply: func(_ context.Context, v verdict) error { t.Errorf("applied %v", v); return nil },
		}
		l := newLoops[string]()
		l.start(t.Context(), "v1.example.com", m)
		synctest.Wait()
		l.stop("v1.example.com") // returns: it has been waited for
	})
}

// steps is a task made of one function.
type steps func(ctx context.Context, kicked bool) time.Duration

func (f steps) look(ctx context.Context, kicked bool) time.Duration { return f(ctx, kicked) }
func (f steps) over()                                               {}
