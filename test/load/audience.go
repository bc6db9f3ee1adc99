package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// maxUpdates bounds one measurement, and how many may be ahead of the slowest watcher.
const maxUpdates = 20000

// audience is many watchers of one server that are told of the same updates.
type audience struct {
	watchers int
	conns    []*watchConn
	reading  sync.WaitGroup
	failed   chan error

	begin     time.Time
	published int
	updates   [maxUpdates]update // the last ones; an update's place is its number modulo their count
}

// update is one change that all watchers are told of.
type update struct {
	sent      atomic.Int64 // when, in nanoseconds since begin
	delivered atomic.Int64 // to how many
	complete  chan struct{}
}

func (a *audience) update(n int) *update { return &a.updates[n%maxUpdates] }

// gather opens so many watches at path, spread over so many connections. All have begun when it returns.
func gather(url, path string, watchers, connections int, config *tls.Config, slow bool) (*audience, error) {
	a := &audience{watchers: watchers, failed: make(chan error, connections), begin: time.Now()}
	for i := range connections {
		n := watchers*(i+1)/connections - watchers*i/connections
		c, err := dialWatches(hostOf(url), path, n, config, slow)
		if err != nil {
			return nil, errors.Join(err, a.leave())
		}
		a.conns = append(a.conns, c)
		c.told = func(event int, at time.Time) { a.told(c, event, at) }
		if err := c.begin(); err != nil {
			return nil, errors.Join(err, a.leave())
		}
	}
	if !slow {
		for _, c := range a.conns {
			a.reading.Go(func() {
				if err := c.read(); err != nil {
					a.failed <- err
				}
			})
		}
	}
	return a, nil
}

func (a *audience) told(c *watchConn, event int, at time.Time) {
	u := a.update(event)
	c.took = append(c.took, at.Sub(a.begin)-time.Duration(u.sent.Load()))
	if u.delivered.Add(1) == int64(a.watchers) {
		close(u.complete)
	}
}

// attend publishes updates for a while, so many a second if there is a rate, and never more than ahead of them
// before the slowest watcher has seen them. It returns when all have seen all, with how long each delivery took.
func (a *audience) attend(ctx context.Context, publish func(context.Context) error, spell time.Duration, rate, ahead int) ([]time.Duration, error) {
	for _, c := range a.conns {
		c.took = c.took[:0] // nothing is on its way
	}
	start := time.Now()
	for n := 0; time.Since(start) < spell && n < maxUpdates; n++ {
		if rate > 0 {
			time.Sleep(time.Until(start.Add(time.Second * time.Duration(n) / time.Duration(rate))))
		}
		if n >= ahead {
			if err := a.await(ctx, a.published-ahead); err != nil {
				return nil, err
			}
		}
		u := a.update(a.published)
		u.complete = make(chan struct{})
		u.delivered.Store(0)
		u.sent.Store(int64(time.Since(a.begin)))
		a.published++
		if err := publish(ctx); err != nil {
			return nil, fmt.Errorf("publishing: %w", err)
		}
	}
	for n := max(0, a.published-ahead); n < a.published; n++ {
		if err := a.await(ctx, n); err != nil {
			return nil, err
		}
	}
	var took []time.Duration
	for _, c := range a.conns {
		took = append(took, c.took...)
	}
	slices.Sort(took)
	return took, nil
}

// await returns when all have seen an update.
func (a *audience) await(ctx context.Context, number int) error {
	overdue := time.NewTimer(patience)
	defer overdue.Stop()
	u := a.update(number)
	select {
	case <-u.complete:
		return nil
	case err := <-a.failed:
		return err
	case <-overdue.C:
		return fmt.Errorf("update %d reached %d of %d watchers in %v", number, u.delivered.Load(), a.watchers, patience)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// leave closes the connections.
func (a *audience) leave() error {
	var errs []error
	for _, c := range a.conns {
		errs = append(errs, c.conn.NetConn().Close())
	}
	a.reading.Wait()
	return errors.Join(errs...)
}
