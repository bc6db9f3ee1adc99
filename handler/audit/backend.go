package audit

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	auditapi "k8s.io/apiserver/pkg/apis/audit"
	"k8s.io/klog/v2"

	"github.com/portico-api/portico/metrics"
)

// Mode is when an event is handed on.
type Mode string

const (
	// Batch keeps events in memory and hands on several at a time, while the requests go on.
	Batch Mode = "batch"
	// Blocking hands on each event at once, and the request waits.
	Blocking Mode = "blocking"
	// BlockingStrict is Blocking that refuses a request when its arrival cannot be written down.
	BlockingStrict Mode = "blocking-strict"
)

// Config is how a backend treats events.
type Config struct {
	Mode Mode
	// Batching is for Batch.
	Batching Batching
	// MaxEventSize is how long an event may be, in bytes, before its bodies are left out; 0 for no limit. MaxBatchSize is the same for
	// events that are handed on together.
	MaxEventSize int
	MaxBatchSize int
	Metrics      *metrics.Audit
}

// The backends and their parts, as metrics name them.
const (
	nameLog      = "log"
	nameWebhook  = "webhook"
	nameBuffer   = "buffered"
	nameTruncate = "truncate"
)

// destination takes events for good. It may be called from several goroutines.
type destination interface {
	// Deliver takes events that are encoded already. They must not be kept.
	Deliver(ctx context.Context, events [][]byte) error
	Close() error
}

// Backend is one place that events come to.
type Backend struct {
	name   string
	cfg    Config
	to     destination
	encode func(dst []byte, e *event) []byte
	queue  *queue // nil unless events are kept for a while
	spare  sync.Pool

	untold atomic.Int64 // events that are lost and the log has not told of
	toldAt atomic.Int64 // nanoseconds
}

func newBackend(name string, cfg Config, parallel int, to destination, encode func([]byte, *event) []byte) *Backend {
	b := &Backend{name: name, cfg: cfg, to: to, encode: encode}
	b.spare.New = func() any { return new([]byte) }
	if cfg.Mode == Batch {
		b.queue = newQueue(cfg.Batching, parallel, b.deliver)
	}
	return b
}

// maxSpare is the longest buffer that is kept for the next event: one large body must not be paid for for ever.
const maxSpare = 64 << 10

// put takes an event. It is false when the request must not go on without it.
func (b *Backend) put(e *event) bool {
	buf := b.spare.Get().(*[]byte)
	defer func() {
		if cap(*buf) <= maxSpare {
			b.spare.Put(buf)
		}
	}()
	*buf = b.encode((*buf)[:0], e)
	if limit := b.cfg.MaxEventSize; limit > 0 && len(*buf) > limit {
		*buf = b.encode((*buf)[:0], e.shortened())
		if len(*buf) > limit {
			b.lost(nameTruncate, 1, errTooLarge, e.id)
			return b.mayGoOnWithout(e)
		}
	}
	if b.queue != nil {
		if !b.queue.offer(*buf) {
			b.lost(nameBuffer, 1, errFull, e.id)
		}
		return true
	}
	// The event must be written down even when its client has gone.
	if err := b.to.Deliver(context.Background(), [][]byte{*buf}); err != nil {
		b.lost(b.name, 1, err, e.id)
		return b.mayGoOnWithout(e)
	}
	return true
}

// mayGoOnWithout tells whether a request may go on of which an event is lost.
func (b *Backend) mayGoOnWithout(e *event) bool {
	return b.cfg.Mode != BlockingStrict || e.stage != auditapi.StageRequestReceived
}

// deliver hands on a batch, in parts that are not too large.
func (b *Backend) deliver(ctx context.Context, events [][]byte) {
	for len(events) > 0 {
		n, size := 1, len(events[0])
		for n < len(events) && (b.cfg.MaxBatchSize <= 0 || size+len(events[n]) <= b.cfg.MaxBatchSize) {
			size += len(events[n])
			n++
		}
		if err := b.to.Deliver(ctx, events[:n]); err != nil {
			b.lost(b.name, n, err, "")
		}
		events = events[n:]
	}
}

// lost tells the operator of events that are not in the trail, in the log at most once a second: there may be one for each request.
func (b *Backend) lost(part string, n int, err error, auditID string) {
	b.cfg.Metrics.Lost(part, n)
	b.untold.Add(int64(n))
	now, last := time.Now().UnixNano(), b.toldAt.Load()
	if now-last < int64(time.Second) || !b.toldAt.CompareAndSwap(last, now) {
		return
	}
	klog.Background().Error(err, "Audit events are lost", "backend", b.name, "part", part, "events", b.untold.Swap(0), "auditID", cutText(auditID))
}

// run hands on what is kept until ctx ends and nothing is left, and closes the backend.
func (b *Backend) run(ctx context.Context) {
	if b.queue != nil {
		b.queue.run(ctx)
	} else {
		<-ctx.Done()
	}
	if err := b.to.Close(); err != nil {
		klog.Background().Error(err, "Closing the audit trail", "backend", b.name)
	}
}
