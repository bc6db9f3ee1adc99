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
)

// works is work that takes so long.
func works(d time.Duration) func(context.Context) error {
	return func(context.Context) error {
		time.Sleep(d)
		return nil
	}
}

func TestOneHasItsTurnAtATime(t *testing.T) {
	var all turns
	var inside, most int
	var group sync.WaitGroup
	for i := range 50 {
		group.Go(func() {
			err := all.do(t.Context(), i, func(context.Context) error { // all are the race detector's to see
				inside++
				most = max(most, inside)
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
}

func TestSmallOnesGoFirstButNotForever(t *testing.T) {
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
			synctest.Wait() // it is in the queue
		}
		group.Go(func() { _ = all.do(t.Context(), 0, works(20*time.Second)) })
		synctest.Wait()
		wants("large", 10*sizePerSecond)
		wants("small", 1000)
		time.Sleep(9 * time.Second)
		wants("small later", 1000)
		time.Sleep(2 * time.Second)
		wants("small too late", 1000)
		group.Wait()
		if want := []string{"small", "small later", "large", "small too late"}; !slices.Equal(order, want) {
			t.Errorf("got %q, want %q", order, want)
		}
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
		do(2 * time.Second)
		if waited, want := do(0), time.Duration(2*float64(time.Second)*restShare); waited != want {
			t.Errorf("waited %v after two seconds of work, want %v", waited, want)
		}
		for range 100 {
			do(50 * time.Millisecond)
		}
		worked := untiring + 7*time.Second
		if took, want := time.Since(begin), time.Duration(float64(worked)*(1+restShare)); took > want || took < want-2*untiring { // what needs no rest, and the last one
			t.Errorf("%v of work took %v, want about %v", worked, took, want)
		}
		time.Sleep(time.Minute)
		if do(untiring); do(0) != 0 {
			t.Error("a minute was not enough to rest")
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
		if err := all.do(t.Context(), 0, works(0)); err != nil || all.taken && time.Since(all.left) > time.Minute {
			t.Errorf("got %v, taken: %v", err, all.taken)
		}
	})
}

// asking is an admission that others do something during.
type asking struct{ meanwhile func() error }

func (a asking) Admit(context.Context, *registry.Request) error    { return a.meanwhile() }
func (a asking) Validate(context.Context, *registry.Request) error { return a.meanwhile() }

func TestOthersHaveTheirTurnWhileAdmissionIsAsked(t *testing.T) {
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
		refusal := errors.New("no")
		refusing := considerate{asking{func() error { return refusal }}}
		err = all.do(t.Context(), 0, func(ctx context.Context) error { return refusing.Admit(ctx, nil) })
		if !errors.Is(err, refusal) || all.taken {
			t.Errorf("got %v, taken: %v", err, all.taken)
		}
		if err := refusing.Admit(t.Context(), nil); !errors.Is(err, refusal) {
			t.Errorf("got %v outside of any turn", err)
		}
	})
}
