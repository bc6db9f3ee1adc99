package storage

import (
	"sort"
	"sync"
	"time"
)

const (
	ringMin = 100
	ringMax = 102400
	// ringFresh is the history that a ring keeps before it evicts anything, as long as it may grow.
	ringFresh = 75 * time.Second
	// ringStale is when changes beyond the first hundred are given back, so that a burst does not hold its memory for ever.
	ringStale = 10 * time.Minute
	// ringBegin leaves room before the first change for those that are recalled.
	ringBegin = 1 << 32
)

// ring holds the last changes of one resource in the order of revisions. Positions on it are numbers
// that only grow; the slot of position p is p modulo the capacity.
type ring struct {
	mu     sync.RWMutex
	slots  []*Event // its length is the capacity, a power-of-two multiple of ringMin
	first  uint64   // position of the oldest change
	next   uint64   // position of the next change
	floor  int64    // every change after this revision is on the ring
	topics map[string]*topic
	closed bool
}

// topic is what watchers of one namespace share, or of all ("").
type topic struct {
	cursors int
	evicted uint64 // the position after the namespace's last change that left the ring

	mu      sync.Mutex // held by those who begin to wait; they share the ring's lock
	waiting []*Cursor  // who is to be woken by the next change
}

func newRing(floor int64) *ring {
	return &ring{first: ringBegin, next: ringBegin, floor: floor, topics: map[string]*topic{}}
}

func (r *ring) at(p uint64) *Event { return r.slots[p%uint64(len(r.slots))] }

func (r *ring) len() int { return int(r.next - r.first) }

// add puts changes on the ring and wakes those who wait for one of them.
func (r *ring) add(events []*Event, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range events {
		e.received = now
		if r.len() == len(r.slots) {
			r.makeRoom(now)
		}
		r.slots[r.next%uint64(len(r.slots))] = e
		r.next++
		if t := r.topics[e.Object.Namespace()]; t != nil {
			t.notify()
		}
	}
	if t := r.topics[""]; t != nil {
		t.notify()
	}
}

func (r *ring) makeRoom(now time.Time) {
	switch {
	case len(r.slots) == 0:
		r.slots = make([]*Event, ringMin) // most resources of a server never change
	case len(r.slots) < ringMax && now.Sub(r.at(r.first).received) < ringFresh:
		r.resize(min(2*len(r.slots), ringMax))
	default:
		r.evict()
	}
}

func (r *ring) resize(capacity int) {
	slots := make([]*Event, capacity)
	for p := r.first; p < r.next; p++ {
		slots[p%uint64(capacity)] = r.at(p)
	}
	r.slots = slots
}

func (r *ring) evict() {
	e := r.at(r.first)
	r.slots[r.first%uint64(len(r.slots))] = nil
	r.first++
	r.floor = e.Revision
	if t := r.topics[e.Object.Namespace()]; t != nil {
		t.evicted = r.first
	}
	if t := r.topics[""]; t != nil {
		t.evicted = r.first
	}
}

// trim gives back what an earlier burst left behind.
func (r *ring) trim(now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for r.len() > ringMin && now.Sub(r.at(r.first).received) > ringStale {
		r.evict()
	}
	capacity := len(r.slots)
	for capacity > ringMin && r.len() <= capacity/4 {
		capacity /= 2
	}
	if capacity < len(r.slots) {
		r.resize(capacity)
	}
}

// reset forgets all changes: what happened up to floor is not known exactly.
func (r *ring) reset(floor int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	clear(r.slots)
	// A cursor at the ring's end has missed changes too. The new begin lies beyond every cursor there is, also
	// when as many changes as there can be are recalled before it.
	r.next += ringMax + 1
	r.first, r.floor = r.next, floor
	for _, t := range r.topics {
		t.evicted = r.first
		t.notify()
	}
}

// recall puts back what happened after a revision and up to the ring's floor. False when the floor is no longer
// what it was when these changes were read, or when there is no room for them.
func (r *ring) recall(events []*Event, since, floor int64, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	// Of a revision with many changes the last may still be here.
	for p := r.first; p < r.next && len(events) > 0 && r.at(p).Revision <= floor; p++ {
		events = events[:len(events)-1]
	}
	length := r.len() + len(events)
	if r.floor != floor || length > ringMax {
		return false
	}
	capacity := max(len(r.slots), ringMin)
	for capacity < length {
		capacity = min(2*capacity, ringMax)
	}
	if capacity > len(r.slots) {
		r.resize(capacity)
	}
	for i := len(events) - 1; i >= 0; i-- {
		r.first--
		events[i].received = now
		r.slots[r.first%uint64(len(r.slots))] = events[i]
	}
	r.floor = since
	for _, t := range r.topics {
		// A change that comes back has the position that it had, so cursors that were too late are in time again.
		t.evicted = r.first
	}
	return true
}

func (r *ring) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	for _, t := range r.topics {
		t.notify()
	}
}

// since returns the changes after a revision, oldest first; false when some have left the ring.
func (r *ring) since(revision int64) ([]*Event, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if revision < r.floor {
		return nil, false
	}
	from := r.after(revision)
	events := make([]*Event, 0, r.next-from)
	for p := from; p < r.next; p++ {
		events = append(events, r.at(p))
	}
	return events, true
}

// after is the position of the first change after a revision.
func (r *ring) after(revision int64) uint64 {
	n := sort.Search(r.len(), func(i int) bool { return r.at(r.first+uint64(i)).Revision > revision })
	return r.first + uint64(n)
}

// oldest is the revision after which every change is on the ring.
func (r *ring) oldest() int64 {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.floor
}

// capacity is how many changes the ring can hold now.
func (r *ring) capacity() int {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return len(r.slots)
}

// join puts a watcher behind a revision; false when changes after it have left the ring.
func (r *ring) join(namespace string, revision int64) (*topic, uint64, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if revision < r.floor {
		return nil, 0, false
	}
	t := r.topics[namespace]
	if t == nil {
		t = &topic{evicted: r.first}
		r.topics[namespace] = t
	}
	t.cursors++
	return t, r.after(revision), true
}

func (r *ring) leave(c *Cursor) {
	r.mu.Lock()
	defer r.mu.Unlock()
	c.topic.forget(c)
	if c.topic.cursors--; c.topic.cursors == 0 {
		delete(r.topics, c.namespace)
	}
}

// await has the cursor woken by the next change. Each has a channel of its own to wait on: on one channel for
// all of them they would stand in line for its lock, all at the same moment.
func (t *topic) await(c *Cursor) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !c.waiting {
		c.waiting, c.slot = true, len(t.waiting)
		t.waiting = append(t.waiting, c)
	}
}

// forget takes a cursor from those that wait; the ring is locked.
func (t *topic) forget(c *Cursor) {
	if !c.waiting {
		return
	}
	end := len(t.waiting) - 1
	last := t.waiting[end]
	t.waiting[c.slot], last.slot = last, c.slot
	t.waiting[end] = nil
	t.waiting = t.waiting[:end]
	c.waiting = false
}

// notify wakes the topic's watchers; the ring is locked.
func (t *topic) notify() {
	for _, c := range t.waiting {
		c.waiting = false
		c.wakeUp()
	}
	clear(t.waiting)
	t.waiting = t.waiting[:0]
}
