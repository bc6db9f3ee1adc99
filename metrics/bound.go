package metrics

import (
	"maps"
	"sync"
	"sync/atomic"
)

// bound keeps instruments that are already bound to their labels. Prometheus hashes the label
// values on every look-up; here the first observations of its kind pay for that, and every later one is a
// read of an immutable map: no lock, no allocation.
type bound[K comparable, V any] struct {
	table atomic.Pointer[map[K]V]
	// bind makes the instrument of one key. The key may share memory with a request, so what is kept
	// must be cloned: own returns such a key.
	bind func(K) V
	own  func(K) K

	mu sync.Mutex
	// fresh are not in the table yet: to copy that for each of ten thousand new keys would copy each key ten thousand times. They are
	// put into it when as many look-ups have come here as it costs to copy.
	fresh  map[K]V
	misses int
	count  atomic.Int64 // of all, fresh ones too
}

func newBound[K comparable, V any](own func(K) K, bind func(K) V) *bound[K, V] {
	b := &bound[K, V]{bind: bind, own: own}
	b.table.Store(&map[K]V{})
	return b
}

// lookup returns what is bound to key, if anything is.
func (b *bound[K, V]) lookup(key K) (V, bool) {
	count := b.size() // before the table: one that has as many has all that there were
	table := *b.table.Load()
	if v, ok := table[key]; ok || len(table) >= count {
		return v, ok
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.find(key)
}

// get returns what is bound to key, binding it first if need be.
func (b *bound[K, V]) get(key K) V {
	if v, ok := (*b.table.Load())[key]; ok {
		return v
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if v, ok := b.find(key); ok {
		return v
	}
	key = b.own(key)
	v := b.bind(key)
	if b.fresh == nil {
		b.fresh = map[K]V{}
	}
	b.fresh[key] = v
	b.count.Add(1)
	b.publish()
	return v
}

// find looks for a key that was not in the table a moment ago. The lock is held.
func (b *bound[K, V]) find(key K) (V, bool) {
	b.misses++
	b.publish()
	if v, ok := (*b.table.Load())[key]; ok {
		return v, true
	}
	v, ok := b.fresh[key]
	return v, ok
}

// publish puts what is fresh into the table if that is due. The lock is held.
func (b *bound[K, V]) publish() {
	table := *b.table.Load()
	if len(b.fresh) == 0 || b.misses < len(table) {
		return
	}
	next := make(map[K]V, len(table)+len(b.fresh))
	maps.Copy(next, table)
	maps.Copy(next, b.fresh)
	b.table.Store(&next)
	b.fresh, b.misses = nil, 0
}

// all is a map of all that is bound; nobody may change it.
func (b *bound[K, V]) all() map[K]V {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.misses += len(*b.table.Load())
	b.publish()
	return *b.table.Load()
}

// size is the number of keys.
func (b *bound[K, V]) size() int { return int(b.count.Load()) }
