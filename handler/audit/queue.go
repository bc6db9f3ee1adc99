package audit

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"
)

var (
	errFull     = errors.New("the buffer is full, or the server has stopped")
	errTooLarge = errors.New("the event is too large, even without bodies")
)

// Batching is how events are kept and handed on.
type Batching struct {
	// BufferSize is how many events are kept at most: what comes when there are so many is lost.
	BufferSize int
	// BufferBytes is how long they may be together, with those that are being handed on: a destination that hangs while clients send large
	// bodies must not take all memory. 0 means 128 MB.
	BufferBytes int64
	// MaxSize is how many are handed on together, and MaxWait for how long they are collected.
	MaxSize int
	MaxWait time.Duration
	// QPS is how many batches a second are handed on, and Burst how many at once after a pause; QPS 0 for no limit.
	QPS   float64
	Burst int
}

// bufferBytes is enough for the events of ten thousand usual requests four times over.
const bufferBytes = 128 << 20

// patience is how long what is left at the end may take to be handed on.
const patience = 30 * time.Second

// queue keeps events for a while.
type queue struct {
	Batching
	events  chan []byte
	held    atomic.Int64  // bytes of what is in events or under way
	limiter *rate.Limiter // nil for no limit
	send    func(ctx context.Context, events [][]byte)
	busy    chan struct{} // as many as batches may be under way
	sending sync.WaitGroup

	mu    sync.RWMutex // held for reading to put an event into the channel
	ended bool
}

func newQueue(b Batching, parallel int, send func(context.Context, [][]byte)) *queue {
	q := &queue{Batching: b, events: make(chan []byte, b.BufferSize), send: send, busy: make(chan struct{}, parallel)}
	if b.BufferBytes == 0 {
		q.BufferBytes = bufferBytes
	}
	if b.QPS > 0 {
		q.limiter = rate.NewLimiter(rate.Limit(b.QPS), b.Burst)
	}
	return q
}

// offer keeps a copy of an event, if there is room.
func (q *queue) offer(event []byte) bool {
	q.mu.RLock()
	defer q.mu.RUnlock()
	if q.ended {
		return false
	}
	if q.held.Add(int64(len(event))) > q.BufferBytes {
		q.held.Add(-int64(len(event)))
		return false
	}
	select {
	case q.events <- bytes.Clone(event):
		return true
	default:
		q.held.Add(-int64(len(event)))
		return false
	}
}

// run hands on batches until ctx ends, and then what is left.
func (q *queue) run(ctx context.Context) {
	sending, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	// The time runs from the end on, whatever is being sent then.
	impatient := make(chan *time.Timer, 1)
	ending := context.AfterFunc(ctx, func() { impatient <- time.AfterFunc(patience, cancel) })
	defer func() {
		if !ending() {
			(<-impatient).Stop()
		}
	}()
	for ctx.Err() == nil {
		q.handOn(sending, q.collect(ctx))
	}
	q.mu.Lock()
	q.ended = true
	q.mu.Unlock()
	for batch := q.rest(); len(batch) > 0; batch = q.rest() {
		q.handOn(sending, batch)
	}
	q.sending.Wait()
}

// collect waits for a batch that is full, or has waited long enough.
func (q *queue) collect(ctx context.Context) (batch [][]byte) {
	select {
	case first := <-q.events:
		batch = append(batch, first)
	case <-ctx.Done():
		return nil
	}
	if q.MaxSize <= 1 {
		return batch
	}
	enough := time.NewTimer(q.MaxWait)
	defer enough.Stop()
	for len(batch) < q.MaxSize {
		select {
		case event := <-q.events:
			batch = append(batch, event)
		case <-enough.C:
			return batch
		case <-ctx.Done():
			return batch
		}
	}
	return batch
}

// rest is a batch of what is there.
func (q *queue) rest() (batch [][]byte) {
	for len(batch) < max(q.MaxSize, 1) {
		select {
		case event := <-q.events:
			batch = append(batch, event)
		default:
			return batch
		}
	}
	return batch
}

// handOn sends a batch when it may be. The next one need not wait until this one has arrived.
func (q *queue) handOn(ctx context.Context, batch [][]byte) {
	if len(batch) == 0 {
		return
	}
	if q.limiter != nil {
		_ = q.limiter.Wait(ctx) // whoever is out of patience sends at once
	}
	q.busy <- struct{}{}
	q.sending.Go(func() {
		defer func() { <-q.busy }()
		q.send(ctx, batch)
		for _, event := range batch {
			q.held.Add(-int64(len(event)))
		}
	})
}
