package main

import (
	"context"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

const (
	memoryInterval = 5 * time.Second
	// quietRate is how little is allocated in an interval by a process that has nothing to do.
	quietRate = 8 << 20
	// worthReturning is what a collection is made for at least: it takes a tenth of a second for some hundred megabytes, a few of them for a
	// process that has nothing to do. It must free a third of what is live, too, or a large process would do little else.
	worthReturning = 24 << 20
)

// memory gives back to the system what a burst of work has taken, once the process is quiet again. Left alone, Go keeps it until the next
// collection, and a process without work has none for two minutes, and returns but a part of it then.
type memory struct {
	samples [4]metrics.Sample
	before  memoryUse
	asked   uint64 // what had been allocated when it was given back last
	release func()
}

// memoryUse is in bytes.
type memoryUse struct {
	allocated uint64 // since the start
	held      uint64 // of the heap
	live      uint64 // of it, when it was collected last
}

func newMemory(release func()) *memory {
	m := &memory{release: release}
	for i, name := range []string{"/gc/heap/allocs:bytes", "/memory/classes/heap/objects:bytes", "/memory/classes/heap/free:bytes", "/gc/heap/live:bytes"} {
		m.samples[i].Name = name
	}
	return m
}

// run looks now and then until ctx ends.
func (m *memory) run(ctx context.Context) {
	ticks := time.NewTicker(memoryInterval)
	defer ticks.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticks.C:
			m.look(m.use())
		}
	}
}

func (m *memory) use() memoryUse {
	metrics.Read(m.samples[:])
	value := func(i int) uint64 { return m.samples[i].Value.Uint64() }
	return memoryUse{allocated: value(0), held: value(1) + value(2), live: value(3)}
}

// look gives memory back if it is worth it and nobody is using it.
func (m *memory) look(now memoryUse) {
	quiet := now.allocated-m.before.allocated < quietRate
	m.before = now
	// What is in use cannot be returned, and does not become less by asking again.
	worth := max(worthReturning, now.live/3)
	if !quiet || now.held < now.live+worth || now.allocated-m.asked < worth {
		return
	}
	m.asked = now.allocated
	m.release()
}

// returnMemory collects, and returns what is free.
func returnMemory(ctx context.Context) { newMemory(debug.FreeOSMemory).run(ctx) }
