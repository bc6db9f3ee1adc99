package storage_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/portico-api/portico/delegation/storage"
)

func TestWrites(t *testing.T) {
	onEngines(t, func(t *testing.T, s *storage.Store) {
		ctx := t.Context()
		c := resource(t, s)

		o := create(t, c, "a", "x", "1")
		if _, err := c.Create(ctx, "a", "x", thing("x", "2"), 0); !errors.Is(err, storage.ErrExists) {
			t.Errorf("Create of a taken name: got %v, want ErrExists", err)
		}
		n := update(t, c, o, "2")
		if n.ResourceVersion() <= o.ResourceVersion() {
			t.Errorf("revision after an update: got %d, want more than %d", n.ResourceVersion(), o.ResourceVersion())
		}
		if _, err := c.Update(ctx, "a", "x", thing("x", "3"), o.ResourceVersion(), 0); !errors.Is(err, storage.ErrConflict) {
			t.Errorf("Update of an older revision: got %v, want ErrConflict", err)
		}
		if _, err := c.Update(ctx, "a", "y", thing("y", "3"), o.ResourceVersion(), 0); !errors.Is(err, storage.ErrNotFound) {
			t.Errorf("Update of nothing: got %v, want ErrNotFound", err)
		}
		if _, err := c.Delete(ctx, "a", "x", o.ResourceVersion()); !errors.Is(err, storage.ErrConflict) {
			t.Errorf("Delete of an older revision: got %v, want ErrConflict", err)
		}
		gone := remove(t, c, n)
		if gone.ResourceVersion() <= n.ResourceVersion() || !strings.Contains(string(gone.JSON()), `"data":"2"`) {
			t.Errorf("Delete: got %s at %d, want the last state at the deletion's revision", gone.JSON(), gone.ResourceVersion())
		}
		if _, err := c.Delete(ctx, "a", "x", n.ResourceVersion()); !errors.Is(err, storage.ErrNotFound) {
			t.Errorf("Delete of nothing: got %v, want ErrNotFound", err)
		}
		if _, err := c.Get(ctx, "a", "x", storage.Read{}); !errors.Is(err, storage.ErrNotFound) {
			t.Errorf("Get after Delete: got %v, want ErrNotFound", err)
		}
	})
}

func TestWritesRefuseWhatCannotBeServed(t *testing.T) {
	c := resource(t, engines["embedded"])
	for name, json := range map[string]string{
		"nothing":               ``,
		"no object":             `[]`,
		"an open object":        `{"metadata":{"name":"x"}`,
		"two values":            `{} {}`,
		"metadata that is text": `{"metadata":"x"}`,
		"a resourceVersion":     `{"metadata":{"resourceVersion":"1"}}`,
	} {
		if _, err := c.Create(t.Context(), "a", "x", []byte(json), 0); !errors.Is(err, storage.ErrMalformed) {
			t.Errorf("Create of %s (%s): got %v, want ErrMalformed", name, json, err)
		}
	}
	large := thing("x", strings.Repeat("x", 5<<20))
	if _, err := c.Create(t.Context(), "a", "x", large, 0); !errors.Is(err, storage.ErrTooLarge) {
		t.Errorf("Create of 5 MiB: got %v, want ErrTooLarge", err)
	}
}

func TestReadsSeeEveryAcknowledgedWrite(t *testing.T) {
	onEngines(t, func(t *testing.T, s *storage.Store) {
		c := resource(t, s)
		var writers sync.WaitGroup
		for w := range 8 {
			writers.Go(func() {
				name := fmt.Sprint("x", w)
				o, err := c.Create(context.Background(), "a", name, thing(name, "0"), 0)
				for i := 1; i < 50 && err == nil; i++ {
					o, err = c.Update(context.Background(), "a", name, thing(name, fmt.Sprint(i)), o.ResourceVersion(), 0)
					if err != nil {
						break
					}
					var got *storage.Object
					got, err = c.Get(context.Background(), "a", name, storage.Read{})
					if err == nil && got.ResourceVersion() != o.ResourceVersion() {
						t.Errorf("Get after the write of revision %d: got revision %d", o.ResourceVersion(), got.ResourceVersion())
					}
				}
				if err != nil {
					t.Error(err)
				}
			})
		}
		writers.Wait()
	})
}

func TestReadWaitsForItsRevision(t *testing.T) {
	onEngines(t, func(t *testing.T, s *storage.Store) {
		c := resource(t, s)
		o := create(t, c, "a", "x", "1")
		type result struct {
			snap *storage.Snapshot
			err  error
		}
		results := make(chan result)
		go func() {
			snap, err := c.Snapshot(context.Background(), storage.Read{NotOlderThan: o.ResourceVersion() + 1})
			results <- result{snap, err}
		}()
		n := update(t, c, o, "2")
		r := <-results
		if r.err != nil || r.snap.Revision() < n.ResourceVersion() || contents(r.snap, "", "") != "a/x=2" {
			t.Errorf("Snapshot not older than the next write: got %+v, want a/x=2 at %d", r, n.ResourceVersion())
		}
	})
}

