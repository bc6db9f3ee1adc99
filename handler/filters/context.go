package filters

import (
	"context"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/portico-api/portico/handler"
)

// requestContext is the context of one request. A context with a deadline costs a timer and five allocations, and most
// requests are answered from memory by code that never waits for anything. So this one only remembers its deadline, and becomes
// a context of the standard library when somebody asks for its Done channel.
type requestContext struct {
	parent   context.Context
	request  *handler.Request
	deadline time.Time       // zero for none; set before the context leaves the filters
	traced   context.Context // holds the span, and nothing else; nil when the request is not traced. Set before the context leaves the filters

	real     atomic.Pointer[realContext] // nil until Done was asked for
	mu       sync.Mutex                  // held to make it
	finished bool
}

type realContext struct {
	context.Context
	cancel context.CancelFunc
}

// requestOf returns what withAuditID began.
func requestOf(r *http.Request) *handler.Request {
	c, ok := r.Context().(*requestContext)
	if !ok {
		panic("handling request: the context of the filters was replaced")
	}
	return c.request
}

// clientHasGone tells whether the connection or the stream of r was closed by the other side.
func clientHasGone(r *http.Request) bool {
	c, ok := r.Context().(*requestContext)
	return ok && c.parent.Err() != nil
}

// Deadline implements context.Context.
func (c *requestContext) Deadline() (time.Time, bool) {
	deadline, ok := c.parent.Deadline()
	if c.deadline.IsZero() || ok && deadline.Before(c.deadline) {
		return deadline, ok
	}
	return c.deadline, true
}

// Done implements context.Context.
func (c *requestContext) Done() <-chan struct{} {
	if c.deadline.IsZero() {
		return c.parent.Done()
	}
	if real := c.real.Load(); real != nil {
		return real.Done()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	real := c.real.Load()
	if real == nil {
		real = &realContext{}
		real.Context, real.cancel = context.WithDeadline(c.parent, c.deadline)
		if c.finished {
			real.cancel()
		}
		c.real.Store(real)
	}
	return real.Done()
}

// Err implements context.Context.
func (c *requestContext) Err() error {
	if c.deadline.IsZero() {
		return c.parent.Err()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if real := c.real.Load(); real != nil {
		return real.Err()
	}
	if err := c.parent.Err(); err != nil {
		return err
	}
	if time.Until(c.deadline) <= 0 {
		return context.DeadlineExceeded
	}
	if c.finished {
		return context.Canceled
	}
	return nil
}

// Value implements context.Context. The context package finds the real context through it, and so cancels what is
// derived from this one without a goroutine.
func (c *requestContext) Value(key any) any {
	if c.traced != nil {
		if v := c.traced.Value(key); v != nil {
			return v
		}
	}
	if real := c.real.Load(); real != nil {
		return real.Value(key)
	}
	return c.parent.Value(key)
}

// nowhere is a context that has nothing, for one that is only asked for its values.
type nowhere struct{ context.Context }

// Value implements context.Context.
func (nowhere) Value(any) any { return nil }

// finish ends the context with its request.
func (c *requestContext) finish() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.finished = true
	if real := c.real.Load(); real != nil {
		real.cancel()
	}
}
