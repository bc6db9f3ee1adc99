package metrics

import (
	"maps"
	"sync"
	"sync/atomic"
)

// bound keeps instruments that are already bound to their labels. Prometheus hashes the label
// values on every look-up; here the first observation of its kind pays for that, and every later one is a
// read of an immutable map: no lock, no allocation.
type bound[K comparable, V any] struct {
	table atomic.Pointer[map[K]V]
	// bind makes the instrument of one key. The key may share memory with a request, so what is kept
	// must be cloned: own returns such a key.
	bind func(K) V
	own  func(K) K

	mu sync.Mutex // serializes writers
}

func newBound[K comparable, V any](own func(K) K, bind func(K) V) *bound[K, V] {
	b := &bound[K, V]{bind: bind, own: own}
	b.table.Store(&map[K]V{})
	return b
}

// lookup returns what is bound to key, if anything is.
func (b *bound[K, V]) lookup(key K) (V, bool) {
	v, ok := (*b.table.Load())[key]
	return v, ok
}

// get returns what is bound to key, binding it first if need be.
func (b *bound[K, V]) get(key K) V {
	if v, ok := b.lookup(key); ok {
		return v
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if v, ok := b.lookup(key); ok {
		return v
	}
	key = b.own(key)
	v := b.bind(key)
	next := maps.Clone(*b.table.Load())
	next[key] = v
	b.table.Store(&next)
	return v
}

// size is the number of keys.
func (b *bound[K, V]) size() int { return len(*b.table.Load()) }
