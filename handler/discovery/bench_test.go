package discovery_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/portico-api/portico/handler/discovery"
)

// discard is a response writer that keeps nothing but its headers.
type discard struct{ header http.Header }

func (d discard) Header() http.Header         { return d.header }
func (d discard) Write(p []byte) (int, error) { return len(p), nil }
func (d discard) WriteHeader(int)             {}

func manyGroups(n int) *discovery.Manager {
	m := discovery.NewManager(nil)
	for i := range n {
		group := fmt.Sprintf("group-%d.example.com", i)
		m.AddGroupVersion(discovery.SourceCustomResources, group, version("v1", "things"))
		m.SetGroupVersionPriority(metav1.GroupVersion{Group: group, Version: "v1"}, 1000, 100)
	}
	return m
}

func BenchmarkAggregatedDocument(b *testing.B) {
	for _, n := range []int{10, 10_000} {
		b.Run(fmt.Sprintf("groups=%d", n), func(b *testing.B) {
			h := manyGroups(n).GroupsHandler(http.NotFoundHandler())
			r := httptest.NewRequest(http.MethodGet, "/apis", nil)
			r.Header.Set("Accept", v2+","+v2beta1+","+plain)
			h.ServeHTTP(discard{http.Header{}}, r)
			b.ReportAllocs()
			for b.Loop() {
				h.ServeHTTP(discard{http.Header{}}, r)
			}
		})
	}
}

func BenchmarkAggregate(b *testing.B) {
	for _, n := range []int{10, 10_000} {
		b.Run(fmt.Sprintf("groups=%d", n), func(b *testing.B) {
			m := manyGroups(n)
			h := m.GroupsHandler(http.NotFoundHandler())
			r := httptest.NewRequest(http.MethodGet, "/apis", nil)
			r.Header.Set("Accept", v2)
			b.ReportAllocs()
			for b.Loop() {
				m.AddGroupVersion(discovery.SourceAggregator, "changed.example.com", version("v1"))
				h.ServeHTTP(discard{http.Header{}}, r)
			}
		})
	}
}
