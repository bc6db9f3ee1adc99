package storage_test

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/portico-api/portico/delegation/storage"
)

// benchStore is a store of its own, so that one benchmark does not pay for the data of another.
func benchStore(b *testing.B) *storage.Store {
	b.Helper()
	s, err := storage.Open(context.Background(), storage.Config{DataDir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { s.Close() })
	return s
}

var payload = strings.Repeat("x", 1000)

// parallel runs n operations on so many goroutines.
func parallel(b *testing.B, workers, n int, operation func(i int64) error) {
	b.Helper()
	var next atomic.Int64
	var running sync.WaitGroup
	for range workers {
		running.Go(func() {
			for i := next.Add(1); i <= int64(n); i = next.Add(1) {
				if err := operation(i); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	running.Wait()
}

func fillCache(b *testing.B, c *storage.Cache, n int) {
	b.Helper()
	parallel(b, 64, n, func(i int64) error {
		name := fmt.Sprintf("x%06d", i)
		_, err := c.Create(context.Background(), "a", name, thing(name, payload), 0)
		return err
	})
}

func BenchmarkGet(b *testing.B) {
	c := resource(b, benchStore(b))
	fillCache(b, c, 10000)
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		if _, err := c.Get(context.Background(), "a", "x005000", storage.Read{}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkList10000(b *testing.B) {
	c := resource(b, benchStore(b))
	fillCache(b, c, 10000)
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		snap, err := c.Snapshot(context.Background(), storage.Read{})
		if err != nil {
			b.Fatal(err)
		}
		objects, bytes := 0, 0
		snap.Ascend("a", "", func(o *storage.Object) bool {
			objects++
			bytes += len(o.JSON())
			return true
		})
		if objects != 10000 {
			b.Fatalf("got %d objects", objects)
		}
	}
}

// BenchmarkWrite is creating objects through the cache, against putting the same bytes into the same etcd.
func BenchmarkWrite(b *testing.B) {
	for _, workers := range []int{1, 16, 64} {
		b.Run(fmt.Sprintf("raw-put/%d", workers), func(b *testing.B) {
			s := benchStore(b)
			b.ReportAllocs()
			b.ResetTimer()
			parallel(b, workers, b.N, func(i int64) error {
				name := fmt.Sprintf("x%09d", i)
				return storage.PutRaw(context.Background(), s, "elsewhere/a/"+name, string(thing(name, payload)))
			})
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "writes/s")
		})
		b.Run(fmt.Sprintf("create/%d", workers), func(b *testing.B) {
			c := resource(b, benchStore(b))
			b.ReportAllocs()
			b.ResetTimer()
			parallel(b, workers, b.N, func(i int64) error {
				name := fmt.Sprintf("x%09d", i)
				_, err := c.Create(context.Background(), "a", name, thing(name, payload), 0)
				return err
			})
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "writes/s")
		})
	}
}

// BenchmarkWatch is one update delivered to so many watchers, all of them asleep before it.
func BenchmarkWatch(b *testing.B) {
	for _, watchers := range []int{1, 1000, 10000} {
		b.Run(fmt.Sprint(watchers), func(b *testing.B) {
			c := resource(b, benchStore(b))
			o := create(b, c, "a", "x", payload)
			ctx, cancel := context.WithCancel(context.Background())
			var running, delivered sync.WaitGroup
			for range watchers {
				cur, err := c.Watch(ctx, "", o.ResourceVersion())
				if err != nil {
					b.Fatal(err)
				}
				running.Go(func() {
					defer cur.Close()
					for {
						events, _, err := cur.Next()
						if err != nil {
							return
						}
						for _, e := range events {
							_ = e.Frame(e.Type)
							delivered.Done()
						}
					}
				})
			}
			b.ReportAllocs()
			b.ResetTimer()
			for range b.N {
				delivered.Add(watchers)
				o = update(b, c, o, payload)
				delivered.Wait()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*watchers), "ns/delivery")
			b.StopTimer()
			cancel()
			running.Wait()
		})
	}
}

// BenchmarkMemory tells what an object of 1.2 KB costs in the cache: the JSON and what is beside it. The goal is one and
// a half times the JSON and 300 bytes.
func BenchmarkMemory(b *testing.B) {
	s := benchStore(b)
	const n = 20000
	writer := resource(b, s)
	fillCache(b, writer, n)
	path := writer.Path()
	writer.Close()
	for range b.N {
		c, err := s.OpenResource(context.Background(), storage.ResourceConfig{Resource: "again", Path: path, Namespaced: true})
		if err != nil {
			b.Fatal(err)
		}
		o, err := c.Get(context.Background(), "a", "x000001", storage.Read{})
		if err != nil {
			b.Fatal(err)
		}
		size := float64(len(o.JSON()))
		// Compared with afterwards: what the etcd still held of the writes is gone from both.
		with := heap()
		runtime.KeepAlive(o)
		c.Close()
		c, o = nil, nil
		each := float64(with-heap()) / n
		b.ReportMetric(each, "B/object")
		b.ReportMetric(each-size, "B/object-beside-JSON")
		b.ReportMetric(each/(1.5*size+300), "x-goal")
	}
}

func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
