package main

import (
	"context"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/portico-api/portico/test/rig"
)

const (
	groups    = 10 // that definitions belong to
	writers   = 8
	quietTime = 3 * time.Second
)

// measureDefinitions prints what many definitions cost, and what objects of them cost at the next start.
func measureDefinitions(binary string, count, objects int, idle time.Duration, elsewhere bool) error {
	dir, err := os.MkdirTemp("", "portico-measure-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	p, _, err := rig.StartPortico(binary, dir)
	if err != nil {
		return err
	}
	door, err := rig.Open(p.URL, dir)
	if err != nil {
		return err
	}
	ctx := context.Background()
	if err := door.Create(ctx, "/api/v1/namespaces", map[string]any{"metadata": map[string]any{"name": "a"}}); err != nil {
		return err
	}
	time.Sleep(idle)
	before := p.Memory()
	quiet, err := others(door, func() error { time.Sleep(quietTime); return nil })
	if err != nil {
		return err
	}
	loud, err := others(door, func() error { return startDefiner(door, count, elsewhere) })
	if err != nil {
		return err
	}
	fmt.Printf("p99 of other requests: %.2f ms, %.2f ms before: %.1f times\n", loud, quiet, loud/quiet)
	time.Sleep(idle)
	fmt.Printf("memory after %v idle: %.0f MB, %.0f MB before: %.3f MB each\n", idle, p.Memory(), before, (p.Memory()-before)/float64(count))
	begin := time.Now()
	if err := door.WaitFor(ctx, "/openapi/v3/apis/"+groupOf(0)+"/v1"); err != nil {
		return err
	}
	fmt.Printf("first OpenAPI document of one group with %d kinds: %.0f ms\n", count/groups, float64(time.Since(begin).Microseconds())/1000)

	begin = time.Now()
	err = each(objects, func(i int) error {
		kind := i % count
		return door.Create(ctx, namespaced(kind), map[string]any{
			"apiVersion": groupOf(kind) + "/v1", "kind": kindOf(kind), "metadata": map[string]any{"name": fmt.Sprint("o", i)},
			"spec": map[string]any{"part0": map[string]any{"field0": "x"}},
		})
	})
	if err != nil {
		return err
	}
	fmt.Printf("%d objects created in %.1f s\n", objects, time.Since(begin).Seconds())
	time.Sleep(idle)
	fmt.Printf("memory with them: %.0f MB\n", p.Memory())
	door.Close()
	if err := p.Stop(); err != nil {
		return err
	}
	p, ready, err := rig.StartPortico(binary, dir)
	if err != nil {
		return err
	}
	fmt.Printf("ready %.2f s after a restart\n", ready.Seconds())
	if door, err = rig.Open(p.URL, dir); err != nil {
		return err
	}
	begin = time.Now()
	for i := range count {
		if err := door.WaitFor(ctx, collection(i)+"?limit=1"); err != nil {
			return err
		}
	}
	fmt.Printf("a list of each kind, one after another, took %.2f s\n", time.Since(begin).Seconds())
	door.Close()
	return p.Stop()
}

func groupOf(i int) string { return fmt.Sprintf("g%d.example.com", i%groups) }
func kindOf(i int) string  { return fmt.Sprintf("Kind%d", i) }

func collection(i int) string { return fmt.Sprintf("/apis/%s/v1/kind%ds", groupOf(i), i) }
func namespaced(i int) string { return fmt.Sprintf("/apis/%s/v1/namespaces/a/kind%ds", groupOf(i), i) }

// each does n things, some at a time.
func each(n int, do func(i int) error) error {
	next := make(chan int)
	failed := make(chan error, writers)
	var working sync.WaitGroup
	for range writers {
		working.Go(func() {
			for i := range next {
				if err := do(i); err != nil {
					failed <- err
					for range next { // the others are not done
					}
					return
				}
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	working.Wait()
	close(failed)
	return <-failed
}
