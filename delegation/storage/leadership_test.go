package storage_test

import (
	"context"
	"errors"
	"os"
	"sync/atomic"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/portico-api/portico/delegation/storage"
)

// A candidate whose lease is gone has lost its place in the queue, and takes another instead of leading when the next one does.
func TestACandidateWithoutALeaseIsNotElected(t *testing.T) {
	dir, err := os.MkdirTemp("", "etcd")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	etcd, address, err := startEtcd(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer etcd.Close()
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{address}})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()

	var leading, most atomic.Int32
	stand := func(name string) (resign func()) {
		s, err := storage.Open(t.Context(), storage.Config{Servers: []string{address}})
		if err != nil {
			t.Fatal(err)
		}
		l := s.NewLeadership("x", name)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 2)
		go func() { done <- l.Run(ctx, func() {}) }()
		go func() {
			done <- l.While(ctx, func(ctx context.Context) error {
				most.Store(max(most.Load(), leading.Add(1)))
				<-ctx.Done()
				leading.Add(-1)
				return ctx.Err()
			})
		}()
		return func() {
			cancel()
			for range 2 {
				if err := <-done; !errors.Is(err, context.Canceled) {
					t.Error(err)
				}
			}
			s.Close()
		}
	}
	lease := func(name string) (id clientv3.LeaseID) {
		all, err := client.Get(t.Context(), "/portico/elections", clientv3.WithPrefix())
		if err != nil {
			t.Fatal(err)
		}
		for _, kv := range all.Kvs {
			if string(kv.Value) == name {
				id = clientv3.LeaseID(kv.Lease)
			}
		}
		return id
	}
	wait := func(what string, is func() bool) {
		t.Helper()
		for begin := time.Now(); !is(); time.Sleep(5 * time.Millisecond) {
			if time.Since(begin) > 20*time.Second {
				t.Fatal("waited in vain: ", what)
			}
		}
	}

	first := stand("first")
	wait("somebody leads", func() bool { return leading.Load() == 1 })
	unlucky := stand("unlucky")
	defer unlucky()
	wait("the second one stands", func() bool { return lease("unlucky") != 0 })
	lost := lease("unlucky")
	if _, err := client.Revoke(t.Context(), lost); err != nil {
		t.Fatal(err)
	}
	wait("it stands again", func() bool { id := lease("unlucky"); return id != 0 && id != lost })
	first()
	wait("it leads", func() bool { return leading.Load() == 1 })
	if most.Load() != 1 {
		t.Errorf("%d led at once", most.Load())
	}
}
