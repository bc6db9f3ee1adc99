package garbagecollection

import (
	"context"
	"sync/atomic"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/klog/v2"

	"github.com/portico-api/portico/delegation"
)

const (
	firstRetry = 500 * time.Millisecond
	lastRetry  = time.Minute
)

// source is one resource that is followed.
type source struct {
	delegation.OwnedResource
	remote bool // it takes a server to ask for its objects
	graph  *graph
	look   func(uids []types.UID) // has nodes looked at

	retry    chan struct{} // holds at most one
	complete atomic.Bool   // all its objects are known
	slow     atomic.Int64  // when a write took too long last, in nanoseconds since 1970
	before   bool          // it was complete once

	// Guarded by the graph's mutex.
	nodes  map[string]*node
	unseen map[string]struct{} // while all objects are told of
}

func newSource(r delegation.OwnedResource, remote bool, g *graph, look func([]types.UID)) *source {
	return &source{OwnedResource: r, remote: remote, graph: g, look: look, retry: make(chan struct{}, 1), nodes: map[string]*node{}}
}

// run follows the resource until ctx ends, again and again if its server goes.
func (s *source) run(ctx context.Context) error {
	defer s.graph.drop(s)
	for wait := firstRetry; ; wait = min(2*wait, lastRetry) {
		began := time.Now()
		err := s.Reader.Observe(ctx, s)
		s.complete.Store(false)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		klog.FromContext(ctx).V(2).Info("Cannot follow a resource for garbage; what may depend on it is kept", "resource", s.Resource, "err", err)
		if time.Since(began) > lastRetry {
			wait = firstRetry
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-s.retry:
		case <-time.After(wait):
		}
	}
}

// wasSlow tells whether writes to the resource are likely to take long, because a webhook does.
func (s *source) wasSlow() bool { return time.Since(time.Unix(0, s.slow.Load())) < slowFor }

// tryAgain has a resource that could not be followed tried without waiting for its time.
func (s *source) tryAgain() {
	select {
	case s.retry <- struct{}{}:
	default:
	}
}

// Begin implements delegation.OwnershipObserver.
func (s *source) Begin() { s.graph.begin(s) }

// Changed implements delegation.OwnershipObserver.
func (s *source) Changed(o *delegation.OwnedObject, deleted bool) {
	if deleted {
		s.look(s.graph.gone(s, o))
		return
	}
	s.look(s.graph.set(s, o))
}

// Listed implements delegation.OwnershipObserver.
func (s *source) Listed() {
	look := s.graph.listed(s, s.before)
	s.before = true
	s.complete.Store(true)
	s.look(look)
}
