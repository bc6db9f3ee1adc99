package aggregator

import (
	"context"
	"sync"
)

// loops runs one goroutine for each key, by itself, so that a slow or hanging one delays no other.
type loops[K comparable] struct {
	mu      sync.Mutex
	running map[K]*loop
}

type loop struct {
	cancel context.CancelFunc
	kick   chan struct{} // holds at most one: many reasons to look again are one
	ended  chan struct{}
}

func newLoops[K comparable]() *loops[K] {
	return &loops[K]{running: map[K]*loop{}}
}

// start runs body for key until ctx ends or stop is called, in place of the one that runs for key.
// body must return when its ctx ends; it looks again at its matter when kick delivers.
func (l *loops[K]) start(ctx context.Context, key K, body func(ctx context.Context, kick <-chan struct{})) {
	l.stop(key)
	ctx, cancel := context.WithCancel(ctx)
	lp := &loop{cancel: cancel, kick: make(chan struct{}, 1), ended: make(chan struct{})}

	l.mu.Lock()
	l.running[key] = lp
	l.mu.Unlock()
	go lp.run(ctx, body)
}

func (lp *loop) run(ctx context.Context, body func(ctx context.Context, kick <-chan struct{})) {
	defer close(lp.ended)
	defer lp.cancel()
	body(ctx, lp.kick)
}

// kick has the loop of key look again soon.
func (l *loops[K]) kick(key K) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if lp, ok := l.running[key]; ok {
		lp.lookAgain()
	}
}

// kickAll has every loop look again soon.
func (l *loops[K]) kickAll() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, lp := range l.running {
		lp.lookAgain()
	}
}

func (lp *loop) lookAgain() {
	select {
	case lp.kick <- struct{}{}:
	default:
	}
}

// stop ends the loop of key and returns when it has ended.
func (l *loops[K]) stop(key K) {
	l.mu.Lock()
	lp, ok := l.running[key]
	delete(l.running, key)
	l.mu.Unlock()
	if ok {
		lp.cancel()
		<-lp.ended
	}
}

// stopAll ends every loop and returns when they have ended.
func (l *loops[K]) stopAll() {
	l.mu.Lock()
	all := l.running
	l.running = map[K]*loop{}
	l.mu.Unlock()
	for _, lp := range all {
		lp.cancel()
	}
	for _, lp := range all {
		<-lp.ended
	}
}
