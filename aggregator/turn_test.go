package aggregator

import (
	"context"
	"errors"
	"testing"
	"time"
)

func TestTurnIsWaitedForNoLongerThanPatience(t *testing.T) {
	asking := newTurn()
	leave, err := asking.take(t.Context(), time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := asking.take(t.Context(), time.Millisecond); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("taking a turn that another has: got %v, want its patience to end", err)
	}
	leave()
	leave, err = asking.take(t.Context(), time.Minute)
	if err != nil {
		t.Fatalf("taking a turn that is free again: %v", err)
	}
	leave()
}