func TestReadOfTheFarFutureEndsWithErrFuture(t *testing.T) {
	c := resource(t, engines["embedded"])
	if _, err := c.Snapshot(t.Context(), storage.Read{NotOlderThan: 1 << 50}); !errors.Is(err, storage.ErrFuture) {
		t.Errorf("got %v, want ErrFuture", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Snapshot(ctx, storage.Read{NotOlderThan: 1 << 50}); !errors.Is(err, context.Canceled) {
		t.Errorf("with a context that has ended: got %v, want context.Canceled", err)
	}
}

func TestForeignKeysDoNotHoldUpReads(t *testing.T) {
	onEngines(t, func(t *testing.T, s *storage.Store) {
		c := resource(t, s)
		create(t, c, "a", "x", "1")
		revision, err := storage.PutForeign(t.Context(), s, "/elsewhere/key", "value")
		if err != nil {
			t.Fatal(err)
		}
		snap, err := c.Snapshot(t.Context(), storage.Read{NotOlderThan: revision})
		if err != nil || snap.Revision() < revision {
			t.Errorf("Snapshot at the revision of a foreign write: got %+v, %v; want revision %d", snap, err, revision)
		}
	})
}

func TestSnapshotsDoNotChange(t *testing.T) {
	onEngines(t, func(t *testing.T, s *storage.Store) {
		c := resource(t, s)
		b := create(t, c, "b", "x", "1")
		create(t, c, "a", "z", "1")
		create(t, c, "a", "y", "1")
		create(t, c, "a-b", "x", "1")
		before, err := c.Snapshot(t.Context(), storage.Read{})
		if err != nil {
			t.Fatal(err)
		}
		update(t, c, b, "2")
		create(t, c, "c", "x", "1")
		after, err := c.Snapshot(t.Context(), storage.Read{})
		if err != nil {
			t.Fatal(err)
		}
		past, err := c.SnapshotAt(t.Context(), before.Revision())
		if err != nil {
			t.Fatal(err)
		}
		for _, tc := range []struct {
			name             string
			snap             *storage.Snapshot
			namespace, start string
			want             string
		}{
			// As the etcd orders its keys: '-' comes before '/'.
			{"before", before, "", "", "a-b/x=1 a/y=1 a/z=1 b/x=1"},
			{"after", after, "", "", "a-b/x=1 a/y=1 a/z=1 b/x=2 c/x=1"},
			{"past", past, "", "", "a-b/x=1 a/y=1 a/z=1 b/x=1"},
			{"one namespace", before, "a", "", "a/y=1 a/z=1"},
			{"a page", before, "", "a/y\x00", "a/z=1 b/x=1"},
			{"a page of one namespace", before, "a", "a/y\x00", "a/z=1"},
			{"an empty namespace", before, "zz", "", ""},
		} {
			if got := contents(tc.snap, tc.namespace, tc.start); got != tc.want {
				t.Errorf("%s: got %q, want %q", tc.name, got, tc.want)
			}
		}
		if before.Len() != 4 || after.Len() != 5 {
			t.Errorf("Len: got %d and %d, want 4 and 5", before.Len(), after.Len())
		}
	})
}

// Every state that a resource ever had can be read again, exactly, in any order.
func TestEveryPastStateIsExact(t *testing.T) {
	onEngines(t, func(t *testing.T, s *storage.Store) {
		c := resource(t, s)
		states := map[int64]string{}
		remember := func(revision int64) {
			snap, err := c.Snapshot(t.Context(), storage.Read{NotOlderThan: revision})
			if err != nil {
				t.Fatal(err)
			}
			states[revision] = contents(snap, "", "")
		}
		objects := map[string]*storage.Object{}
		for i := range 300 {
			name := fmt.Sprint("x", i*7%13)
			var o *storage.Object
			switch old := objects[name]; {
			case old == nil:
				o = create(t, c, "a", name, fmt.Sprint(i))
				objects[name] = o
			case i%3 == 0:
				o = remove(t, c, old)
				delete(objects, name)
			default:
				o = update(t, c, old, fmt.Sprint(i))
				objects[name] = o
			}
			remember(o.ResourceVersion())
		}
		for revision, want := range states { // in no order
			snap, err := c.SnapshotAt(t.Context(), revision)
			if err != nil {
				t.Fatalf("SnapshotAt(%d): %v", revision, err)
			}
			if got := contents(snap, "", ""); got != want || snap.Revision() != revision {
				t.Errorf("SnapshotAt(%d): got %q at %d, want %q", revision, got, snap.Revision(), want)
			}
		}
	})
}

func TestResourceOpenedLateHasNoGapAndNoDouble(t *testing.T) {
	onEngines(t, func(t *testing.T, s *storage.Store) {
		early := resource(t, s)
		path := early.Path()
		ctx, cancel := context.WithCancel(context.Background())
		var writers sync.WaitGroup
		writers.Go(func() {
			for i := 0; ctx.Err() == nil && i < 5000; i++ {
				name := fmt.Sprint("x", i)
				if _, err := early.Create(context.Background(), "a", name, thing(name, "1"), 0); err != nil {
					t.Error(err)
					return
				}
			}
		})
		// The path belongs to one cache at a time; closing it leaves the writes as they are.
		early.Close()
		for range 10 {
			c, err := s.OpenResource(context.Background(), storage.ResourceConfig{Resource: "late", Path: path, Namespaced: true})
			if err != nil {
				t.Fatal(err)
			}
			snap, err := c.Snapshot(t.Context(), storage.Read{})
			if err != nil {
				t.Fatal(err)
			}
			if want := storage.CountStored(t, s, path, snap.Revision()); snap.Len() != want {
				t.Errorf("objects at %d: got %d, want %d", snap.Revision(), snap.Len(), want)
			}
			c.Close()
		}
		cancel()
		writers.Wait()
	})
}

func TestRestartKeepsEverything(t *testing.T) {
	dir := t.TempDir()
	var want string
	for round := range 3 {
		s, err := storage.Open(t.Context(), storage.Config{DataDir: dir})
		if err != nil {
			t.Fatal(err)
		}
		c, err := s.OpenResource(t.Context(), storage.ResourceConfig{Resource: "things", Path: "things", Namespaced: true})
		if err != nil {
			t.Fatal(err)
		}
		snap, err := c.Snapshot(t.Context(), storage.Read{})
		if err != nil {
			t.Fatal(err)
		}
		if got := contents(snap, "", ""); got != want {
			t.Errorf("round %d: got %q, want %q", round, got, want)
		}
		// A page that was begun before the restart goes on: the etcd still has the history.
		if round > 0 {
			past, err := c.SnapshotAt(t.Context(), snap.Revision()-1)
			if err != nil || past.Len() != snap.Len()-1 {
				t.Errorf("round %d: SnapshotAt before the restart: got %v, %v", round, past, err)
			}
		}
		create(t, c, "a", fmt.Sprint("x", round), "1")
		want = strings.TrimSpace(want + fmt.Sprintf(" a/x%d=1", round))
		if err := s.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		if _, err := c.Create(context.Background(), "a", "late", thing("late", "1"), 0); err == nil {
			t.Error("Create after Close succeeded")
		}
	}
}

func TestSecondProcessIsTurnedAway(t *testing.T) {
	dir := t.TempDir()
	s, err := storage.Open(t.Context(), storage.Config{DataDir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	_, err = storage.Open(t.Context(), storage.Config{DataDir: dir})
	want := fmt.Sprintf("data directory %s is in use by another portico (pid %d)", dir, os.Getpid())
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestBadDirectoriesAreToldInOneLine(t *testing.T) {
	for name, spoil := range map[string]func(t *testing.T, dir string){
		"database": func(t *testing.T, dir string) { scribble(t, filepath.Join(dir, "etcd/member/snap/db")) },
		"log": func(t *testing.T, dir string) {
			logs, err := filepath.Glob(filepath.Join(dir, "etcd/member/wal/*.wal"))
			if err != nil || len(logs) == 0 {
				t.Fatal("no log", err)
			}
			scribble(t, logs[0])
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s, err := storage.Open(t.Context(), storage.Config{DataDir: dir})
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			spoil(t, dir)
			// In a process of its own: what gave up halfway is not taken apart, the process ends.
			child := exec.Command(os.Args[0])
			child.Env = append(os.Environ(), crashDirVariable+"="+dir)
			var stderr strings.Builder
			child.Stderr = &stderr
			if err := child.Run(); err == nil {
				t.Fatal("a spoiled directory was opened")
			}
			got := strings.TrimSpace(stderr.String())
			if strings.Contains(got, "\n") || !strings.Contains(got, dir) || !strings.Contains(got, "restore a backup") {
				t.Errorf("got %q, want one line with the directory and the way out", got)
			}
		})
	}
	t.Run("a file", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := storage.Open(t.Context(), storage.Config{DataDir: file}); err == nil {
			t.Error("a file was taken for a data directory")
		}
	})
}

func scribble(t *testing.T, file string) {
	t.Helper()
	f, err := os.OpenFile(file, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt([]byte(strings.Repeat("garbage!", 1<<13)), 0); err != nil {
		t.Fatal(err)
	}
}

func TestUnreachableClusterIsTold(t *testing.T) {
	_, err := storage.Open(t.Context(), storage.Config{Servers: []string{"http://127.0.0.1:1"}, StartTimeout: 300 * time.Millisecond})
	if !errors.Is(err, storage.ErrUnavailable) || !strings.Contains(err.Error(), "127.0.0.1:1") {
		t.Errorf("got %v, want ErrUnavailable naming the address", err)
	}
}

func TestObjectsTellWhatSelectorsAsk(t *testing.T) {
	c := resource(t, engines["embedded"], func(cfg *storage.ResourceConfig) {
		cfg.Fields = func(b []byte) fields.Set {
			var o struct{ Data string }
			if err := json.Unmarshal(b, &o); err != nil {
				t.Error(err)
			}
			return fields.Set{"data": o.Data}
		}
	})
	create(t, c, "a", "x", "1")
	o, err := c.Get(t.Context(), "a", "x", storage.Read{})
	if err != nil {
		t.Fatal(err)
	}
	for selector, want := range map[string]bool{"app=x": true, "app=y": false, "app": true, "!app": false, "app notin (x)": false, "": true} {
		sel, err := labels.Parse(selector)
		if err != nil {
			t.Fatal(err)
		}
		if got := sel.Matches(o.Labels()); got != want {
			t.Errorf("label selector %q: got %v, want %v", selector, got, want)
		}
	}
	for selector, want := range map[string]bool{"metadata.name=x": true, "metadata.namespace=a,data=1": true, "data=2": false, "metadata.name!=x": false} {
		if got := fields.ParseSelectorOrDie(selector).Matches(o.Fields()); got != want {
			t.Errorf("field selector %q: got %v, want %v", selector, got, want)
		}
	}
}

func TestTimeToLive(t *testing.T) {
	onEngines(t, func(t *testing.T, s *storage.Store) {
		c := resource(t, s)
		first, err := c.Create(t.Context(), "a", "x", thing("x", "1"), time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Create(t.Context(), "a", "y", thing("y", "1"), time.Hour); err != nil {
			t.Fatal(err)
		}
		x, y := storage.LeaseOf(t, s, c.Path()+"/a/x"), storage.LeaseOf(t, s, c.Path()+"/a/y")
		if x == 0 || x != y {
			t.Errorf("leases: got %x and %x, want one for both", x, y)
		}
		if _, err := c.Update(t.Context(), "a", "x", thing("x", "2"), first.ResourceVersion(), 0); err != nil {
			t.Fatal(err)
		}
		if x := storage.LeaseOf(t, s, c.Path()+"/a/x"); x != 0 {
			t.Errorf("lease after an update without ttl: got %x, want none", x)
		}
		// The lease ends as it does when its time has come.
		storage.Revoke(t, s, y)
		if _, err := c.Get(t.Context(), "a", "y", storage.Read{NotOlderThan: first.ResourceVersion() + 3}); !errors.Is(err, storage.ErrNotFound) {
			t.Errorf("Get after the lease has ended: got %v, want ErrNotFound", err)
		}
		// The lease is remembered here, but gone: the next write gets another.
		if _, err := c.Create(t.Context(), "a", "z", thing("z", "1"), time.Hour); err != nil {
			t.Errorf("Create after the lease has ended: %v", err)
		}
	})
}

func TestHealth(t *testing.T) {
	onEngines(t, func(t *testing.T, s *storage.Store) {
		if err := s.Health(t.Context()); err != nil {
			t.Error(err)
		}
		before, err := s.CurrentRevision(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		o := create(t, resource(t, s), "a", "x", "1")
		if after, err := s.CurrentRevision(t.Context()); err != nil || after < o.ResourceVersion() || after <= before {
			t.Errorf("CurrentRevision after a write of %d: got %d, %v", o.ResourceVersion(), after, err)
		}
		if rv := `"resourceVersion":"` + strconv.FormatInt(o.ResourceVersion(), 10) + `"`; !strings.Contains(string(o.JSON()), rv) {
			t.Errorf("JSON: got %s, want %s in it", o.JSON(), rv)
		}
	})
}

func TestOverlappingPathsAreRefused(t *testing.T) {
	c := resource(t, engines["embedded"])
	for _, path := range []string{c.Path(), c.Path() + "/more", "test.example.com", "", "/x", "a//b"} {
		if _, err := engines["embedded"].OpenResource(t.Context(), storage.ResourceConfig{Resource: "x", Path: path}); err == nil {
			t.Errorf("OpenResource(%q) beside %q succeeded", path, c.Path())
		}
	}
}
