package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/portico-api/portico/test/rig"
)

const (
	watchedMap   = "/api/v1/namespaces/default/configmaps/watched"
	announceFlag = "-announce"
)

// pace is how updates follow each other.
type pace struct {
	name  string
	rate  int // updates a second; 0 for as many as there can be
	ahead int // updates that may be on their way at once
}

func paces() []pace {
	return []pace{
		{name: "back to back", ahead: 1},
		{name: "10/s", rate: 10, ahead: 20},
		{name: "bursts of 50", ahead: 50},
	}
}

// watchFanout measures what a delivered event costs with so many watchers, next to the bare announcer, and what
// memory a watcher takes that is told nothing.
func watchFanout(watchers, connections int) func(context.Context, *bench) error {
	return func(ctx context.Context, b *bench) error {
		h, err := openHouse(ctx, b.binary)
		if err != nil {
			return err
		}
		defer h.close()
		if err := h.openAnnouncer(); err != nil {
			return err
		}
		publish, frame, err := h.publisher(ctx)
		if err != nil {
			return err
		}
		fronts := []*watchFront{
			{name: bare, process: h.announcer, url: h.announcer.URL, path: "/", publish: func(ctx context.Context) error {
				_, err := h.do(ctx, http.MethodPost, h.announcer.URL, frame)
				return err
			}},
			{name: portico, process: h.portico, url: h.portico.URL, publish: publish},
		}
		for _, f := range fronts {
			if err := b.measureAlone(ctx, f, h); err != nil {
				return fmt.Errorf("%s: %w", f.name, err)
			}
			// What the first watchers bring into memory is the program, and not theirs.
			first, err := gather(f.url, f.path, min(watchers, connections), 1, h.admin, false)
			if err != nil {
				return fmt.Errorf("%s: %w", f.name, err)
			}
			if err := first.leave(); err != nil {
				return err
			}
			empty, err := h.settled(ctx, f.process)
			if err != nil {
				return err
			}
			if f.audience, err = gather(f.url, f.path, watchers, connections, h.admin, false); err != nil {
				return fmt.Errorf("%s: %w", f.name, err)
			}
			defer f.audience.leave()
			full, err := h.settled(ctx, f.process)
			if err != nil {
				return err
			}
			if watchers > 1 {
				b.say(fmt.Sprintf("%d idle watchers", watchers), f.name, fmt.Sprintf("%.1f KB each", (full-empty)*1000/float64(watchers)))
			}
		}
		for _, p := range paces() {
			if err := b.compare(ctx, p, watchers, fronts); err != nil {
				return err
			}
		}
		return nil
	}
}

// watchFront is one of the servers whose watchers are compared.
type watchFront struct {
	name      string
	process   *rig.Process
	url, path string
	publish   func(context.Context) error
	alone     map[int]float64 // by rate: CPU-seconds a second when one watcher is told
	audience  *audience
}

// measureAlone measures the paced updates with one watcher: what they cost however many are told. A server that stores
// an update pays for that once, and the bare one never.
func (b *bench) measureAlone(ctx context.Context, f *watchFront, h *house) (err error) {
	if err := f.watchFromNow(ctx, h); err != nil {
		return err
	}
	if f.audience, err = gather(f.url, f.path, 1, 1, h.admin, false); err != nil {
		return err
	}
	f.alone = map[int]float64{}
	for _, p := range paces() {
		if p.rate == 0 {
			continue
		}
		var rounds []float64
		for range b.rounds {
			r, err := f.measure(ctx, p, b.spell)
			if err != nil {
				return errors.Join(err, f.audience.leave())
			}
			rounds = append(rounds, r.load())
		}
		f.alone[p.rate] = median(rounds)
	}
	if err := f.audience.leave(); err != nil {
		return err
	}
	return f.watchFromNow(ctx, h)
}

// watchFromNow makes the path that watches begin at: what has been told before is not told again.
func (f *watchFront) watchFromNow(ctx context.Context, h *house) error {
	if f.name == bare {
		return nil
	}
	stored, err := h.do(ctx, http.MethodGet, h.portico.URL+watchedMap, nil)
	f.path = configMaps + "?watch=true&allowWatchBookmarks=true&resourceVersion=" + revisionOf(stored)
	return err
}

