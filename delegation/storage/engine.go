package storage

import (
	"context"
	"sync"
	"sync/atomic"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// engine is the etcd: what differs between the one in this process and a cluster.
type engine interface {
	client() *clientv3.Client
	// revision is at least that of every write acknowledged to anyone before the call.
	revision(ctx context.Context) (int64, error)
	// acknowledged is told the revision of each answer to a write.
	acknowledged(revision int64)
	// watchContext is what the watch of the prefix runs under.
	watchContext(ctx context.Context) context.Context
	// err tells why the engine has stopped; nil while it works.
	err() error
	close() error
}

// soleWriter knows the newest revision because all writes pass through it: an embedded etcd has no other client.
type soleWriter struct{ newest atomic.Int64 }

func (w *soleWriter) revision(context.Context) (int64, error) { return w.newest.Load(), nil }

func (w *soleWriter) acknowledged(revision int64) {
	for {
		newest := w.newest.Load()
		if revision <= newest || w.newest.CompareAndSwap(newest, revision) {
			return
		}
	}
}

// sharedRead asks a cluster for its revision. Readers who come while a question is under way cannot use its answer,
// it may be older than they are; they share the next one.
type sharedRead struct {
	ask func(ctx context.Context) (int64, error)

	mu            sync.Mutex
	running, next *question
}

type question struct {
	done     chan struct{}
	revision int64
	err      error
}

func (s *sharedRead) revision(ctx context.Context) (int64, error) {
	s.mu.Lock()
	q := s.next
	if q == nil {
		q = &question{done: make(chan struct{})}
		s.next = q
		if s.running == nil {
			s.start()
		}
	}
	s.mu.Unlock()
	select {
	case <-q.done:
		return q.revision, q.err
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

// start asks the next question; s is locked.
func (s *sharedRead) start() {
	s.running, s.next = s.next, nil
	go s.answer(s.running)
}

func (s *sharedRead) answer(q *question) {
	// Not the context of one reader: the others who share the answer may live longer.
	ctx, cancel := context.WithTimeout(context.Background(), readTimeout)
	defer cancel()
	q.revision, q.err = s.ask(ctx)
	close(q.done)

	s.mu.Lock()
	defer s.mu.Unlock()
	s.running = nil
	if s.next != nil {
		s.start()
	}
}
