package rest

import (
	"context"
	"sync"
)

// watchGroup ends all open watches when the server stops. One goroutine waits for that on behalf of
// all of them, and only while there are any: a watcher costs no goroutine of its own.
type watchGroup struct {
	stopping <-chan struct{}

	mu      sync.Mutex
	cancels map[*member]struct{}
	empty   chan struct{} // closed when the last watch leaves; nil while there is none
}

type member struct{ cancel context.CancelFunc }

func newWatchGroup(stopping <-chan struct{}) *watchGroup {
	return &watchGroup{stopping: stopping, cancels: map[*member]struct{}{}}
}

// join has cancel called when the server stops, until leave is called.
func (g *watchGroup) join(cancel context.CancelFunc) (leave func()) {
	if g.stopping == nil {
		return func() {}
	}
	m := &member{cancel: cancel}
	g.mu.Lock()
	defer g.mu.Unlock()
	select {
	case <-g.stopping: // who was there has been told already
		cancel()
		return func() {}
	default:
	}
	g.cancels[m] = struct{}{}
	if g.empty == nil {
		g.empty = make(chan struct{})
		go g.cancelWhenStopping(g.empty)
	}
	return func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		delete(g.cancels, m)
		if len(g.cancels) == 0 {
			close(g.empty)
			g.empty = nil
		}
	}
}

// cancelWhenStopping waits for the server to stop or the group to become empty.
func (g *watchGroup) cancelWhenStopping(empty <-chan struct{}) {
	select {
	case <-empty:
	case <-g.stopping:
		g.mu.Lock()
		defer g.mu.Unlock()
		for m := range g.cancels {
			m.cancel()
		}
	}
}
