package storage_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/watch"

	"github.com/portico-api/portico/delegation/storage"
)

// next collects events until there are n.
func next(t *testing.T, cur *storage.Cursor, n int) []*storage.Event {
	t.Helper()
	var all []*storage.Event
	for len(all) < n {
		events, seen, err := cur.Next()
		if err != nil {
			t.Fatalf("Next after %d of %d events: %v", len(all), n, err)
		}
		all = append(all, events...)
		if last := all[len(all)-1].Revision; seen < last {
			t.Errorf("seen: got %d, want at least the last event's %d", seen, last)
		}
	}
	return all
}

// tell writes events down: "ADDED a/x=1 …".
func tell(events []*storage.Event) string {
	var b strings.Builder
	for _, e := range events {
		_, payload, _ := strings.Cut(string(e.Object.JSON()), `"data":"`)
		fmt.Fprintf(&b, "%s %s=%s ", e.Type, e.Object.Key(), strings.TrimSuffix(payload, `"}`))
	}
	return strings.TrimSpace(b.String())
}

func TestWatchTellsEveryChangeInOrder(t *testing.T) {
	onEngines(t, func(t *testing.T, s *storage.Store) {
		c := resource(t, s)
		start, err := c.Snapshot(t.Context(), storage.Read{})
		if err != nil {
			t.Fatal(err)
		}
		x := create(t, c, "a", "x", "1")
		create(t, c, "b", "x", "1")
		x2 := update(t, c, x, "2")
		gone := remove(t, c, x2)
		create(t, c, "a", "y", "1")

		for _, tc := range []struct {
			name      string
			namespace string
			after     int64
			want      string
		}{
			{"all namespaces", "", start.Revision(), "ADDED a/x=1 ADDED b/x=1 MODIFIED a/x=2 DELETED a/x=2 ADDED a/y=1"},
			{"one namespace", "a", start.Revision(), "ADDED a/x=1 MODIFIED a/x=2 DELETED a/x=2 ADDED a/y=1"},
			{"from a revision", "", x2.ResourceVersion(), "DELETED a/x=2 ADDED a/y=1"},
		} {
			cur, err := c.Watch(t.Context(), tc.namespace, tc.after)
			if err != nil {
				t.Fatalf("%s: %v", tc.name, err)
			}
			events := next(t, cur, 1+strings.Count(tc.want, " ")/2)
			if got := tell(events); got != tc.want {
				t.Errorf("%s: got %q, want %q", tc.name, got, tc.want)
			}
			for _, e := range events {
				if e.Object.ResourceVersion() != e.Revision {
					t.Errorf("%s: %s: got resourceVersion %d, want the event's %d", tc.name, e.Type, e.Object.ResourceVersion(), e.Revision)
				}
				if e.Type == watch.Deleted && e.Revision != gone.ResourceVersion() {
					t.Errorf("deletion: got revision %d, want %d", e.Revision, gone.ResourceVersion())
				}
			}
			cur.Close()
		}
	})
}

func TestWatchEndsWithItsContextAndTellsWhatItHasSeen(t *testing.T) {
	onEngines(t, func(t *testing.T, s *storage.Store) {
		c, other := resource(t, s), resource(t, s)
		o := create(t, c, "a", "x", "1")
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		cur, err := c.Watch(ctx, "a", o.ResourceVersion())
		if err != nil {
			t.Fatal(err)
		}
		defer cur.Close()
		later := create(t, other, "a", "x", "1")
		if _, err := c.Snapshot(t.Context(), storage.Read{NotOlderThan: later.ResourceVersion()}); err != nil {
			t.Fatal(err)
		}
		cancel()
		events, seen, err := cur.Next()
		if len(events) != 0 || seen < later.ResourceVersion() || !errors.Is(err, context.Canceled) {
			t.Errorf("got %d events, seen %d, %v; want none, at least %d, context.Canceled", len(events), seen, err, later.ResourceVersion())
		}
	})
}

