package extensions

import (
	"container/heap"
	"context"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/portico-api/portico/delegation/registry"
	"github.com/portico-api/portico/handler/rest"
)

const (
	// sizePerSecond is how many bytes less a write must have to be let past one that has waited a second longer.
	sizePerSecond = 100_000
	// restShare is how long nobody has a turn, of the time that turns have taken.
	restShare = 1.0
	// untiring is how much work is done without a rest, so that who defines a few resources does not wait.
	untiring = 250 * time.Millisecond
)

// turns has the long work on definitions done by one at a time, and by nobody now and then. To read, check and write a large definition takes
// many milliseconds of a processor; when many come together, processors must be left to other requests.
//
// A small definition goes before a large one, which in return may be as much older as it is larger. So large ones, however many, cannot keep
// small ones out, nor small ones a large one for good.
type turns struct {
	mu      sync.Mutex
	taken   bool // or there is a rest
	waiting waiters
	debt    time.Duration // of rest
	left    time.Time     // when the last turn ended
}

// turn is one write's, which may leave it and come back.
type turn struct {
	all    *turns
	due    time.Time // who has the earliest is next
	begun  time.Time
	has    bool
	called chan struct{} // closed when it is its turn
	place  int           // in the queue, -1 outside
}

type turnKey struct{}

// givenTo has the writes of r and its subresources take turns.
func (t *turns) givenTo(r *rest.Resource) *rest.Resource {
	r.Turn = t.do
	for _, sub := range r.Subresources {
		sub.Turn = t.do
	}
	return r
}

// do does the work of a write of so many bytes in its turn, which what is called with the work's context can leave meanwhile.
func (t *turns) do(ctx context.Context, size int, work func(ctx context.Context) error) error {
	own := &turn{all: t, due: time.Now().Add(time.Duration(size) * time.Second / sizePerSecond), place: -1}
	if err := own.enter(ctx); err != nil {
		return err
	}
	defer own.leave()
	return work(context.WithValue(ctx, turnKey{}, own))
}

// enter waits until it is this one's turn.
func (t *turn) enter(ctx context.Context) error {
	all := t.all
	all.mu.Lock()
	if !all.taken {
		all.taken = true
		t.begin()
		all.mu.Unlock()
		return nil
	}
	t.called = make(chan struct{})
	heap.Push(&all.waiting, t)
	all.mu.Unlock()
	select {
	case <-t.called:
		return nil
	case <-ctx.Done():
	}
	all.mu.Lock()
	defer all.mu.Unlock()
	if t.place < 0 { // it was called at the same time
		return nil
	}
	heap.Remove(&all.waiting, t.place)
	return apierrors.NewTooManyRequests("too many definitions are being written, try again later", 1)
}

// begin is called with the lock held.
func (t *turn) begin() {
	t.begun, t.has = time.Now(), true
}

// leave lets the next one have its turn, after a rest if one is due.
func (t *turn) leave() {
	all := t.all
	all.mu.Lock()
	defer all.mu.Unlock()
	if !t.has {
		return
	}
	t.has = false
	if rest := all.rest(t.begun, time.Now()); rest > 0 {
		time.AfterFunc(rest, func() {
			all.mu.Lock()
			defer all.mu.Unlock()
			all.next()
		})
		return
	}
	all.next()
}

// rest is how long to wait after a turn that took from begun until now.
func (t *turns) rest(begun, now time.Time) time.Duration {
	t.debt = max(0, t.debt-begun.Sub(t.left)) + time.Duration(restShare*float64(now.Sub(begun)))
	t.left = now
	return t.debt - time.Duration(restShare*float64(untiring))
}

// next calls who is next. It is called with the lock held.
func (t *turns) next() {
	if len(t.waiting) == 0 {
		t.taken = false
		return
	}
	next := heap.Pop(&t.waiting).(*turn)
	next.begin()
	close(next.called)
}

// waiters is a heap; the next one is the first.
type waiters []*turn

func (w waiters) Len() int           { return len(w) }
func (w waiters) Less(i, j int) bool { return w[i].due.Before(w[j].due) }
func (w waiters) Swap(i, j int) {
	w[i], w[j] = w[j], w[i]
	w[i].place, w[j].place = i, j
}

func (w *waiters) Push(x any) {
	t := x.(*turn)
	t.place = len(*w)
	*w = append(*w, t)
}

func (w *waiters) Pop() any {
	last := len(*w) - 1
	t := (*w)[last]
	t.place = -1
	(*w)[last] = nil
	*w = (*w)[:last]
	return t
}

// considerate leaves the turn while admission is asked, which may ask others and wait for them.
type considerate struct{ registry.Admission }

func (c considerate) Admit(ctx context.Context, r *registry.Request) error {
	return outsideTurn(ctx, func() error { return c.Admission.Admit(ctx, r) })
}

func (c considerate) Validate(ctx context.Context, r *registry.Request) error {
	return outsideTurn(ctx, func() error { return c.Admission.Validate(ctx, r) })
}

// outsideTurn does what while others may have their turn, if ctx has one.
func outsideTurn(ctx context.Context, what func() error) error {
	t, ok := ctx.Value(turnKey{}).(*turn)
	if !ok || !t.has {
		return what()
	}
	t.leave()
	if err := what(); err != nil {
		return err
	}
	return t.enter(ctx)
}
