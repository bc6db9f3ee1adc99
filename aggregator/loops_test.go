package aggregator

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func hangs(ctx context.Context, _ bool) time.Duration {
	<-ctx.Done()
	return time.Second
}

func TestLoopsDoNotWaitForEachOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLoops[string]()
		l.start(t.Context(), "hangs", steps(hangs))
		ran := false
		l.start(t.Context(), "runs", steps(func(context.Context, bool) time.Duration { ran = true; return 0 }))
		synctest.Wait()
		if !ran {
			t.Error("a loop waited for one that hangs")
		}
		l.start(t.Context(), "hangs", steps(hangs)) // ends the former
		l.stopAll()
	})
}

func TestALoopThatWaitsIsNoGoroutine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		before := runtime.NumGoroutine()
		l := newLoops[int]()
		defer l.stopAll()
		for key := range 100 {
			l.start(t.Context(), key, steps(func(context.Context, bool) time.Duration { return time.Minute }))
		}
		synctest.Wait()
		if n := runtime.NumGoroutine() - before; n > 10 {
			t.Errorf("%d goroutines for 100 loops that wait", n)
		}
	})
}

func TestAKickDuringALookIsNotLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLoops[string]()
		defer l.stopAll()
		kicks := make(chan bool, 10)
		l.start(t.Context(), "a", steps(func(_ context.Context, kicked bool) time.Duration {
			kicks <- kicked
			time.Sleep(time.Second)
			return time.Hour
		}))
		synctest.Wait()
		for range 5 {
			l.kick("a") // five reasons to look again are one
		}
		time.Sleep(time.Minute)
		if n, first, second := len(kicks), <-kicks, <-kicks; n != 2 || first || !second {
			t.Errorf("%d looks, for a kick: %t, %t; want two, the second for a kick", n, first, second)
		}
		time.Sleep(time.Hour)
		if n, third := len(kicks), <-kicks; n != 1 || third {
			t.Errorf("%d looks in the next hour, for a kick: %t; want one that was not", n, third)
		}
	})
}

func TestAKickDoesNotReviveWhatIsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLoops[string]()
		looks := 0
		l.start(t.Context(), "a", steps(func(context.Context, bool) time.Duration { looks++; return 0 }))
		synctest.Wait()
		l.kick("a")
		l.kickAll()
		synctest.Wait()
		l.stop("a")
		if looks != 1 {
			t.Errorf("%d looks, want 1", looks)
		}
	})
}

// TestLoopsUnderKicks has looks, kicks and ends cross: no two looks for a key are at the same time, and none is after its end.
func TestLoopsUnderKicks(t *testing.T) {
	l := newLoops[int]()
	var kicking sync.WaitGroup
	done := make(chan struct{})
	for range 3 {
		kicking.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
					l.kickAll()
					l.kick(0)
				}
			}
		})
	}
	for range 300 {
		var looking, over atomic.Int32
		check := func(context.Context, bool) time.Duration {
			if looking.Add(1) != 1 || over.Load() != 0 {
				t.Error("two looks at the same time, or one after the end")
			}
			runtime.Gosched()
			looking.Add(-1)
			return time.Microsecond
		}
		l.start(t.Context(), 0, steps(check))
		time.Sleep(100 * time.Microsecond)
		l.stop(0)
		over.Store(1)
	}
	close(done)
	kicking.Wait()
}
