package metrics

import (
	"strconv"
	"strings"
	"sync"
	"testing"
)

func TestWhatIsBoundIsBoundOnce(t *testing.T) {
	const keys = 3000
	var mu sync.Mutex
	made := map[string]int{}
	b := newBound(strings.Clone, func(key string) int {
		mu.Lock()
		defer mu.Unlock()
		made[key]++
		n, _ := strconv.Atoi(key)
		return n
	})
	var askers sync.WaitGroup
	for range 4 {
		askers.Go(func() {
			for i := range keys {
				key := strconv.Itoa(i)
				if got := b.get(key); got != i {
					t.Errorf("%s is bound to %d", key, got)
				}
				if got, ok := b.lookup(key); !ok || got != i {
					t.Errorf("%s was found as %d, %v", key, got, ok)
				}
			}
		})
	}
	askers.Wait()
	if b.size() != keys {
		t.Errorf("%d are bound, not %d", b.size(), keys)
	}
	for key, times := range made {
		if times != 1 {
			t.Errorf("%s was bound %d times", key, times)
		}
	}
	if _, ok := b.lookup("x"); ok {
		t.Error("what was never bound was found")
	}
}

// What is looked for again and again costs no lock in the end.
func TestWhatIsBoundGetsIntoTheTable(t *testing.T) {
	b := newBound(strings.Clone, func(key string) int { return len(key) })
	for i := range 100 {
		b.get(strconv.Itoa(i))
	}
	for range 100 {
		b.lookup("99")
	}
	if _, ok := (*b.table.Load())["99"]; !ok || len(b.fresh) != 0 {
		t.Errorf("it is not: %d are fresh", len(b.fresh))
	}
}

// To copy the table for every new key would be long for many of them.
func TestTheTableIsNotCopiedForEachKey(t *testing.T) {
	b := newBound(strings.Clone, func(key string) int { return len(key) })
	copies, last := 0, b.table.Load()
	for i := range 1000 {
		b.get(strconv.Itoa(i))
		if now := b.table.Load(); now != last {
			copies, last = copies+1, now
		}
	}
	if copies > 100 {
		t.Errorf("it was copied %d times", copies)
	}
}

func BenchmarkBind(b *testing.B) {
	for b.Loop() {
		table := newBound(strings.Clone, func(key string) int { return len(key) })
		for i := range 10000 {
			table.get(strconv.Itoa(i))
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/10000, "ns/key")
}
