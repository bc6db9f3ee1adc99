package proxy_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/portico-api/portico/aggregator/proxy"
)

// canned is a backend that costs nothing.
type canned struct{}

func (canned) Pick() (string, func(), error) { return "10.0.0.1:443", func() {}, nil }

func (canned) Dial(context.Context, string) (net.Conn, error) { return nil, net.ErrClosed }

func (canned) RoundTrip(*http.Request) (*http.Response, error) {
	return &http.Response{
		StatusCode:    http.StatusOK,
		Header:        http.Header{"Content-Type": {"application/json"}, "Date": {"now"}, "Audit-Id": {"audit-1"}},
		Body:          http.NoBody,
		ContentLength: 0,
	}, nil
}

type discard struct{ header http.Header }

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) Write(p []byte) (int, error) { return len(p), nil }
func (d *discard) WriteHeader(int)             {}

// BenchmarkHandler is what the handler itself adds to a request, without server and transport.
func BenchmarkHandler(b *testing.B) {
	h, err := proxy.New(config(canned{}))
	if err != nil {
		b.Fatal(err)
	}
	incoming := http.Header{
		"User-Agent": {"kubectl/v1.36.0"}, "Accept": {"application/json"}, "Accept-Encoding": {"gzip"},
		"Kubectl-Command": {"kubectl get"}, "Kubectl-Session": {"x"},
	}
	r := httptest.NewRequest(http.MethodGet, "/apis/example.com/v1/namespaces/demo/things/one", io.Reader(nil))
	w := &discard{header: http.Header{}}
	b.ReportAllocs()
	for b.Loop() {
		clear(r.Header)
		for name, values := range incoming {
			r.Header[name] = values
		}
		clear(w.header)
		h.ServeHTTP(w, r)
	}
}
