package controller_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/portico-api/portico/delegation/controller"
)

func TestEveryGoesOnAfterFailuresUntilItsContextEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 25*time.Second)
		defer cancel()
		var at []time.Duration
		err := controller.Every(ctx, 10*time.Second, func(context.Context) error {
			at = append(at, time.Since(begin))
			return errors.New("not this time")
		})
		if len(at) != 3 || at[0] != 0 || at[1] != 10*time.Second || at[2] != 20*time.Second {
			t.Errorf("called after %v, want at once and after 10 and 20 s", at)
		}
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(begin) != 25*time.Second {
			t.Errorf("got %v after %v", err, time.Since(begin))
		}
	})
}

func TestAQueueEndsWithTheSourceThatFails(t *testing.T) {
	handled := make(chan string, 1)
	queue := controller.NewQueue("test", func(_ context.Context, key string) (time.Duration, error) {
		handled <- key
		return 0, nil
	})
	broken := errors.New("broken")
	err := queue.Run(t.Context(), 1, func(context.Context) error {
		queue.Add("a")
		if got := <-handled; got != "a" {
			t.Errorf("handled %q", got)
		}
		return broken
	})
	if !errors.Is(err, broken) {
		t.Errorf("got %v, want what the source failed with", err)
	}
}
