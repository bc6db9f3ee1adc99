package storage_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"github.com/portico-api/portico/delegation/storage"
)

func things(t *testing.T, s *storage.Store) *storage.Cache {
	t.Helper()
	c, err := s.OpenResource(t.Context(), storage.ResourceConfig{Resource: "things", Path: "things", Namespaced: true})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func open(t *testing.T, cfg storage.Config) *storage.Store {
	t.Helper()
	s, err := storage.Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// backup returns the file of a backup of a store with one thing in it, and the last revision before it.
func backup(t *testing.T, s *storage.Store) (file string, revision int64) {
	t.Helper()
	revision = create(t, things(t, s), "a", "kept", "1").ResourceVersion()
	var b bytes.Buffer
	sum := storage.NewChecksum()
	if err := s.Backup(t.Context(), &b); err != nil {
		t.Fatal(err)
	}
	for _, part := range bytes.SplitAfter(b.Bytes(), []byte("a")) { // in pieces of all sizes
		sum.Write(part)
	}
	if err := sum.Verify(); err != nil {
		t.Fatal(err)
	}
	file = filepath.Join(t.TempDir(), "backup")
	if err := os.WriteFile(file, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return file, revision
}

func TestABackupRestoresWhatThereWas(t *testing.T) {
	dir := t.TempDir()
	etcd, address, err := startEtcd(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer etcd.Close()
	for name, cfg := range map[string]storage.Config{
		"embedded": {DataDir: t.TempDir()},
		"cluster":  {Servers: []string{address}},
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t, cfg)
			file, revision := backup(t, s)
			later := create(t, resource(t, s), "a", "later", "1")

			restored := t.TempDir()
			var steps []string
			progress := func(step string, done, total int64) {
				if done == total {
					steps = append(steps, step)
				}
			}
			if err := storage.Restore(t.Context(), file, restored, progress); err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(steps, " "); !strings.HasPrefix(got, "verifying") {
				t.Errorf("progress: got the ends of %q, want at least that of verifying", got)
			}
			again := open(t, storage.Config{DataDir: restored})
			c := things(t, again)
			if got, err := c.Get(t.Context(), "a", "kept", storage.Read{}); err != nil || got.ResourceVersion() != revision {
				t.Errorf("what was backed up: got %v, %v; want it at revision %d", got, err, revision)
			}
			// Clients that have seen more than the backup must not take what is new for what they have.
			if _, err := c.Watch(t.Context(), "", later.ResourceVersion()); !errors.Is(err, storage.ErrCompacted) {
				t.Errorf("a watch from before the restore: got %v, want ErrCompacted", err)
			}
			if n := create(t, c, "a", "new", "1"); n.ResourceVersion() <= later.ResourceVersion() {
				t.Errorf("the first write has revision %d, want one after %d", n.ResourceVersion(), later.ResourceVersion())
			}
			if err := storage.Restore(t.Context(), file, restored, nil); !errors.Is(err, storage.ErrInUse) {
				t.Errorf("Restore under a running store: got %v, want ErrInUse", err)
			}
			if err := again.Close(); err != nil {
				t.Fatal(err)
			}
			if err := storage.Restore(t.Context(), file, restored, nil); !errors.Is(err, storage.ErrNotEmpty) {
				t.Errorf("Restore over a store: got %v, want ErrNotEmpty", err)
			}
		})
	}
}

func TestADamagedBackupIsRefused(t *testing.T) {
	file, _ := backup(t, open(t, storage.Config{DataDir: t.TempDir()}))
	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	flipped := bytes.Clone(whole)
	flipped[len(flipped)/2] ^= 1
	for name, content := range map[string][]byte{
		"empty":           nil,
		"text":            []byte("a list of things"),
		"cut":             whole[:len(whole)-1000],
		"cut at a page":   whole[:len(whole)-512],
		"without its sum": whole[:len(whole)-32],
		"one bit flipped": flipped,
	} {
		t.Run(name, func(t *testing.T) {
			bad := filepath.Join(t.TempDir(), "bad")
			if err := os.WriteFile(bad, content, 0o600); err != nil {
				t.Fatal(err)
			}
			dir := t.TempDir()
			if err := storage.Restore(t.Context(), bad, dir, nil); !errors.Is(err, storage.ErrBackupDamaged) {
				t.Errorf("got %v, want ErrBackupDamaged", err)
			}
			if _, err := os.Stat(filepath.Join(dir, "etcd")); err == nil {
				t.Error("a damaged backup left a store")
			}
			if err := storage.Restore(t.Context(), file, dir, nil); err != nil {
				t.Errorf("the undamaged one after it: %v", err)
			}
		})
	}
}

func TestAnInterruptedRestoreIsNotTakenForAStore(t *testing.T) {
	file, _ := backup(t, open(t, storage.Config{DataDir: t.TempDir()}))
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := storage.Restore(ctx, file, dir, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled restore: got %v, want Canceled", err)
	}
	// What a kill leaves.
	if err := os.MkdirAll(filepath.Join(dir, "etcd.restoring", "member", "snap"), 0o700); err != nil {
		t.Fatal(err)
	}
	if s, err := storage.Open(t.Context(), storage.Config{DataDir: dir}); err == nil {
		s.Close()
		t.Fatal("Open after an interrupted restore succeeded")
	} else if !strings.Contains(err.Error(), "run it again") {
		t.Errorf("Open after an interrupted restore: %v; want it to say what to do", err)
	}
	if err := storage.Restore(t.Context(), file, dir, nil); err != nil {
		t.Fatalf("the restore, run again: %v", err)
	}
	if _, err := things(t, open(t, storage.Config{DataDir: dir})).Get(t.Context(), "a", "kept", storage.Read{}); err != nil {
		t.Errorf("what was backed up: %v", err)
	}
}

func TestTheSocketLetsTheOwnerIn(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "etcd.sock")
	dir := t.TempDir()
	s := open(t, storage.Config{DataDir: dir, Listen: socket})
	c := things(t, s)
	o := create(t, c, "a", "x", "1")
	info, err := os.Stat(socket)
	if err != nil || info.Mode() != os.ModeSocket|0o600 {
		t.Fatalf("the socket: got %v, %v; want mode 0600", info, err)
	}
	etcd, err := clientv3.New(clientv3.Config{Endpoints: []string{"unix://" + socket}, Logger: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	defer etcd.Close()
	resp, err := etcd.Get(t.Context(), "/registry/things/a/x")
	if err != nil || len(resp.Kvs) != 1 || resp.Kvs[0].ModRevision != o.ResourceVersion() {
		t.Fatalf("reading through the socket: got %v, %v", resp, err)
	}
	// A read after a write of somebody else is as fresh as one after a write of ours.
	for i := range 200 {
		name := fmt.Sprint("y", i)
		if _, err := etcd.Put(t.Context(), "/registry/things/a/"+name, string(thing(name, "1"))); err != nil {
			t.Fatal(err)
		}
		if _, err := c.Get(t.Context(), "a", name, storage.Read{}); err != nil {
			t.Fatalf("reading %s right after it was written through the socket: %v", name, err)
		}
	}
	if _, err := storage.Open(t.Context(), storage.Config{DataDir: t.TempDir(), Listen: socket}); err == nil {
		t.Error("a second store listens on the same socket")
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(socket); err == nil {
		t.Error("the socket is there after the store was closed")
	}
	// What a kill leaves is replaced; what is no socket is not.
	file := filepath.Join(t.TempDir(), "precious")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if s, err := storage.Open(t.Context(), storage.Config{DataDir: dir, Listen: file}); err == nil {
		s.Close()
		t.Error("a file was replaced by the socket")
	}
}
