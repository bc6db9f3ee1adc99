package storage

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"
	"k8s.io/klog/v2"

	"github.com/portico-api/portico/metrics"
)

const (
	// leaseSeconds is how long others wait for a leader that was killed.
	leaseSeconds = 10
	// leasePatience is how long a leader leads on without hearing that its lease is prolonged, which it hears of every third of it.
	leasePatience = leaseSeconds * time.Second * 3 / 4
	// resignTimeout bounds the farewell of a leader that ends: if nobody hears it, its lease runs out.
	resignTimeout = 2 * time.Second
	campaignAgain = time.Second
	// electionsPrefix is beside the objects, so that nothing that reads these meets it.
	electionsPrefix = "/portico/elections"
)

// Leadership is held by one at a time of the processes that share a cluster, by a lease in it. What must not be done twice is
// done while it is held.
type Leadership struct {
	client   *clientv3.Client
	name     string
	key      string
	identity string
	metrics  *metrics.Storage

	mu      sync.Mutex
	term    *term         // nil while another leads
	changed chan struct{} // closed when term is another one
}

// term is one time of leading.
type term struct {
	over    chan struct{}
	working sync.WaitGroup
}

// NewLeadership returns the leadership of a name, which identity may win. It is nil when the etcd is embedded: there is
// nobody else.
func (s *Store) NewLeadership(name, identity string) *Leadership {
	if len(s.cfg.Servers) == 0 {
		return nil
	}
	return &Leadership{
		client: s.engine.client(), name: name, key: electionsPrefix + s.cfg.Prefix + name, identity: identity, metrics: s.cfg.Metrics,
		changed: make(chan struct{}),
	}
}

// Run stands for election, again and again, until ctx ends. It returns when what was done while leading has ended, and others
// have been told.
func (l *Leadership) Run(ctx context.Context, started func()) error {
	started()
	l.metrics.Leading(l.name, false)
	for ctx.Err() == nil {
		err := l.serve(ctx)
		if err == nil || ctx.Err() != nil {
			continue
		}
		klog.FromContext(ctx).Error(err, "Will stand for election again", "leadership", l.name, "after", campaignAgain)
		select {
		case <-ctx.Done():
		case <-time.After(campaignAgain):
		}
	}
	return ctx.Err()
}

// serve waits to be elected and leads until the lease is lost or ctx ends.
func (l *Leadership) serve(ctx context.Context) error {
	// The session outlives ctx by the farewell.
	alive, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	session, err := l.session(ctx, alive)
	if err != nil {
		return fmt.Errorf("standing for election: %w", err)
	}
	held := l.hold(alive, session)
	election := concurrency.NewElection(session, l.key)
	if err := campaign(ctx, held, election, l.identity); err != nil {
		l.farewell(nil, session)
		return fmt.Errorf("standing for election: %w", err)
	}
	t := l.begin()
	klog.FromContext(ctx).Info("Elected", "leadership", l.name, "identity", l.identity)
	select {
	case <-ctx.Done():
		l.end(t)
		l.farewell(election, session)
		return nil
	case <-held.Done():
		l.end(t)
		l.farewell(nil, session)
		return errLost
	}
}

var errLost = errors.New("the lease was lost")

// hold returns a context that ends before others can take the lease for lost: the etcd counts from when it has prolonged the lease, and
// we count from when we heard of that, which is later.
func (l *Leadership) hold(alive context.Context, session *concurrency.Session) context.Context {
	held, lose := context.WithCancel(alive)
	beats, err := l.client.KeepAlive(alive, session.Lease())
	if err != nil {
		lose()
		return held
	}
	go func() {
		defer lose()
		patience := time.NewTimer(leasePatience)
		defer patience.Stop()
		for {
			select {
			case _, ok := <-beats:
				if !ok {
					return
				}
				patience.Reset(leasePatience)
			case <-session.Done():
				return
			case <-patience.C:
				return
			}
		}
	}()
	return held
}

// campaign waits to be elected. Who has lost the lease meanwhile has lost the place in the queue with it.
func campaign(ctx, held context.Context, election *concurrency.Election, identity string) error {
	standing, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(held, cancel)()
	err := election.Campaign(standing, identity)
	if held.Err() != nil && ctx.Err() == nil {
		return errLost
	}
	return err
}

// session takes a lease, within ctx; it is kept up within alive.
func (l *Leadership) session(ctx, alive context.Context) (*concurrency.Session, error) {
	lease, err := l.client.Grant(ctx, leaseSeconds)
	if err != nil {
		return nil, err
	}
	return concurrency.NewSession(l.client, concurrency.WithTTL(leaseSeconds), concurrency.WithLease(lease.ID), concurrency.WithContext(alive))
}

// farewell lets another lead at once.
func (l *Leadership) farewell(election *concurrency.Election, session *concurrency.Session) {
	ctx, cancel := context.WithTimeout(context.Background(), resignTimeout)
	defer cancel()
	if election != nil {
		_ = election.Resign(ctx) // the end of the lease says the same
	}
	_, _ = l.client.Revoke(ctx, session.Lease())
	session.Orphan()
}

func (l *Leadership) begin() *term {
	t := &term{over: make(chan struct{})}
	l.set(t)
	l.metrics.Leading(l.name, true)
	return t
}

// end returns when nothing is done any more by right of t.
func (l *Leadership) end(t *term) {
	l.set(nil)
	close(t.over)
	t.working.Wait()
	l.metrics.Leading(l.name, false)
}

func (l *Leadership) set(t *term) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.term = t
	close(l.changed)
	l.changed = make(chan struct{})
}

// While does lead whenever this process leads, until ctx ends or lead fails. The context of lead ends with the leadership.
func (l *Leadership) While(ctx context.Context, lead func(ctx context.Context) error) error {
	for {
		t, err := l.join(ctx)
		if err != nil {
			return err
		}
		if err := t.work(ctx, lead); err != nil {
			return err
		}
	}
}

// join waits for a term and takes part in it.
func (l *Leadership) join(ctx context.Context) (*term, error) {
	for {
		l.mu.Lock()
		t, changed := l.term, l.changed
		if t != nil {
			t.working.Add(1)
		}
		l.mu.Unlock()
		if t != nil {
			return t, nil
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-changed:
		}
	}
}

// work does lead until the term is over. That it then ends is no failure.
func (t *term) work(parent context.Context, lead func(ctx context.Context) error) error {
	defer t.working.Done()
	ctx, cancel := context.WithCancel(parent)
	defer cancel()
	var watching sync.WaitGroup
	defer watching.Wait()
	defer cancel()
	watching.Go(func() {
		select {
		case <-t.over:
			cancel()
		case <-ctx.Done():
		}
	})
	err := lead(ctx)
	switch {
	case parent.Err() != nil:
		return parent.Err()
	case ctx.Err() != nil:
		return nil
	case err == nil:
		return errors.New("what is done while leading has ended before the leadership")
	}
	return err
}
