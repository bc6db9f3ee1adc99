package storage

import (
	"context"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"k8s.io/apimachinery/pkg/watch"
)

// The answer to one request is held in memory as a whole, so it must not be large. But it must hold many objects where they
// are small: for each page the etcd counts all that would follow, and so a million objects in pages
// of a thousand took a hundred seconds.
const (
	firstPage     = 500
	lastPage      = 100_000
	listPageBytes = 16 << 20
)

// nextPage is how many objects to ask for after a page of so many of a size.
func nextPage(objects, bytes int) int64 {
	return int64(min(max(listPageBytes/(bytes/objects+1), 1), lastPage))
}

// list reads all objects of a resource from the etcd, at a revision or (0) the newest.
func (s *Store) list(ctx context.Context, c *Cache, revision int64) (objects *tree, at int64, err error) {
	objects = new(tree)
	end := clientv3.GetPrefixRangeEnd(c.prefix)
	from, page, fetched := c.prefix, int64(firstPage), 0
	for {
		start := time.Now()
		resp, err := s.engine.client().Get(ctx, from, clientv3.WithRange(end), clientv3.WithLimit(page), clientv3.WithRev(revision))
		s.cfg.Metrics.ObserveRequest("list", c.cfg.Group, c.cfg.Resource, time.Since(start), err)
		if err != nil {
			return nil, 0, explain(ctx, "listing "+c.cfg.Path, err)
		}
		if revision == 0 {
			revision = resp.Header.Revision // the following pages are of the same state
		}
		bytes := 0
		fetched += len(resp.Kvs)
		for _, kv := range resp.Kvs {
			bytes += len(kv.Value)
			key, namespace, ok := c.split(kv.Key)
			if !ok {
				continue
			}
			o, err := c.object(key, namespace, kv, watch.Added)
			if err != nil {
				c.complain(ctx, kv, err)
				continue
			}
			objects.Set(key, o)
		}
		if !resp.More || len(resp.Kvs) == 0 {
			s.cfg.Metrics.Listed(c.cfg.Group, c.cfg.Resource, fetched, objects.Len())
			return objects, revision, nil
		}
		from = string(resp.Kvs[len(resp.Kvs)-1].Key) + "\x00"
		page = nextPage(len(resp.Kvs), bytes)
	}
}

// linearized is the revision of the etcd's newest state, as a majority of it agrees.
func (s *Store) linearized(ctx context.Context) (int64, error) {
	return linearized(ctx, s.engine.client(), s.cfg.Prefix)
}

func linearized(ctx context.Context, client *clientv3.Client, key string) (int64, error) {
	resp, err := client.Get(ctx, key, clientv3.WithCountOnly())
	if err != nil {
		return 0, explain(ctx, "asking the store for its revision", err)
	}
	return resp.Header.Revision, nil
}
