package storage

import (
	"bytes"
	"slices"
	"sync"
)

// foreseen is what clients will be shown of objects that are being written. To make it may take long (see ResourceConfig.Read), and the one
// goroutine that feeds all caches must not: who writes makes it, and the event of the write finds it here.
type foreseen struct {
	mu    sync.Mutex
	byKey map[string][]sight // mostly one, of the writer that is ahead
}

type sight struct {
	stored, shown []byte
	rewritten     bool
}

func newForeseen() *foreseen { return &foreseen{byKey: map[string][]sight{}} }

func (f *foreseen) add(key string, s sight) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.byKey[key] = append(f.byKey[key], s)
}

// take finds what is shown of what is stored, and forgets it: it is stored once.
func (f *foreseen) take(key string, stored []byte) (sight, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	all := f.byKey[key]
	i := slices.IndexFunc(all, func(s sight) bool { return bytes.Equal(s.stored, stored) })
	if i < 0 {
		return sight{}, false
	}
	found := all[i]
	if len(all) == 1 {
		delete(f.byKey, key)
	} else {
		f.byKey[key] = slices.Delete(all, i, i+1)
	}
	return found, true
}

// clear forgets all writes: their events will not come.
func (f *foreseen) clear() {
	f.mu.Lock()
	defer f.mu.Unlock()
	clear(f.byKey)
}
