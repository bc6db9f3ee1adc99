package metrics_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/portico-api/portico/metrics"
)

func BenchmarkDone(b *testing.B) {
	m := metrics.New()
	call := metrics.Call{Verb: metrics.Get, Scope: metrics.ResourceScope, Group: "g", Version: "v1", Resource: "things", Known: true}
	b.ReportAllocs()
	for b.Loop() {
		m.Requests.Done(call, metrics.Outcome{Code: 200, Took: time.Millisecond, Size: 1500})
	}
}

func BenchmarkBackendAnswered(b *testing.B) {
	e := metrics.New().Backend.Endpoint("v1.g", "10.0.0.1:443")
	b.ReportAllocs()
	for b.Loop() {
		e.InFlight(1)
		e.Answered(200, time.Millisecond)
		e.InFlight(-1)
	}
}

// BenchmarkScrapeAfterAReset is what subtracting costs, which only a scrape after DELETE /metrics does.
func BenchmarkScrapeAfterAReset(b *testing.B) {
	m := metrics.New()
	for i := range 500 {
		m.Requests.Done(metrics.Call{Verb: metrics.Get, Group: "g", Version: "v1", Resource: fmt.Sprint("r", i), Known: true}, metrics.Outcome{Code: 200})
	}
	h := m.ResettableHandler()
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodDelete, "/metrics", nil))
	r := httptest.NewRequest(http.MethodGet, "/metrics", nil)
	b.ReportAllocs()
	for b.Loop() {
		h.ServeHTTP(&counting{ResponseWriter: httptest.NewRecorder()}, r)
	}
}

func BenchmarkObserveRequest(b *testing.B) {
	m := metrics.New()
	b.ReportAllocs()
	for b.Loop() {
		m.Storage.ObserveRequest("get", "g", "things", time.Millisecond, nil)
	}
}

// BenchmarkScrape is one scrape of a large house: 1,000 APIServices, every tenth with two endpoints, and 500 resources that are read, listed, watched and written.
func BenchmarkScrape(b *testing.B) {
	m := metrics.New()
	for i := range 1000 {
		name := fmt.Sprintf("v1.group%d.example.com", i)
		m.Aggregator.SetUnavailable(name, "FailedDiscoveryCheck", i%10 == 0)
		if i%10 == 0 {
			for _, address := range []string{"10.0.0.1:443", "10.0.0.2:443"} {
				m.Backend.Endpoint(name, address).Answered(200, time.Millisecond)
			}
		}
	}
	for i := range 500 {
		group, resource := fmt.Sprintf("group%d.example.com", i/5), fmt.Sprint("resource", i)
		for _, verb := range []metrics.Verb{metrics.Get, metrics.List, metrics.Watch, metrics.Post, metrics.Put} {
			scope := metrics.ResourceScope
			if verb == metrics.List || verb == metrics.Watch {
				scope = metrics.ClusterScope
			}
			m.Requests.Done(metrics.Call{Verb: verb, Scope: scope, Group: group, Version: "v1", Resource: resource, Known: true}, metrics.Outcome{Code: 200, Took: time.Millisecond})
		}
		for _, operation := range []string{"get", "list", "create", "update"} {
			m.Storage.ObserveRequest(operation, group, resource, time.Millisecond, nil)
		}
		m.Storage.SetObjects(group, resource, i)
		m.Storage.ConsistentRead(group, resource, time.Microsecond, true)
		m.Requests.WatchEvents(group, "v1", resource)(1000)
	}
	for name, encoding := range map[string]string{"plain": "identity", "gzip": "gzip"} {
		b.Run(name, func(b *testing.B) {
			r := httptest.NewRequest(http.MethodGet, "/metrics", nil)
			r.Header.Set("Accept-Encoding", encoding)
			b.ReportAllocs()
			size := int64(0)
			for b.Loop() {
				w := &counting{ResponseWriter: httptest.NewRecorder()}
				m.Handler().ServeHTTP(w, r)
				size = w.n
			}
			b.ReportMetric(float64(size), "B/scrape")
		})
	}
}

// counting drops an answer and knows its size.
type counting struct {
	http.ResponseWriter
	n int64
}

func (c *counting) Write(p []byte) (int, error) {
	c.n += int64(len(p))
	return io.Discard.Write(p)
}