func TestTheEndOfItsContextWakesAWatcherThatWaits(t *testing.T) {
	c := resource(t, engines["embedded"])
	o := create(t, c, "a", "x", "1")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	cur, err := c.Watch(ctx, "", o.ResourceVersion())
	if err != nil {
		t.Fatal(err)
	}
	defer cur.Close()
	ended := make(chan error, 1)
	go func() {
		_, _, err := cur.Next()
		ended <- err
	}()
	for deadline := time.Now().Add(10 * time.Second); !storage.Waits(cur); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it does not wait")
		}
	}
	cancel()
	select {
	case err := <-ended:
		if !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want context.Canceled", err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("it still waits")
	}
}

func TestWatchersOfOtherNamespacesSleep(t *testing.T) {
	c := resource(t, engines["embedded"])
	o := create(t, c, "a", "x", "1")
	cur, err := c.Watch(t.Context(), "quiet", o.ResourceVersion())
	if err != nil {
		t.Fatal(err)
	}
	defer cur.Close()
	// Far more changes elsewhere than the ring holds at first; the quiet watcher misses none of its own.
	for i := range 500 {
		o = update(t, c, o, fmt.Sprint(i))
	}
	create(t, c, "quiet", "x", "1")
	if got := tell(next(t, cur, 1)); got != "ADDED quiet/x=1" {
		t.Errorf("got %q, want ADDED quiet/x=1", got)
	}
}

