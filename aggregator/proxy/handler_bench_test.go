package proxy_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/portico-api/portico/aggregator/proxy"
	"github.com/portico-api/portico/aggregator/wire"
)

// canned is a backend that costs nothing: one connection that has the answer as soon as the request was written.
type canned struct {
	net.Conn
	conn *wire.Conn
	rest string
}

func newCanned() *canned {
	c := &canned{}
	c.conn = wire.New(c, "10.0.0.1:443", new(wire.Buffers))
	return c
}

const cannedAnswer = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nDate: now\r\nAudit-Id: audit-1\r\nContent-Length: 4\r\n\r\nbody"

func (c *canned) Write(p []byte) (int, error) {
	c.rest = cannedAnswer
	return len(p), nil
}

func (c *canned) Read(p []byte) (int, error) {
	n := copy(p, c.rest)
	c.rest = c.rest[n:]
	return n, nil
}

func (c *canned) Pick(proxy.Endpoint) (proxy.Endpoint, error) { return c, nil }

func (c *canned) MayRetry() bool { return false }

func (c *canned) Connect(context.Context, wire.Need) (*wire.Conn, *wire.Stream, error) {
	c.conn.Begin()
	return c.conn, nil, nil
}

func (c *canned) Ended(*wire.Stream, bool, bool) {}

func (c *canned) Answered(int, time.Duration) {}

func (c *canned) Done(conn *wire.Conn, _, _ bool) {
	if !conn.End() {
		panic("the exchange was not clean")
	}
}

type discard struct{ header http.Header }

func (d *discard) Header() http.Header         { return d.header }
func (d *discard) Write(p []byte) (int, error) { return len(p), nil }
func (d *discard) WriteHeader(int)             {}

// BenchmarkHandler is what the handler itself adds to a request, without server and transport.
func BenchmarkHandler(b *testing.B) {
	h, err := proxy.New(config(newCanned()))
	if err != nil {
		b.Fatal(err)
	}
	r := httptest.NewRequest(http.MethodGet, "/apis/example.com/v1/namespaces/demo/things/one", io.Reader(nil))
	w := &discard{header: http.Header{}}
	r.Header = http.Header{
		"User-Agent": {"kubectl/v1.36.0"}, "Accept": {"application/json"}, "Accept-Encoding": {"gzip"},
		"Kubectl-Command": {"kubectl get"}, "Kubectl-Session": {"x"},
	}
	ctx, cancel := context.WithCancel(b.Context()) // a server's requests have one
	defer cancel()
	r = r.WithContext(ctx)
	b.ReportAllocs()
	for b.Loop() {
		clear(w.header)
		h.ServeHTTP(w, r)
	}
}