// compare measures one pace on all fronts, round by round.
func (b *bench) compare(ctx context.Context, p pace, watchers int, fronts []*watchFront) error {
	results := map[string][]result{}
	for range b.rounds {
		for _, f := range fronts {
			r, err := f.measure(ctx, p, b.spell)
			if err != nil {
				return fmt.Errorf("%s: %w", f.name, err)
			}
			results[f.name] = append(results[f.name], r)
		}
	}
	w := workload{name: fmt.Sprintf("%d watchers, %s", watchers, p.name)}
	for _, f := range fronts {
		w.fronts = append(w.fronts, f.name)
	}
	report(w, results)
	if p.rate > 0 && watchers > 1 {
		w.name = "  each watcher but the first"
		report(w, furtherWatchers(p, fronts, results))
	}
	return nil
}

// furtherWatchers is what remains of the results when the cost of telling one watcher is taken away.
func furtherWatchers(p pace, fronts []*watchFront, results map[string][]result) map[string][]result {
	further := map[string][]result{}
	for _, f := range fronts {
		for _, r := range results[f.name] {
			events := r.rate - float64(p.rate)
			r.cpu = (r.load() - f.alone[p.rate]) / events * 1000
			r.rate = events
			further[f.name] = append(further[f.name], r)
		}
	}
	return further
}

// measure is one measurement: what counts is a delivered event, as a request does elsewhere.
func (f *watchFront) measure(ctx context.Context, p pace, spell time.Duration) (result, error) {
	if _, err := f.audience.attend(ctx, f.publish, spell/10, p.rate, p.ahead); err != nil {
		return result{}, err
	}
	before, begin := f.process.CPU(), time.Now()
	took, err := f.audience.attend(ctx, f.publish, spell, p.rate, p.ahead)
	if err != nil {
		return result{}, err
	}
	return newResult(took, f.process.CPU()-before, time.Since(begin)), nil
}

// publisher makes the object that is watched. It returns what updates it, and the frame that a watcher gets of
// an update.
func (h *house) publisher(ctx context.Context) (publish func(context.Context) error, frame []byte, err error) {
	if _, err := h.do(ctx, http.MethodPost, h.portico.URL+configMaps, []byte(configMap("watched"))); err != nil {
		return nil, nil, err
	}
	n := 0
	publish = func(ctx context.Context) error {
		n++
		_, err := h.do(ctx, http.MethodPut, h.portico.URL+watchedMap, fmt.Appendf(nil,
			`{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"watched"},"data":{"n":"%06d","text":%q}}`, n, filler))
		return err
	}
	if err := publish(ctx); err != nil {
		return nil, nil, err
	}
	stored, err := h.do(ctx, http.MethodGet, h.portico.URL+watchedMap, nil)
	if err != nil {
		return nil, nil, err
	}
	return publish, fmt.Appendf(nil, "{\"type\":\"MODIFIED\",\"object\":%s}\n", stored), nil
}

// slowWatchers measures what those cost the others who do not read.
func slowWatchers(ctx context.Context, b *bench) (err error) {
	const fast, slow, connections = 1000, 1000, 100
	h, err := openHouse(ctx, b.binary)
	if err != nil {
		return err
	}
	defer h.close()
	publish, frame, err := h.publisher(ctx)
	if err != nil {
		return err
	}
	path := configMaps + "?watch=true&resourceVersion=" + revisionOf(frame)
	f := &watchFront{name: portico, process: h.portico, publish: publish}
	if f.audience, err = gather(h.portico.URL, path, fast, connections, h.admin, false); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.audience.leave()) }()
	results := [2][]result{}
	for i := range b.rounds {
		for with := range results {
			r, err := f.beside(ctx, with*slow, connections, path, h, b.spell)
			if err != nil {
				return fmt.Errorf("round %d: %w", i, err)
			}
			results[with] = append(results[with], r)
		}
	}
	for with, rs := range results {
		report(workload{name: fmt.Sprintf("%d watchers beside %d slow", fast, with*slow), fronts: []string{portico}}, map[string][]result{portico: rs})
	}
	return nil
}

// beside measures the fast watchers while there are so many slow ones.
func (f *watchFront) beside(ctx context.Context, slow, connections int, path string, h *house, spell time.Duration) (result, error) {
	if slow > 0 {
		stuck, err := gather(h.portico.URL, path, slow, connections, h.admin, true)
		if err != nil {
			return result{}, err
		}
		defer stuck.leave()
	}
	// Enough for what a slow watcher is sent before its server may send no more.
	for range 2 {
		if _, err := f.audience.attend(ctx, f.publish, spell/3, 0, 50); err != nil {
			return result{}, err
		}
	}
	return f.measure(ctx, pace{rate: 10, ahead: 20}, spell)
}
