package storage_test

import (
	"context"
	"fmt"
	"runtime"
	"testing"

	"github.com/portico-api/portico/delegation/storage"
)

// BenchmarkSize tells that a cache does its work whether it holds ten objects or a million: what an object costs in
// memory, how long a start takes to fill it, and that a read, a page and a write cost the same.
//
// The million is written first, which takes a minute: go test -bench Size -benchtime 1000x ./delegation/storage
func BenchmarkSize(b *testing.B) {
	for _, n := range []int{10, 1_000_000} {
		b.Run(fmt.Sprintf("objects=%d", n), func(b *testing.B) { benchmarkSize(b, n) })
	}
}

func benchmarkSize(b *testing.B, n int) {
	s := benchStore(b)
	writer := resource(b, s)
	name := func(i int64) string { return fmt.Sprintf("x%08d", i) }
	parallel(b, 64, n, func(i int64) error {
		_, err := writer.Create(context.Background(), "a", name(i), thing(name(i), "small"), 0)
		return err
	})
	path := writer.Path()
	writer.Close()
	open := func(b *testing.B) *storage.Cache {
		b.Helper()
		c, err := s.OpenResource(context.Background(), storage.ResourceConfig{Resource: "again", Path: path, Namespaced: true})
		if err != nil {
			b.Fatal(err)
		}
		return c
	}

	b.Run("open", func(b *testing.B) {
		c := open(b)
		elapsed := b.Elapsed()
		with := heap()
		runtime.KeepAlive(c)
		o, err := c.Get(context.Background(), "a", name(1), storage.Read{})
		if err != nil {
			b.Fatal(err)
		}
		size := float64(len(o.JSON()))
		c.Close()
		c, o = nil, nil
		each := float64(with-heap()) / float64(n)
		b.ReportMetric(elapsed.Seconds(), "s/open")
		b.ReportMetric(size, "B/JSON")
		b.ReportMetric(each, "B/object")
		b.ReportMetric(each/(1.5*size+300), "x-goal")
	})
	c := open(b)
	defer c.Close()
	b.Run("get", func(b *testing.B) {
		b.ReportAllocs()
		for i := range b.N {
			if _, err := c.Get(context.Background(), "a", name(int64(i%n)+1), storage.Read{}); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("page", func(b *testing.B) {
		b.ReportAllocs()
		for i := range b.N {
			snapshot, err := c.Snapshot(context.Background(), storage.Read{})
			if err != nil {
				b.Fatal(err)
			}
			left := 10
			snapshot.Ascend("a", "a/"+name(int64(i%n)), func(*storage.Object) bool {
				left--
				return left > 0
			})
		}
	})
	b.Run("update", func(b *testing.B) {
		b.ReportAllocs()
		for i := range b.N {
			o, err := c.Get(context.Background(), "a", name(int64(i%n)+1), storage.Read{})
			if err != nil {
				b.Fatal(err)
			}
			update(b, c, o, "other")
		}
	})
}
