package storage

import (
	"context"
	"errors"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"k8s.io/apimachinery/pkg/watch"
)

// Create stores json (without resourceVersion) if the key is free: ErrExists otherwise. ttl 0 keeps it.
func (c *Cache) Create(ctx context.Context, namespace, name string, json []byte, ttl time.Duration) (*Object, error) {
	w := c.write("create", namespace, name)
	free := clientv3.Compare(clientv3.ModRevision(w.path), "=", 0)
	resp, err := w.put(ctx, json, ttl, free, nil)
	switch {
	case err != nil:
		return nil, err
	case !resp.Succeeded:
		return nil, ErrExists
	}
	return w.object(json, resp.Header.Revision, watch.Added)
}

// Update replaces the object if its revision is still expect: ErrConflict or ErrNotFound otherwise.
func (c *Cache) Update(ctx context.Context, namespace, name string, json []byte, expect int64, ttl time.Duration) (*Object, error) {
	w := c.write("update", namespace, name)
	unchanged := clientv3.Compare(clientv3.ModRevision(w.path), "=", expect)
	resp, err := w.put(ctx, json, ttl, unchanged, w.exists())
	switch {
	case err != nil:
		return nil, err
	case !resp.Succeeded:
		return nil, refusal(resp)
	}
	return w.object(json, resp.Header.Revision, watch.Modified)
}

// Delete removes the object if its revision is still expect, and returns its last state with the revision of the deletion.
func (c *Cache) Delete(ctx context.Context, namespace, name string, expect int64) (*Object, error) {
	w := c.write("delete", namespace, name)
	unchanged := clientv3.Compare(clientv3.ModRevision(w.path), "=", expect)
	resp, err := w.commit(ctx, unchanged, clientv3.OpDelete(w.path, clientv3.WithPrevKV()), w.exists())
	switch {
	case err != nil:
		return nil, err
	case !resp.Succeeded:
		return nil, refusal(resp)
	}
	deleted := resp.Responses[0].GetResponseDeleteRange().PrevKvs
	if len(deleted) == 0 {
		return nil, ErrNotFound // expect was 0, and there was nothing
	}
	return w.object(deleted[0].Value, resp.Header.Revision, watch.Deleted)
}

// write is one write of one object.
type write struct {
	cache     *Cache
	operation string
	key       string // in the cache
	namespace int    // length of the namespace in key
	path      string // in the etcd
}

func (c *Cache) write(operation, namespace, name string) write {
	key := objectKey(namespace, name)
	return write{cache: c, operation: operation, key: key, namespace: len(namespace), path: c.prefix + key}
}

// exists tells why a guarded write was refused.
func (w write) exists() []clientv3.Op {
	return []clientv3.Op{clientv3.OpGet(w.path, clientv3.WithKeysOnly())}
}

func refusal(resp *clientv3.TxnResponse) error {
	if len(resp.Responses[0].GetResponseRange().Kvs) == 0 {
		return ErrNotFound
	}
	return ErrConflict
}

func (w write) put(ctx context.Context, json []byte, ttl time.Duration, guard clientv3.Cmp, otherwise []clientv3.Op) (*clientv3.TxnResponse, error) {
	// Checked before it is stored: bytes that cannot be served must not get in.
	if o, err := survey(json); err != nil {
		return nil, err
	} else if o.rv.len() != 0 {
		return nil, malformed("resourceVersion is set")
	}
	if read := w.cache.cfg.Read; read != nil {
		shown, rewritten := read(json)
		w.cache.writing.add(w.key, sight{json, shown, rewritten})
	}
	resp, err := w.store(ctx, json, ttl, guard, otherwise)
	if w.cache.cfg.Read != nil && (err != nil || !resp.Succeeded) {
		w.cache.writing.take(w.key, json) // no event will come, or one that can do without
	}
	return resp, err
}

func (w write) store(ctx context.Context, json []byte, ttl time.Duration, guard clientv3.Cmp, otherwise []clientv3.Op) (*clientv3.TxnResponse, error) {
	value := alias(json) // etcd copies it
	if ttl <= 0 {
		return w.commit(ctx, guard, clientv3.OpPut(w.path, value), otherwise)
	}
	for retried := false; ; retried = true {
		lease, err := w.cache.store.leases.grant(ctx, ttl)
		if err != nil {
			return nil, explain(ctx, "granting a lease", err)
		}
		resp, err := w.commit(ctx, guard, clientv3.OpPut(w.path, value, clientv3.WithLease(lease)), otherwise)
		if errors.Is(err, rpctypes.ErrLeaseNotFound) && !retried {
			// It ran out while this process slept.
			w.cache.store.leases.forget(lease)
			continue
		}
		return resp, err
	}
}

func (w write) commit(ctx context.Context, guard clientv3.Cmp, op clientv3.Op, otherwise []clientv3.Op) (*clientv3.TxnResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	s := w.cache.store
	ctx, end := w.cache.startSpan(ctx, w.operation)
	start := time.Now()
	resp, err := s.engine.client().Txn(ctx).If(guard).Then(op).Else(otherwise...).Commit()
	s.cfg.Metrics.ObserveRequest(w.operation, w.cache.cfg.Group, w.cache.cfg.Resource, time.Since(start), err)
	end(err)
	if err != nil {
		return nil, explain(ctx, w.operation+" "+w.path, err)
	}
	// A refused write tells of the one that was faster, and whoever tries again must see that one.
	s.engine.acknowledged(resp.Header.Revision)
	return resp, nil
}

// object is the result, made of the bytes at hand: nobody waits for the cache.
func (w write) object(json []byte, revision int64, typ watch.EventType) (*Object, error) {
	o, err := newObject(w.key, w.namespace, json, revision, typ)
	if err != nil {
		return nil, err
	}
	o.index(w.cache.cfg.Fields)
	return o, nil
}