func TestManyWatchersSeeTheSameEvents(t *testing.T) {
	c := resource(t, engines["embedded"])
	const watchers, changes = 100, 300
	start, err := c.Snapshot(t.Context(), storage.Read{})
	if err != nil {
		t.Fatal(err)
	}
	all := make([][]*storage.Event, watchers)
	var running sync.WaitGroup
	for i := range watchers {
		cur, err := c.Watch(t.Context(), "", start.Revision())
		if err != nil {
			t.Fatal(err)
		}
		running.Go(func() {
			defer cur.Close()
			all[i] = next(t, cur, changes)
		})
	}
	var writers sync.WaitGroup
	for w := range 3 {
		writers.Go(func() {
			name := fmt.Sprint("x", w)
			o, err := c.Create(context.Background(), "a", name, thing(name, "0"), 0)
			for i := 1; i < changes/3 && err == nil; i++ {
				o, err = c.Update(context.Background(), "a", name, thing(name, fmt.Sprint(i)), o.ResourceVersion(), 0)
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	writers.Wait()
	running.Wait()
	for i, events := range all {
		for j, e := range events {
			if e != all[0][j] {
				t.Fatalf("watcher %d, event %d: got %s at %d, the first watcher has %s at %d", i, j, e.Type, e.Revision, all[0][j].Type, all[0][j].Revision)
			}
			if j > 0 && e.Revision <= events[j-1].Revision {
				t.Fatalf("watcher %d, event %d: revision %d after %d", i, j, e.Revision, events[j-1].Revision)
			}
		}
	}
}

func TestFramesAreMadeOnce(t *testing.T) {
	c := resource(t, engines["embedded"])
	x := create(t, c, "a", "x", "1")
	y := update(t, c, x, "2")
	z := remove(t, c, y)
	cur, err := c.Watch(t.Context(), "", x.ResourceVersion()-1)
	if err != nil {
		t.Fatal(err)
	}
	defer cur.Close()
	events := next(t, cur, 3)
	for _, tc := range []struct {
		event    *storage.Event
		typ      watch.EventType
		data     string
		revision int64
	}{
		{events[0], watch.Added, "1", x.ResourceVersion()},
		{events[1], watch.Modified, "2", y.ResourceVersion()},
		{events[1], watch.Added, "2", y.ResourceVersion()},   // it has entered a selector
		{events[1], watch.Deleted, "1", y.ResourceVersion()}, // it has left one: the last state that matched
		{events[2], watch.Deleted, "2", z.ResourceVersion()},
	} {
		want := fmt.Sprintf(`{"type":"%s","object":{"kind":"Thing","apiVersion":"test.example.com/v1","metadata":{"resourceVersion":"%d","name":"x","labels":{"app":"x"}},"data":"%s"}}`+"\n", tc.typ, tc.revision, tc.data)
		first, second := tc.event.Frame(tc.typ), tc.event.Frame(tc.typ)
		if string(first) != want {
			t.Errorf("%s shown as %s:\n got %s\nwant %s", tc.event.Type, tc.typ, first, want)
		}
		if &first[0] != &second[0] {
			t.Errorf("%s shown as %s: the frame was made twice", tc.event.Type, tc.typ)
		}
	}
}

func TestWatchOfALostRevisionIsErrCompacted(t *testing.T) {
	onEngines(t, func(t *testing.T, s *storage.Store) {
		create(t, resource(t, s), "a", "x", "1") // so that revision 1 is in the past of any store
		c := resource(t, s)
		o := create(t, c, "a", "x", "1")
		if _, err := s.CurrentRevision(t.Context()); err != nil {
			t.Fatal(err)
		}
		storage.CompactNow(s, o.ResourceVersion())
		if _, err := c.SnapshotAt(t.Context(), 1); !errors.Is(err, storage.ErrCompacted) {
			t.Errorf("SnapshotAt of a compacted revision: got %v, want ErrCompacted", err)
		}
		for range 2 { // the second is answered without asking the etcd
			if _, err := c.Watch(t.Context(), "", 1); !errors.Is(err, storage.ErrCompacted) {
				t.Errorf("Watch from a compacted revision: got %v, want ErrCompacted", err)
			}
		}
		// The ring remembers longer than the etcd.
		if _, err := c.SnapshotAt(t.Context(), o.ResourceVersion()-1); err != nil {
			t.Errorf("SnapshotAt within the ring: %v", err)
		}
	})
}

func TestLostHistoryEndsOnlyWatchersThatMissedSomething(t *testing.T) {
	onEngines(t, func(t *testing.T, s *storage.Store) {
		c, still := resource(t, s), resource(t, s)
		o := create(t, c, "a", "x", "1")
		quiet := create(t, still, "a", "x", "1")
		behind, err := c.Watch(t.Context(), "", o.ResourceVersion())
		if err != nil {
			t.Fatal(err)
		}
		defer behind.Close()
		same, err := still.Watch(t.Context(), "", quiet.ResourceVersion())
		if err != nil {
			t.Fatal(err)
		}
		defer same.Close()

		// The stream misses a change, as it does when the etcd compacts what it has not read yet.
		storage.Deafen(c)
		n := update(t, c, o, "2")
		if err := storage.LoseHistory(t.Context(), s); err != nil {
			t.Fatal(err)
		}
		if _, _, err := behind.Next(); !errors.Is(err, storage.ErrCompacted) {
			t.Errorf("Next of a watcher that missed a change: got %v, want ErrCompacted", err)
		}
		got, err := c.Get(t.Context(), "a", "x", storage.Read{})
		if err != nil || got.ResourceVersion() != n.ResourceVersion() {
			t.Errorf("Get: got %v, %v; want revision %d", got, err, n.ResourceVersion())
		}
		create(t, still, "a", "y", "1")
		if got := tell(next(t, same, 1)); got != "ADDED a/y=1" {
			t.Errorf("the watcher that missed nothing: got %q, want ADDED a/y=1", got)
		}
		again, err := c.Watch(t.Context(), "", n.ResourceVersion())
		if err != nil {
			t.Fatal(err)
		}
		defer again.Close()
		update(t, c, n, "3")
		if got := tell(next(t, again, 1)); got != "MODIFIED a/x=3" {
			t.Errorf("a new watcher: got %q, want MODIFIED a/x=3", got)
		}
	})
}

func TestClosedCacheEndsItsWatchers(t *testing.T) {
	c := resource(t, engines["embedded"])
	o := create(t, c, "a", "x", "1")
	cur, err := c.Watch(t.Context(), "", o.ResourceVersion())
	if err != nil {
		t.Fatal(err)
	}
	defer cur.Close()
	ended := make(chan error)
	go func() {
		_, _, err := cur.Next()
		ended <- err
	}()
	c.Close()
	if err := <-ended; !errors.Is(err, storage.ErrClosed) {
		t.Errorf("got %v, want ErrClosed", err)
	}
}
