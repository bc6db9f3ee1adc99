package storage

import (
	"context"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// leaseReuse is how long writes of the same time to live share a lease. Each of them lives that much longer at
// most, and the etcd keeps one lease a minute instead of one for each event.
const leaseReuse = time.Minute

// leases grants leases and reuses them.
type leases struct {
	client clientv3.Lease

	mu    sync.Mutex
	byTTL map[time.Duration]lease
}

type lease struct {
	id    clientv3.LeaseID
	until time.Time
}

func newLeases(client clientv3.Lease) *leases {
	return &leases{client: client, byTTL: map[time.Duration]lease{}}
}

// grant returns a lease that lasts at least ttl from now.
func (l *leases) grant(ctx context.Context, ttl time.Duration) (clientv3.LeaseID, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	if have, ok := l.byTTL[ttl]; ok && now.Before(have.until) {
		return have.id, nil
	}
	// Whole seconds, rounded up: an object must not expire before its time.
	seconds := int64((ttl + leaseReuse + time.Second - 1) / time.Second)
	resp, err := l.client.Grant(ctx, seconds)
	if err != nil {
		return 0, err
	}
	l.byTTL[ttl] = lease{id: resp.ID, until: now.Add(leaseReuse)}
	return resp.ID, nil
}

// forget drops a lease that has run out.
func (l *leases) forget(id clientv3.LeaseID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for ttl, have := range l.byTTL {
		if have.id == id {
			delete(l.byTTL, ttl)
		}
	}
}
