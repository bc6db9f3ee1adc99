package backend

import (
	"sync/atomic"
	"time"
)

const (
	// failuresToEject is how many exchanges in a row an endpoint may break off.
	failuresToEject = 3
	// errorsToEject is how many answers in a row may be server errors. A client can provoke some, hence many.
	errorsToEject = 10
	// errorHold is how long an endpoint is left alone for its errors: that it can be connected to says nothing then.
	errorHold = 5 * time.Second
	// slowStart is how long an endpoint that is new, or back, gets less than its share.
	slowStart = 10 * time.Second
	// leastShare of what an old endpoint gets is what a new one begins with.
	leastShare = 0.1
	// stall is how long all requests to an endpoint may wait before it is asked whether it still lives.
	stall = time.Second
	// longestStall is how long it is believed, once it has said so several times.
	longestStall = 30 * time.Second
)

// health is what the requests themselves tell of an endpoint. Times are the clock's of the transport, in nanoseconds.
type health struct {
	failures atomic.Int32 // in a row
	errors   atomic.Int32 // in a row
	ejected  atomic.Bool
	since    atomic.Int64 // when it came, or came back; 0 means always

	waiting atomic.Int64 // requests without an answer
	moved   atomic.Int64 // when the last answer came, or the first of those that wait was sent
	patience,
	asked atomic.Int64 // how long it may stall; whether it is being asked
}

func (h *health) wait(now int64) {
	if h.waiting.Add(1) == 1 {
		h.moved.Store(now)
	}
}

func (h *health) answered(now int64) {
	h.waiting.Add(-1)
	h.moved.Store(now)
	h.failures.Store(0)
	h.patience.Store(0)
}

// stalled tells whether requests have been waiting for long, and none was answered since.
func (h *health) stalled(now int64) bool {
	return h.waiting.Load() > 0 && now-h.moved.Load() > max(int64(stall), h.patience.Load())
}

// believe lets it stall twice as long before it is asked again.
func (h *health) believe(now int64) {
	h.moved.Store(now)
	h.patience.Store(min(2*max(int64(stall), h.patience.Load()), int64(longestStall)))
}

// share is what of its part an endpoint gets.
func (h *health) share(now int64) float64 {
	since := h.since.Load()
	if since == 0 {
		return 1
	}
	age := now - since
	if age >= int64(slowStart) {
		return 1
	}
	return max(leastShare, float64(age)/float64(slowStart))
}

// readmit forgets what was wrong.
func (h *health) readmit(now int64) {
	h.failures.Store(0)
	h.errors.Store(0)
	h.patience.Store(0)
	h.since.Store(now)
	h.ejected.Store(false)
}
