// Command load measures what a built portico costs under load, next to the backend itself and to a
// bare httputil.ReverseProxy in front of it: three processes, driven in turn by the same client, for
// a bounded time each. It prints the processor time that each process used per request, and how
// long requests took. Everything is on loopback and on free ports. Linux only: it reads /proc.
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

// load measures each workload on its fronts, round by round, so that what else the machine does
// falls on all of them.
func load(ctx context.Context, binary string, rounds int, spell time.Duration, only string) error {
	pattern, err := regexp.Compile(only)
	if err != nil {
		return fmt.Errorf("-only: %w", err)
	}
	s, err := openStreet(ctx, binary)
	if err != nil {
		return err
	}
	defer s.close()
	fmt.Printf("%-32s %-13s %11s %8s %8s %8s %11s\n", fmt.Sprintf("medians of %d × %v", rounds, spell),
		"front", "CPU s/1000", "x-bare", "p50 ms", "p99 ms", "requests/s")
	for _, w := range workloads() {
		if !pattern.MatchString(w.name) {
			continue
		}
		results := map[string][]result{}
		for range rounds {
			for _, name := range w.fronts {
				r, err := s.measure(ctx, w, s.fronts[name], spell)
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
