package metrics

import (
	"testing"
	"time"
)

func TestInFlightRemembersThePeakOfTheLastSecond(t *testing.T) {
	var g inFlight
	for range 3 {
		g.enter(100)
	}
	for range 3 {
		g.leave()
	}
	g.enter(101)
	for _, test := range []struct {
		second int64
		want   uint32
	}{{100, 3}, {101, 3}, {102, 1}, {200, 1}} {
		if got := g.peak(test.second); got != test.want {
			t.Errorf("at second %d the peak is %d, want %d", test.second, got, test.want)
		}
	}
	g.leave()
	if got := g.peak(200); got != 0 {
		t.Errorf("after all have left the peak is %d, want 0", got)
	}
}

func TestWhatHasEnteredIsCountedForGood(t *testing.T) {
	m := &Requests{}
	for _, kind := range []InFlightKind{ReadOnly, Mutating, ReadOnly} {
		m.Enter(kind, time.Now())
		m.Leave(kind)
	}
	if got := m.Entered(); got != 3 {
		t.Errorf("%d have entered, want 3", got)
	}
	if got := (*Requests)(nil).Entered(); got != 0 {
		t.Errorf("nobody counts, and %d have entered", got)
	}
}
