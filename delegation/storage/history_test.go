package storage_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/portico-api/portico/delegation/storage"
)

// reopened is a resource as a restarted server has it: filled from a list, with nothing on its ring.
func reopened(t *testing.T, s *storage.Store, path string) *storage.Cache {
	t.Helper()
	c, err := s.OpenResource(t.Context(), storage.ResourceConfig{Resource: "again", Path: path, Namespaced: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func TestAWatchGoesOnWhereItWasBeforeARestart(t *testing.T) {
	onEngines(t, func(t *testing.T, s *storage.Store) {
		before := resource(t, s)
		start := create(t, before, "a", "start", "0").ResourceVersion()
		x := create(t, before, "a", "x", "1")
		middle := x.ResourceVersion()
		y := create(t, before, "b", "y", "1")
		x = update(t, before, x, "2")
		remove(t, before, y)
		before.Close()
		c := reopened(t, s, before.Path())
		create(t, c, "a", "z", "1")

		for _, tc := range []struct {
			name, namespace string
			since           int64
			want            string
		}{
			{"a part of it", "", middle, "ADDED b/y=1 MODIFIED a/x=2 DELETED b/y=1 ADDED a/z=1"},
			{"all of it", "", start, "ADDED a/x=1 ADDED b/y=1 MODIFIED a/x=2 DELETED b/y=1 ADDED a/z=1"},
			{"one namespace", "b", start, "ADDED b/y=1 DELETED b/y=1"},
			{"what is on the ring", "", x.ResourceVersion() + 1, "ADDED a/z=1"},
		} {
			cur, err := c.Watch(t.Context(), tc.namespace, tc.since)
			if err != nil {
				t.Fatalf("%s: Watch from %d: %v", tc.name, tc.since, err)
			}
			if got := tell(next(t, cur, strings.Count(tc.want, "="))); got != tc.want {
				t.Errorf("%s:\n got %s\nwant %s", tc.name, got, tc.want)
			}
			cur.Close()
		}
	})
}

// What is recalled has its previous states, so that selectors see objects come and go.
func TestTheRecalledPastHasPreviousStates(t *testing.T) {
	onEngines(t, func(t *testing.T, s *storage.Store) {
		before := resource(t, s)
		x := create(t, before, "a", "x", "1")
		since := x.ResourceVersion()
		x = update(t, before, x, "2")
		x = update(t, before, x, "3")
		remove(t, before, x)
		before.Close()
		cur, err := reopened(t, s, before.Path()).Watch(t.Context(), "", since)
		if err != nil {
			t.Fatal(err)
		}
		defer cur.Close()
		for i, e := range next(t, cur, 3) {
			want := fmt.Sprintf(`"data":"%d"`, i+1)
			if e.Previous == nil || !strings.Contains(string(e.Previous.JSON()), want) {
				t.Errorf("%s at %d: its previous state is %v, want one with %s", e.Type, e.Revision, e.Previous, want)
			}
		}
	})
}

func TestManyWatchersShareTheRecalledPast(t *testing.T) {
	s := engines["embedded"]
	before := resource(t, s)
	o := create(t, before, "a", "x", "0")
	var revisions []int64
	for i := range 50 {
		revisions = append(revisions, o.ResourceVersion())
		o = update(t, before, o, fmt.Sprint(i+1))
	}
	before.Close()
	c := reopened(t, s, before.Path())
	var watchers sync.WaitGroup
	for i, revision := range revisions {
		watchers.Go(func() {
			cur, err := c.Watch(context.Background(), "", revision)
			if err != nil {
				t.Errorf("Watch from %d: %v", revision, err)
				return
			}
			defer cur.Close()
			for want := i + 1; want <= 50; {
				events, _, err := cur.Next()
				if err != nil {
					t.Error(err)
					return
				}
				for _, e := range events {
					if got := string(e.Object.JSON()); !strings.Contains(got, fmt.Sprintf(`"data":"%d"`, want)) {
						t.Errorf("from %d: got %s, want data %d", revision, got, want)
					}
					want++
				}
			}
		})
	}
	watchers.Wait()
}

// A compaction in the past of a resource bounds what can be recalled, exactly.
func TestTheRecalledPastEndsAtTheCompaction(t *testing.T) {
	s := engines["embedded"]
	before := resource(t, s)
	x := create(t, before, "a", "x", "1")
	y := update(t, before, x, "2")
	z := update(t, before, y, "3")
	before.Close()
	storage.CompactNow(s, y.ResourceVersion())
	c := reopened(t, s, before.Path())
	if _, err := c.Watch(t.Context(), "", x.ResourceVersion()); err == nil || !errors.Is(err, storage.ErrCompacted) {
		t.Errorf("from before the compaction: got %v, want ErrCompacted", err)
	}
	cur, err := c.Watch(t.Context(), "", y.ResourceVersion())
	if err != nil {
		t.Fatalf("from the compaction on: %v", err)
	}
	defer cur.Close()
	if e := next(t, cur, 1)[0]; e.Revision != z.ResourceVersion() || e.Previous == nil {
		t.Errorf("got %s with previous %v, want the change of revision %d and its previous state", e.Type, e.Previous, z.ResourceVersion())
	}
}
