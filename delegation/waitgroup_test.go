package delegation_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/portico-api/portico/delegation"
)

func TestRequestWaitGroupWaitsForTheLastAndRefusesNewOnes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := delegation.NewRequestWaitGroup()
		for range 2 {
			if err := g.Add(); err != nil {
				t.Fatal(err)
			}
		}
		done := make(chan error, 1)
		go func() { done <- g.Wait(t.Context()) }()
		synctest.Wait()
		if err := g.Add(); !errors.Is(err, delegation.ErrDraining) {
			t.Errorf("Add while somebody waits: got %v, want %v", err, delegation.ErrDraining)
		}
		g.Done()
		synctest.Wait()
		select {
		case <-done:
			t.Fatal("Wait returned with one request in flight")
		default:
		}
		g.Done()
		if err := <-done; err != nil {
			t.Errorf("Wait: got %v, want no error", err)
		}
		if err := g.Wait(t.Context()); err != nil {
			t.Errorf("Wait once more: got %v, want no error", err)
		}
	})
}

func TestRequestWaitGroupWaitEndsWithItsContext(t *testing.T) {
	g := delegation.NewRequestWaitGroup()
	if err := g.Add(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := g.Wait(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Wait: got %v, want %v", err, context.Canceled)
	}
}

func TestRequestWaitGroupLosesNoRequestToARace(t *testing.T) {
	for range 200 {
		g := delegation.NewRequestWaitGroup()
		var inFlight atomic.Int64
		var clients sync.WaitGroup
		for range 4 {
			clients.Go(func() {
				for g.Add() == nil {
					inFlight.Add(1)
					inFlight.Add(-1)
					g.Done()
				}
			})
		}
		if err := g.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n := inFlight.Load(); n != 0 {
			t.Fatalf("Wait returned with %d requests in flight", n)
		}
		clients.Wait()
	}
}

func BenchmarkRequestWaitGroup(b *testing.B) {
	g := delegation.NewRequestWaitGroup()
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if err := g.Add(); err != nil {
				b.Fatal(err)
			}
			g.Done()
		}
	})
}
