package main

import (
	"fmt"
	"slices"
	"time"
)

// report prints one line for each front, with the medians of its rounds. x-bare is the cost divided by
// that of the bare server in the same round.
func report(w workload, results map[string][]result) {
	title := w.name
	for _, name := range w.fronts {
		rounds := results[name]
		if len(rounds) == 0 {
			continue
		}
		ratio := ""
		if name != direct && name != bare && len(results[bare]) > 0 {
			ratio = fmt.Sprintf("%.2f", median(each(rounds, func(i int, r result) float64 { return r.cpu / results[bare][i].cpu })))
		}
		fmt.Printf("%-32s %-13s %11.4f %8s %8.2f %8.2f %11.0f\n", title, name,
			median(each(rounds, func(_ int, r result) float64 { return r.cpu })), ratio,
			milliseconds(rounds, func(r result) time.Duration { return r.p50 }),
			milliseconds(rounds, func(r result) time.Duration { return r.p99 }),
			median(each(rounds, func(_ int, r result) float64 { return r.rate })))
		title = ""
	}
}

// say prints a figure that is no request's.
func (b *bench) say(what, front, figure string) {
	fmt.Printf("%-32s %-13s %s\n", what, front, figure)
}

func milliseconds(rounds []result, of func(result) time.Duration) float64 {
	return median(each(rounds, func(_ int, r result) float64 { return of(r).Seconds() * 1000 }))
}

func each(rounds []result, of func(int, result) float64) []float64 {
	values := make([]float64, len(rounds))
	for i, r := range rounds {
		values[i] = of(i, r)
	}
	return values
}

func median(values []float64) float64 {
	slices.Sort(values)
	return values[len(values)/2]
}
