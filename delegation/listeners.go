package delegation

import (
	"slices"
	"sync"
)

// Listeners are called when something has happened that they wait for. The zero value has none.
type Listeners struct {
	mu  sync.Mutex
	all []*func()
}

// Add has on called from now on until stop is.
func (l *Listeners) Add(on func()) (stop func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	added := &on
	l.all = append(l.all, added)
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.all = slices.DeleteFunc(l.all, func(other *func()) bool { return other == added })
	}
}

// Notify calls all of them, one after another.
func (l *Listeners) Notify() {
	l.mu.Lock()
	all := slices.Clone(l.all)
	l.mu.Unlock()
	for _, on := range all {
		(*on)()
	}
}
