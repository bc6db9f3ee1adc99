package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/portico-api/portico/test/rig"
)

// result is one measurement.
type result struct {
	cpu      float64 // seconds per 1,000 requests
	p50, p99 time.Duration
	rate     float64 // requests a second
}

// load is the CPU-seconds that a second took.
func (r result) load() float64 { return r.cpu * r.rate / 1000 }

// measure drives one front for a while.
func (s *street) measure(ctx context.Context, w workload, front *rig.Process, spell time.Duration) (result, error) {
	d := &driver{workload: w, url: front.URL}
	for range w.connections {
		transport := &http.Transport{TLSClientConfig: s.user.Clone(), ForceAttemptHTTP2: w.http2, DisableCompression: true}
		defer transport.CloseIdleConnections()
		d.clients = append(d.clients, &http.Client{Transport: transport, Timeout: patience})
	}
	// Connections are made, and the server has warmed up, before anything is counted.
	if _, err := d.run(ctx, spell/10); err != nil {
		return result{}, err
	}
	before, begin := front.CPU(), time.Now()
	took, err := d.run(ctx, spell)
	if err != nil {
		return result{}, err
	}
	return newResult(took, front.CPU()-before, time.Since(begin)), nil
}

func newResult(took []time.Duration, cpu, elapsed time.Duration) result {
	n := len(took)
	slices.Sort(took)
	return result{
		cpu:  cpu.Seconds() * 1000 / float64(n),
		p50:  took[n/2],
		p99:  took[n*99/100],
		rate: float64(n) / elapsed.Seconds(),
	}
}

// patience bounds one request.
const patience = 30 * time.Second

// driver sends the requests of one workload to one front.
type driver struct {
	workload
	url     string
	clients []*http.Client // one for each connection
}

// run has all users send requests until the time is over, and returns how long each request took.
func (d *driver) run(ctx context.Context, spell time.Duration) ([]time.Duration, error) {
	users := d.connections * d.streams
	took, errs := make([][]time.Duration, users), make([]error, users)
	var running sync.WaitGroup
	begin := time.Now()
	for i := range users {
		running.Go(func() { took[i], errs[i] = d.use(ctx, i, begin, begin.Add(spell)) })
	}
	running.Wait()
	all := slices.Concat(took...)
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	if len(all) == 0 {
		return nil, errors.New("no request was answered in time")
	}
	return all, nil
}

// use is one user: one request after the other, or each at its time when there is a rate. Then what
// counts is when it should have been sent, or a slow server would be asked less and look faster.
func (d *driver) use(ctx context.Context, user int, begin, end time.Time) ([]time.Duration, error) {
	users := d.connections * d.streams
	client := d.clients[user%len(d.clients)]
	var took []time.Duration
	for n := range maxRequests / users {
		start := time.Now()
		if d.rate > 0 {
			start = begin.Add(time.Second * time.Duration(n*users+user) / time.Duration(d.rate))
			time.Sleep(time.Until(start))
		}
		if start.After(end) || ctx.Err() != nil {
			break
		}
		if err := d.once(client); err != nil {
			return nil, err
		}
		took = append(took, time.Since(start))
	}
	return took, ctx.Err()
}

func (d *driver) once(client *http.Client) error {
	r, err := d.request(d.url)
	if err != nil {
		return err
	}
	answer, err := client.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if _, err := io.Copy(io.Discard, answer.Body); err != nil {
		return err
	}
	if answer.StatusCode != d.want {
		return fmt.Errorf("%s %s: status %d", r.Method, r.URL, answer.StatusCode)
	}
	return nil
}
