package storage

import (
	"context"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// Path is where the cache keeps its objects.
func (c *Cache) Path() string { return c.cfg.Path }

// Foreseen is how many writes are remembered whose events have not come.
func (c *Cache) Foreseen() int {
	c.writing.mu.Lock()
	defer c.writing.mu.Unlock()
	return len(c.writing.byKey)
}

// PutForeign writes a key that is none of the store's.
func PutForeign(ctx context.Context, s *Store, key, value string) (int64, error) {
	resp, err := s.engine.client().Put(ctx, key, value)
	if err != nil {
		return 0, err
	}
	return resp.Header.Revision, nil
}

// PutRaw is a raw write beside the store, for comparison.
func PutRaw(ctx context.Context, s *Store, key, value string) error {
	_, err := s.engine.client().Put(ctx, s.cfg.Prefix+key, value)
	return err
}

// CountStored asks the etcd how many objects there were at a revision.
func CountStored(t testing.TB, s *Store, path string, revision int64) int {
	t.Helper()
	resp, err := s.engine.client().Get(context.Background(), s.cfg.Prefix+path+"/", clientv3.WithPrefix(), clientv3.WithCountOnly(), clientv3.WithRev(revision))
	if err != nil {
		t.Fatal(err)
	}
	return int(resp.Count)
}

// LeaseOf is the lease of a stored object.
func LeaseOf(t testing.TB, s *Store, key string) int64 {
	t.Helper()
	resp, err := s.engine.client().Get(context.Background(), s.cfg.Prefix+key)
	if err != nil || len(resp.Kvs) != 1 {
		t.Fatalf("reading %s: %v, %v", key, resp, err)
	}
	return resp.Kvs[0].Lease
}

// Revoke ends a lease as the passing of time does.
func Revoke(t testing.TB, s *Store, lease int64) {
	t.Helper()
	if _, err := s.engine.client().Revoke(context.Background(), clientv3.LeaseID(lease)); err != nil {
		t.Fatal(err)
	}
}

// CompactNow drops the etcd's history before a revision.
func CompactNow(s *Store, revision int64) { s.compact(context.Background(), revision) }

// LoseHistory does to the store what a compaction does that overtakes its watch.
func LoseHistory(ctx context.Context, s *Store) error { return s.stream.relist(ctx) }

// Deafen makes a cache miss what the stream brings until it is filled anew.
func Deafen(c *Cache) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.listed = 1 << 60
}

// Waits tells whether a cursor has nothing to tell and waits for a change.
func Waits(c *Cursor) bool {
	c.topic.mu.Lock()
	defer c.topic.mu.Unlock()
	return c.waiting
}
