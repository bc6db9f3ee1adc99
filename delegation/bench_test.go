package delegation_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/portico-api/portico/delegation"
)

// discard is a response writer that keeps nothing but its headers.
type discard struct{ header http.Header }

func (d discard) Header() http.Header         { return d.header }
func (d discard) Write(p []byte) (int, error) { return len(p), nil }
func (d discard) WriteHeader(int)             {}

// BenchmarkFallThrough is what a chain costs a request that its last unit answers, beside the
// filters of the front.
func BenchmarkFallThrough(b *testing.B) {
	for _, units := range []int{1, 3} {
		b.Run(fmt.Sprintf("units=%d", units), func(b *testing.B) {
			config := openConfig()
			var unit *delegation.GenericAPIServer
			var target delegation.DelegationTarget = delegation.NewEmptyDelegate()
			for i := range units {
				next, err := config.New(fmt.Sprintf("unit-%d", i), target)
				if err != nil {
					b.Fatal(err)
				}
				if i == 0 {
					next.Handler.NonGoRestfulMux.Handle("/last", http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
				}
				unit, target = next, next
			}
			h, w := unit.UnprotectedHandler(), discard{http.Header{}}
			r := httptest.NewRequest(http.MethodGet, "/last", nil)
			b.ReportAllocs()
			for b.Loop() {
				h.ServeHTTP(w, r)
			}
		})
	}
}
