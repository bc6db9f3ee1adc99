package aggregator

import (
	"context"
	"sync"
	"time"
)

// task is what a loop does, one look at a time.
type task interface {
	// look returns in how much time it is to be called again, 0 when never. kicked tells that something has happened since the last time.
	// It must return when ctx ends.
	look(ctx context.Context, kicked bool) (next time.Duration)
	// over is told that no look will follow.
	over()
}

// loops looks at each key again and again, each by itself, so that a slow or hanging one delays no other. Between two looks a
// key is a timer and no goroutine: there are thousands of keys, and a stack each that once shook hands is not small.
type loops[K comparable] struct {
	mu      sync.Mutex
	running map[K]*loop
}

type loop struct {
	ctx    context.Context // of the loop, which is why it is kept
	cancel context.CancelFunc
	task   task
	ended  chan struct{}

	mu     sync.Mutex
	timer  *time.Timer // of the next look; nil before the first has ended
	kicked bool
}

func newLoops[K comparable]() *loops[K] {
	return &loops[K]{running: map[K]*loop{}}
}

// start has t look now and whenever it is time or kick says so, in place of what looks for key. Who ends ctx calls stop, too.
func (l *loops[K]) start(ctx context.Context, key K, t task) {
	l.stop(key)
	lp := &loop{task: t, ended: make(chan struct{})}
	lp.ctx, lp.cancel = context.WithCancel(ctx)

	l.mu.Lock()
	l.running[key] = lp
	l.mu.Unlock()
	go lp.run()
}

// run looks until there is nothing to do for a while.
func (lp *loop) run() {
	for {
		lp.mu.Lock()
		kicked := lp.kicked
		lp.kicked = false
		lp.mu.Unlock()
		if next := lp.task.look(lp.ctx, kicked); !lp.pause(next) {
			return
		}
	}
}

// pause has run called again when it is time. It reports whether it is time now.
func (lp *loop) pause(next time.Duration) (again bool) {
	lp.mu.Lock()
	defer lp.mu.Unlock()
	switch {
	case lp.ctx.Err() != nil || next <= 0:
		lp.finish()
		return false
	case lp.kicked:
		return true
	case lp.timer == nil:
		lp.timer = time.AfterFunc(next, lp.run)
	default:
		lp.timer.Reset(next)
	}
	return false
}

// lookAgain has the next look begin now, or after the one that is going on.
func (lp *loop) lookAgain() {
	lp.mu.Lock()
	defer lp.mu.Unlock()
	lp.kicked = true // many reasons to look again are one
	if lp.isWaiting() {
		go lp.run()
	}
}

// isWaiting tells whether there is a next look that has not begun, and takes it from the timer.
func (lp *loop) isWaiting() bool { return lp.timer != nil && lp.timer.Stop() }

// end returns when no look is going on and none will begin.
func (lp *loop) end() {
	lp.cancel()
	lp.mu.Lock()
	if lp.isWaiting() {
		lp.finish()
	}
	lp.mu.Unlock()
	<-lp.ended
}

func (lp *loop) finish() {
	lp.cancel()
	lp.task.over()
	close(lp.ended)
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

// stop ends the loop of key and returns when it has ended.
func (l *loops[K]) stop(key K) {
	l.mu.Lock()
	lp, ok := l.running[key]
	delete(l.running, key)
	l.mu.Unlock()
	if ok {
		lp.end()
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
		lp.end()
	}
}
