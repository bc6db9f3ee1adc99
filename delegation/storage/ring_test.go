package storage

import (
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/apimachinery/pkg/watch"
)

// fill puts n changes of a namespace on the ring, one revision each.
func fill(r *ring, namespace string, from int64, n int) {
	for i := range int64(n) {
		o := &Object{key: objectKey(namespace, "x"), slash: uint16(len(namespace)), revision: from + i}
		r.add([]*Event{{Type: watch.Modified, Object: o, Revision: from + i}}, time.Now())
	}
}

func TestRingGrowsOnlyForFreshChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRing(0)
		if r.capacity() != 0 {
			t.Errorf("capacity before the first change: got %d, want 0", r.capacity())
		}
		fill(r, "a", 1, 150)
		if r.capacity() != 200 || r.floor != 0 {
			t.Errorf("after 150 changes: got capacity %d, floor %d; want 200, 0", r.capacity(), r.floor)
		}
		time.Sleep(ringFresh + time.Second)
		fill(r, "a", 151, 60)
		if r.capacity() != 200 || r.floor != 10 {
			t.Errorf("60 changes later than the history must last: got capacity %d, floor %d; want 200, 10", r.capacity(), r.floor)
		}
		if _, ok := r.since(9); ok {
			t.Error("since(9) succeeded, but change 10 has left the ring")
		}
		if events, ok := r.since(10); !ok || len(events) != 200 || events[0].Revision != 11 {
			t.Errorf("since(10): got %d events, %v; want 200 from 11 on", len(events), ok)
		}
		time.Sleep(ringStale + time.Second)
		r.trim(time.Now())
		if r.len() != ringMin || r.capacity() != 200 {
			t.Errorf("trimmed: got %d changes, capacity %d; want %d, 200", r.len(), r.capacity(), ringMin)
		}
	})
}

func TestRingNeverGrowsBeyondItsLimit(t *testing.T) {
	r := newRing(0)
	fill(r, "a", 1, ringMax+10)
	if r.capacity() != ringMax || r.floor != 10 {
		t.Errorf("got capacity %d, floor %d; want %d, 10", r.capacity(), r.floor, ringMax)
	}
	r.trim(time.Now().Add(ringStale + time.Hour))
	fill(r, "a", ringMax+11, 5)
	if events, ok := r.since(ringMax + 10); !ok || len(events) != 5 || r.capacity() >= 1000 {
		t.Errorf("after a trim: got %d events, %v, capacity %d; want 5 and a small ring", len(events), ok, r.capacity())
	}
}

func TestRingTellsWhoFellOff(t *testing.T) {
	r := newRing(0)
	fill(r, "busy", 1, 1)
	quiet, _, _ := r.join("quiet", 1)
	busy, position, _ := r.join("busy", 0)
	fill(r, "busy", 2, ringMax)
	if position >= busy.evicted {
		t.Errorf("busy: position %d, evicted up to %d; want it to have fallen off", position, busy.evicted)
	}
	if quiet.evicted > ringBegin+1 {
		t.Errorf("quiet: evicted up to %d; want nothing of it evicted", quiet.evicted)
	}
	r.leave(&Cursor{topic: quiet, namespace: "quiet"})
	r.leave(&Cursor{topic: busy, namespace: "busy"})
	if len(r.topics) != 0 {
		t.Errorf("topics after the last watcher: got %d, want 0", len(r.topics))
	}
}

// What comes back to the ring has the position it had.
func TestRingRecallsWhatItEvicted(t *testing.T) {
	r := newRing(0)
	fill(r, "a", 1, ringMax+10)
	cursors, position, _ := r.join("a", ringMax+5)
	lost := newRing(0)
	fill(lost, "a", 1, 10)
	events, _ := lost.since(5)
	if r.recall(events, 5, 9, time.Now()) {
		t.Error("recalled what ends before the ring's floor")
	}
	if r.recall(events, 5, 10, time.Now()) {
		t.Error("recalled more than the ring can hold")
	}
	r.trim(time.Now().Add(ringStale + time.Hour))
	missing := newRing(0)
	fill(missing, "a", 1, ringMax)
	events, _ = missing.since(r.floor - 50)
	events = events[:r.floor-(events[0].Revision-1)]
	floor := r.floor
	if !r.recall(events, floor-50, floor, time.Now()) {
		t.Fatal("not recalled")
	}
	if got, ok := r.since(floor - 50); !ok || len(got) != 150 || got[0].Revision != floor-49 {
		t.Errorf("after the recall: got %d changes, %v; want 150 from revision %d", len(got), ok, floor-49)
	}
	if position < cursors.evicted || r.at(position).Revision != ringMax+6 {
		t.Errorf("a cursor from before: position %d, evicted up to %d, revision %d; want it where it was", position, cursors.evicted, r.at(position).Revision)
	}
	// A revision that is half on the ring already.
	half := newRing(0)
	fill(half, "a", 7, 2)
	half.evict()
	half.at(half.first).Revision = 7
	twins := newRing(0)
	fill(twins, "a", 6, 3)
	all, _ := twins.since(0)
	all[2].Revision = 7
	if !half.recall(all, 5, 7, time.Now()) || half.len() != 3 {
		t.Errorf("a revision that is half on the ring: got %d changes, want 3", half.len())
	}
}
