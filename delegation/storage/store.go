package storage

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"k8s.io/klog/v2"
)

// Store is the etcd, embedded or a cluster, with the caches of what it holds.
type Store struct {
	cfg      Config
	engine   engine
	stream   *stream
	leases   *leases
	stopping chan struct{}
	cancel   context.CancelFunc
	running  sync.WaitGroup
	once     sync.Once
	closed   error
}

// Open returns a store that is ready for reads and writes. It runs until Close; the end of ctx only ends the opening.
func Open(ctx context.Context, cfg Config) (*Store, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("opening the store: %w", err)
	}
	opening, done := context.WithTimeout(ctx, cfg.StartTimeout)
	defer done()
	var e engine
	if len(cfg.Servers) > 0 {
		e, err = dial(opening, cfg)
	} else {
		e, err = embedded(opening, cfg)
	}
	if err != nil {
		return nil, err
	}
	revision, err := linearized(opening, e.client(), cfg.Prefix)
	if err != nil {
		e.close()
		return nil, fmt.Errorf("opening the store: %w", err)
	}
	e.acknowledged(revision)

	s := &Store{cfg: cfg, engine: e, leases: newLeases(e.client()), stopping: make(chan struct{})}
	s.stream = newStream(s, revision)
	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	s.cancel = cancel
	s.running.Go(func() { s.stream.run(running) })
	s.running.Go(func() { s.maintain(running) })
	// An etcd brings a watch that begins in its past up to date with a delay of up to 100 ms; one
	// that is in place before the first write is never behind.
	select {
	case <-s.stream.watching:
		return s, nil
	case <-opening.Done():
		s.Close()
		return nil, fmt.Errorf("opening the store: watching it: %w", opening.Err())
	}
}

// Close ends every cache and the embedded etcd, after all that was acknowledged is on disk.
func (s *Store) Close() error {
	s.once.Do(func() {
		close(s.stopping)
		s.cancel()
		s.stream.close()
		s.running.Wait()
		s.closed = s.engine.close()
	})
	return s.closed
}

// Health returns nil when the store answers and takes writes. It waits for the answer as long as ctx does, or 3 s.
func (s *Store) Health(ctx context.Context) error {
	if err := s.engine.err(); err != nil {
		return err
	}
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, readTimeout)
		defer cancel()
	}
	if _, err := s.linearized(ctx); err != nil {
		return err
	}
	alarms, err := s.engine.client().AlarmList(ctx)
	if err != nil {
		return explain(ctx, "asking the store for alarms", err)
	}
	for _, a := range alarms.Alarms {
		return fmt.Errorf("the store takes no writes: alarm %s", a.Alarm)
	}
	return nil
}

// HasObjects tells whether anything is stored below a key path: of a resource, or of a resource in a namespace. For those who do not
// open the resource only to find it empty.
func (s *Store) HasObjects(ctx context.Context, path string) (bool, error) {
	resp, err := s.engine.client().Get(ctx, s.cfg.Prefix+path+"/", clientv3.WithPrefix(), clientv3.WithKeysOnly(), clientv3.WithLimit(1))
	if err != nil {
		return false, explain(ctx, "looking for objects of "+path, err)
	}
	return len(resp.Kvs) > 0, nil
}

// maintainEvery is how often memory is given back and the size is told.
const maintainEvery = 30 * time.Second

// maintain does what has to be done now and then, until ctx ends.
func (s *Store) maintain(ctx context.Context) {
	trim := time.NewTicker(maintainEvery)
	defer trim.Stop()
	var compact <-chan time.Time
	if s.cfg.CompactionInterval > 0 {
		t := time.NewTicker(s.cfg.CompactionInterval)
		defer t.Stop()
		compact = t.C
	}
	// What is compacted is what was seen one interval ago, so that pages and resumed watches have that long.
	old := s.stream.progress.revision.Load()
	s.measure(ctx)
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-trim.C:
			for _, c := range s.stream.all() {
				c.trim(now)
			}
			s.measure(ctx)
		case <-compact:
			s.compact(ctx, old)
			old = s.stream.progress.revision.Load()
		}
	}
}

// compact lets the etcd forget the history before a revision.
func (s *Store) compact(ctx context.Context, revision int64) {
	if revision <= 1 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	// Replicas on one cluster do this independently; who comes second finds it done.
	_, err := s.engine.client().Compact(ctx, revision)
	if err != nil && !errors.Is(err, rpctypes.ErrCompacted) && !errors.Is(ctx.Err(), context.Canceled) {
		klog.FromContext(ctx).Error(err, "The store's history was not compacted; it is tried again", "revision", revision)
	}
}

func (s *Store) measure(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	client := s.engine.client()
	var endpoint string
	if eps := client.Endpoints(); len(eps) > 0 {
		endpoint = eps[0]
	}
	if status, err := client.Status(ctx, endpoint); err == nil {
		s.cfg.Metrics.SetSize(status.DbSize)
	}
}
