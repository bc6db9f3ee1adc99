// Command load measures what a built portico costs under load, next to the backend itself and to a
// bare httputil.ReverseProxy in front of it, and those of nginx, haproxy and caddy that are installed: processes, driven in turn by the same client, for
// a bounded time each. It prints the processor time that each process used per request, and how
// long requests took. Watches are measured next to a bare server that sends the same bytes; there a
// request is a delivered event. Last come the memory that objects and watchers take and what long
// lists cost. Everything is on loopback and on free ports. Linux only: it reads /proc.
//
//	go build -o portico ./cmd/portico && go run ./test/load -binary ./portico
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"regexp"
	"slices"
	"syscall"
	"time"
)

func main() {
	if len(os.Args) > 1 && os.Args[1] == serveFlag {
		exitOn(serve(os.Args[2:]))
		return
	}
	binary := flag.String("binary", "./portico", "the built program")
	rounds := flag.Int("rounds", 3, "how often each front is measured; the medians are printed")
	spell := flag.Duration("time", 3*time.Second, "how long each measurement takes")
	only := flag.String("only", "", "regular expression of the workloads to run; empty for all")
	flag.Parse()
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	exitOn(load(ctx, *binary, *rounds, *spell, *only))
}

func exitOn(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "load:", err)
		os.Exit(1)
	}
}

// bench is how everything is measured.
type bench struct {
	binary string
	rounds int
	spell  time.Duration
}

// load runs what is asked for.
func load(ctx context.Context, binary string, rounds int, spell time.Duration, only string) error {
	pattern, err := regexp.Compile(only)
	if err != nil {
		return fmt.Errorf("-only: %w", err)
	}
	b := &bench{binary: binary, rounds: rounds, spell: spell}
	fmt.Printf("%-32s %-13s %11s %8s %8s %8s %11s\n", fmt.Sprintf("medians of %d × %v", rounds, spell),
		"front", "CPU s/1000", "x-bare", "p50 ms", "p99 ms", "requests/s")
	if err := b.requests(ctx, pattern); err != nil {
		return err
	}
	for _, s := range scenes() {
		if !pattern.MatchString(s.name) {
			continue
		}
		if err := s.run(ctx, b); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
	}
	return nil
}

// requests measures each workload on its fronts, round by round, so that what else the machine does
// falls on all of them.
func (b *bench) requests(ctx context.Context, pattern *regexp.Regexp) error {
	asked := slices.DeleteFunc(workloads(), func(w workload) bool { return !pattern.MatchString(w.name) })
	if len(asked) == 0 {
		return nil
	}
	s, err := openStreet(ctx, b.binary)
	if err != nil {
		return err
	}
	defer s.close()
	for _, w := range asked {
		results := map[string][]result{}
		for range b.rounds {
			for _, name := range w.fronts {
				front := s.fronts[name]
				if front == nil {
					continue // not installed
				}
				r, err := s.measure(ctx, w, front, b.spell)
				if err != nil {
					return fmt.Errorf("%s through %s: %w", w.name, name, err)
				}
				results[name] = append(results[name], r)
			}
		}
		report(w, results)
	}
	return nil
}

// scene is a measurement that needs a server of its own.
type scene struct {
	name string
	run  func(context.Context, *bench) error
}

func scenes() []scene {
	return []scene{
		{"watch by 1", watchFanout(1, 1)},
		{"watch by 1000", watchFanout(1000, 100)},
		{"watch by 10000", watchFanout(10000, 100)},
		{"slow watchers", slowWatchers},
		{"memory and lists", stored},
		{"sweeps", sweeps},
	}
}
