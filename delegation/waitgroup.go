package delegation

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
)

// ErrDraining is the answer to a request that arrives when the last ones are being waited for.
var ErrDraining = errors.New("the server is shutting down")

// draining is the bit of RequestWaitGroup.state that is set once new requests are refused; the bits
// below count requests.
const draining = 1 << 62

// RequestWaitGroup counts the requests in flight and, unlike a sync.WaitGroup, refuses new ones
// once somebody waits for the last to finish. Counting is one atomic addition.
type RequestWaitGroup struct {
	state atomic.Int64
	once  sync.Once
	empty chan struct{}
}

// NewRequestWaitGroup returns a group without requests.
func NewRequestWaitGroup() *RequestWaitGroup {
	return &RequestWaitGroup{empty: make(chan struct{})}
}

// Add counts a request in, or returns ErrDraining; then Done must not be called.
func (g *RequestWaitGroup) Add() error {
	if g.state.Add(1)&draining != 0 {
		g.Done()
		return ErrDraining
	}
	return nil
}

// Done counts a request out.
func (g *RequestWaitGroup) Done() {
	if g.state.Add(-1) == draining {
		g.once.Do(func() { close(g.empty) })
	}
}

// Refuse makes every later Add return ErrDraining.
func (g *RequestWaitGroup) Refuse() {
	if g.state.Or(draining)&^draining == 0 {
		g.once.Do(func() { close(g.empty) })
	}
}

// Wait refuses new requests, and returns when the last one is done or with the error of ctx.
func (g *RequestWaitGroup) Wait(ctx context.Context) error {
	g.Refuse()
	select {
	case <-g.empty:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
