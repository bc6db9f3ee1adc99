package extensions

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/portico-api/portico/delegation/registry"
	"github.com/portico-api/portico/handler/rest"
)

const (
	// restShare is how long nobody has a turn, of the time that turns have taken, and politeShare while others ask the server for something: the
	// more of the time nobody works on definitions, the fewer of their requests are slower for it.
	restShare   = 1.0
	politeShare = 6.0
	// untiring is how much work is done without a rest, so that who defines a few resources does not wait.
	untiring = 250 * time.Millisecond
	// longestRest bounds a rest: a turn may have waited for the store and not worked.
	longestRest = time.Second
	// maxWaiting is how many writes wait. Each has a place among the requests that the server takes at a time.
	maxWaiting = 100
	// brief is how long admission may take before others have their turn.
	brief = 10 * time.Millisecond
)

// turns has the long work on definitions done by one at a time, and by nobody now and then. To read, check and write a large definition takes
// many milliseconds of a processor; when many come together, processors must be left to other requests.
//
// Controllers come first: they finish what was accepted. Of the others the smallest one is next, and every second time the one that has waited
// longest: large ones, however many, keep a small one out for two of them at most, and no small ones keep a large one out for good.
type turns struct {
	// weigh returns the size of what the write of a request with a body of so many bytes is about.
	weigh func(ctx context.Context, size int) int

	mu      sync.Mutex
	taken   bool // or there is a rest
	waiting []*turn
	oldest  bool          // whose turn it is next, of the two kinds
	debt    time.Duration // of rest
	left    time.Time     // when the last turn ended
	company company
}

// turn is one write's, which may leave it and come back.
type turn struct {
	all    *turns
	size   int // ofController before all others
	since  time.Time
	begun  time.Time
	has    bool          // under the lock of all
	called chan struct{} // closed when it is its turn
}

// ofController is the size of the writes of controllers.
const ofController = -1

type turnKey struct{}

// givenTo has the writes of r and its subresources take turns. That of a whole collection takes one for each object, by itself.
func (t *turns) givenTo(r *rest.Resource) *rest.Resource {
	write := func(ctx context.Context, size int, work func(ctx context.Context) error) error {
		t.mu.Lock()
		t.company.writes()
		t.mu.Unlock()
		return t.do(ctx, t.weigh(ctx, size), work)
	}
	r.Turn = write
	for _, sub := range r.Subresources {
		sub.Turn = write
	}
	return r
}

// do does the work of a write of so many bytes in its turn, which what is called with the work's context can leave meanwhile.
func (t *turns) do(ctx context.Context, size int, work func(ctx context.Context) error) error {
	own := &turn{all: t, size: size, since: time.Now()}
	if err := own.enter(ctx); err != nil {
		return err
	}
	defer own.leave()
	return work(context.WithValue(ctx, turnKey{}, own))
}

// enter waits until it is this one's turn, if it is not already.
func (t *turn) enter(ctx context.Context) error {
	all := t.all
	all.mu.Lock()
	switch {
	case t.has:
	case !all.taken:
		all.taken = true
		t.begin()
	case len(all.waiting) >= maxWaiting && t.size != ofController:
		all.mu.Unlock()
		return tooMany()
	default:
		t.called = make(chan struct{})
		all.waiting = append(all.waiting, t)
		all.mu.Unlock()
		return t.wait(ctx)
	}
	all.mu.Unlock()
	return nil
}

func (t *turn) wait(ctx context.Context) error {
	select {
	case <-t.called:
		return nil
	case <-ctx.Done():
	}
	all := t.all
	all.mu.Lock()
	defer all.mu.Unlock()
	if t.has { // it was called at the same time
		return nil
	}
	all.waiting = slices.DeleteFunc(all.waiting, func(w *turn) bool { return w == t })
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return tooMany()
	}
	return fmt.Errorf("waiting for the turn of a definition: %w", ctx.Err())
}

func tooMany() error {
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
	share := restShare
	if t.company.present(now) {
		share = politeShare
	}
	free := time.Duration(share * float64(untiring))
	t.debt = max(0, t.debt-begun.Sub(t.left)) + time.Duration(share*float64(now.Sub(begun)))
	t.debt = min(t.debt, free+longestRest)
	t.left = now
	return t.debt - free
}

// next calls who is next. It is called with the lock held.
func (t *turns) next() {
	if len(t.waiting) == 0 {
		t.taken = false
		return
	}
	i := 0
	for j, w := range t.waiting {
		if w.isBefore(t.waiting[i], t.oldest) {
			i = j
		}
	}
	next := t.waiting[i]
	if next.size != ofController {
		t.oldest = !t.oldest
	}
	t.waiting = slices.Delete(t.waiting, i, i+1)
	next.begin()
	close(next.called)
}

// isBefore tells whether t has its turn before other: because it is smaller, or because it has waited longer.
func (t *turn) isBefore(other *turn, oldest bool) bool {
	switch {
	case t.size == ofController || other.size == ofController:
		return other.size != ofController
	case oldest:
		return t.since.Before(other.since)
	}
	return t.size < other.size
}

// considerate leaves the turn while admission is asked, which may ask others and wait for them.
type considerate struct{ registry.Admission }

func (c considerate) Admit(ctx context.Context, r *registry.Request) error {
	return outsideTurn(ctx, func() error { return c.Admission.Admit(ctx, r) })
}

func (c considerate) Validate(ctx context.Context, r *registry.Request) error {
	return outsideTurn(ctx, func() error { return c.Admission.Validate(ctx, r) })
}

// outsideTurn does what, and lets others have their turn meanwhile if that takes long and ctx has one.
func outsideTurn(ctx context.Context, what func() error) error {
	t, ok := ctx.Value(turnKey{}).(*turn)
	if !ok {
		return what()
	}
	left := make(chan struct{})
	long := time.AfterFunc(brief, func() {
		t.leave()
		close(left)
	})
	err := what()
	if !long.Stop() {
		<-left
	}
	if err != nil {
		return err
	}
	return t.enter(ctx)
}
