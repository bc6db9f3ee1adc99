package filters

import (
	"sync"
	"sync/atomic"
	"time"
)

// alarm is a timer that goes off for the answer it was last set for. Making a timer costs more than setting one,
// so those that did not go off, which is nearly all, are used again.
type alarm struct {
	timer  *time.Timer
	target atomic.Pointer[responseWriter]
}

func (a *alarm) set(w *responseWriter, d time.Duration) {
	a.target.Store(w)
	if a.timer == nil {
		w.mu.Lock() // whoever the alarm wakes finds the timer set
		defer w.mu.Unlock()
		a.timer = time.AfterFunc(d, a.ring)
		return
	}
	a.timer.Reset(d)
}

func (a *alarm) ring() { a.target.Load().expire() }

// alarms keeps the used ones.
type alarms struct{ pool sync.Pool }

func (p *alarms) get() *alarm {
	if a, ok := p.pool.Get().(*alarm); ok {
		return a
	}
	return &alarm{}
}

func (p *alarms) put(a *alarm) {
	a.target.Store(nil)
	p.pool.Put(a)
}
