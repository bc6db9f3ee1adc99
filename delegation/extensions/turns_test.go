package extensions

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/portico-api/portico/delegation/registry"
	"github.com/portico-api/portico/handler/rest"
)

// works is work that takes so long.
func works(d time.Duration) func(context.Context) error {
	return func(context.Context) error {
		time.Sleep(d)
		return nil
	}
}

func TestOneHasItsTurnAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var all turns
		inside, most := 0, 0
		var group sync.WaitGroup
		for i := range 50 {
			group.Go(func() {
				err := all.do(t.Context(), i, func(context.Context) error {
					inside++
					most = max(most, inside)
					time.Sleep(time.Millisecond)
					inside--
					return nil
				})
				if err != nil {
					t.Error(err)
				}
			})
		}
		group.Wait()
		if most != 1 || all.taken || len(all.waiting) != 0 {
			t.Errorf("%d at a time; taken: %v; %d still wait", most, all.taken, len(all.waiting))
		}
	})
}

func TestControllersThenSmallThenOldOnesHaveTheirTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var all turns
		var order []string
		var group sync.WaitGroup
		wants := func(name string, size int) {
			group.Go(func() {
				_ = all.do(t.Context(), size, func(context.Context) error {
					order = append(order, name)
					return nil
				})
			})
			time.Sleep(time.Millisecond) // it is in the queue
		}
		group.Go(func() { _ = all.do(t.Context(), 0, works(time.Second)) })
		time.Sleep(time.Millisecond)
		wants("large 1", 900)
		wants("large 2", 900)
		wants("small 1", 2)
		wants("smaller", 1)
		wants("small 2", 2)
		wants("controller 1", ofController)
		wants("controller 2", ofController)
		group.Wait()
		if want := []string{"controller 1", "controller 2", "smaller", "large 1", "small 1", "large 2", "small 2"}; !slices.Equal(order, want) {
			t.Errorf("got %q, want %q", order, want)
		}
	})
}

func TestARequestIsWeighedForItsTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := turns{weigh: func(_ context.Context, size int) int { return 1000 / size }}
		resource := all.givenTo(&rest.Resource{Subresources: []*rest.Resource{{}}})
		var order []int
		var group sync.WaitGroup
		group.Go(func() { _ = all.do(t.Context(), 0, works(time.Second)) })
		time.Sleep(time.Millisecond)
		for _, size := range []int{1, 10, 100} {
			group.Go(func() {
				turn := resource.Turn
				if size == 100 {
					turn = resource.Subresources[0].Turn
				}
				_ = turn(t.Context(), size, func(context.Context) error { order = append(order, size); return nil })
			})
			time.Sleep(time.Millisecond)
		}
		group.Wait()
		if want := []int{100, 1, 10}; !slices.Equal(order, want) { // the smallest, the oldest, the last
			t.Errorf("got %v, want %v", order, want)
		}
	})
}

func TestOnlySoManyWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var all turns
		ctx, cancel := context.WithCancel(t.Context())
		var group sync.WaitGroup
		for range maxWaiting + 1 {
			group.Go(func() { _ = all.do(ctx, 0, works(time.Second)) })
		}
		synctest.Wait()
		if err := all.do(t.Context(), 0, works(0)); !apierrors.IsTooManyRequests(err) {
			t.Errorf("got %v", err)
		}
		done := false
		group.Go(func() {
			_ = all.do(ctx, ofController, func(context.Context) error { done = true; return nil })
		})
		time.Sleep(3 * time.Second)
		synctest.Wait()
		if !done {
			t.Error("a controller was sent away, or waits behind others")
		}
		cancel()
		group.Wait()
	})
}

func TestLongWorkIsRestedFrom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var all turns
		begin := time.Now()
		do := func(d time.Duration) (waited time.Duration) {
			begin := time.Now()
			_ = all.do(t.Context(), 0, func(context.Context) error {
				waited = time.Since(begin)
				time.Sleep(d)
				return nil
			})
			return waited
		}
		for range 5 {
			if waited := do(untiring / 5); waited != 0 {
				t.Errorf("little work waited %v", waited)
			}
		}
		do(600 * time.Millisecond)
		if waited, want := do(0), time.Duration(600*float64(time.Millisecond)*restShare); waited != want {
			t.Errorf("waited %v, want %v", waited, want)
		}
		for range 100 {
			do(50 * time.Millisecond)
		}
		worked := untiring + 5600*time.Millisecond
		if took, want := time.Since(begin), time.Duration(float64(worked)*(1+restShare)); took > want || took < want-2*untiring { // what needs no rest, and the last one
			t.Errorf("%v of work took %v, want about %v", worked, took, want)
		}
		time.Sleep(time.Minute)
		if do(untiring); do(0) != 0 {
			t.Error("a minute was not enough to rest")
		}
		do(time.Minute) // of waiting for the store
		if waited := do(0); waited != longestRest {
			t.Errorf("waited %v, want %v at most", waited, longestRest)
		}
	})
}

func TestWhoEndsDoesNotWaitForItsTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var all turns
		go func() { _ = all.do(t.Context(), 0, works(time.Minute)) }()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), 34*time.Second)
		defer cancel()
		err := all.do(ctx, 0, func(context.Context) error {
			t.Error("it had its turn")
			return nil
		})
		if seconds, ok := apierrors.SuggestsClientDelay(err); !apierrors.IsTooManyRequests(err) || !ok || seconds != 1 {
			t.Errorf("got %v", err)
		}
		if len(all.waiting) != 0 {
			t.Error("it still waits")
		}
		gone, leave := context.WithCancel(t.Context())
		leave()
		if err := all.do(gone, 0, works(0)); !errors.Is(err, context.Canceled) || apierrors.IsTooManyRequests(err) {
			t.Errorf("got %v for one that has gone", err)
		}
		if err := all.do(t.Context(), 0, works(0)); err != nil {
			t.Errorf("got %v when the turn was over", err)
		}
	})
}

// asking is an admission that others do something during.
type asking struct{ meanwhile func() error }

func (a asking) Admit(context.Context, *registry.Request) error    { return a.meanwhile() }
func (a asking) Validate(context.Context, *registry.Request) error { return a.meanwhile() }

func TestOthersHaveTheirTurnWhileAdmissionIsAskedForLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var all turns
		others := 0
		admission := considerate{asking{func() error {
			return all.do(t.Context(), 0, func(context.Context) error { others++; return nil })
		}}}
		err := all.do(t.Context(), 0, func(ctx context.Context) error {
			if err := admission.Admit(ctx, nil); err != nil {
				return err
			}
			return admission.Validate(ctx, nil)
		})
		if err != nil || others != 2 || all.taken {
			t.Errorf("got %v, %d others had their turn, taken: %v", err, others, all.taken)
		}

		between := false
		quick := considerate{asking{func() error { time.Sleep(brief / 2); return nil }}}
		var group sync.WaitGroup
		err = all.do(t.Context(), 0, func(ctx context.Context) error {
			group.Go(func() { _ = all.do(t.Context(), 0, func(context.Context) error { between = true; return nil }) })
			if err := quick.Admit(ctx, nil); err != nil {
				return err
			}
			if between {
				t.Error("somebody else had a turn while admission was asked briefly")
			}
			return nil
		})
		group.Wait()
		if err != nil || !between {
			t.Errorf("got %v; the other had its turn: %v", err, between)
		}

		refusal := errors.New("no")
		refusing := considerate{asking{func() error { time.Sleep(2 * brief); return refusal }}}
		err = all.do(t.Context(), 0, func(ctx context.Context) error { return refusing.Admit(ctx, nil) })
		if !errors.Is(err, refusal) || all.taken {
			t.Errorf("got %v, taken: %v", err, all.taken)
		}
		if err := refusing.Admit(t.Context(), nil); !errors.Is(err, refusal) {
			t.Errorf("got %v outside of any turn", err)
		}
		// It does not come back in time.
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		slow := considerate{asking{func() error {
			group.Go(func() { _ = all.do(t.Context(), 0, works(time.Minute)) })
			time.Sleep(2 * brief)
			return nil
		}}}
		err = all.do(ctx, 0, func(ctx context.Context) error { return slow.Admit(ctx, nil) })
		group.Wait()
		if !apierrors.IsTooManyRequests(err) {
			t.Errorf("got %v of one that could not come back", err)
		}
	})
}

func TestAPanicGivesTheTurnBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var all turns
		panicking := considerate{asking{func() error { time.Sleep(brief / 2); panic("a rule") }}}
		func() {
			defer func() { _ = recover() }()
			_ = all.do(t.Context(), 0, func(ctx context.Context) error { return panicking.Admit(ctx, nil) })
		}()
		time.Sleep(2 * brief)
		if err := all.do(t.Context(), 0, works(0)); err != nil || all.taken {
			t.Errorf("got %v, taken: %v", err, all.taken)
		}
	})
}
