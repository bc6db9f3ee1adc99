package backend_test

import (
	"context"
	"crypto/tls"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/portico-api/portico/aggregator/backend"
)

// A backend that ends each connection as soon as it has one is not connected to again and again for as long as a client waits.
func TestABackendThatLetsNoRequestBeginIsGivenUp(t *testing.T) {
	cert, roots := certificate(t, "api.ns.svc")
	var made atomic.Int32
	s := httptest.NewUnstartedServer(http.NotFoundHandler())
	s.TLS = &tls.Config{Certificates: []tls.Certificate{*cert}, NextProtos: []string{"h2"}}
	s.Config.TLSNextProto = map[string]func(*http.Server, *tls.Conn, http.Handler){"h2": func(_ *http.Server, c *tls.Conn, _ http.Handler) {
		made.Add(1)
		leaveAtOnce(c)
	}}
	s.StartTLS()
	t.Cleanup(s.Close)
	seen := newRecord()
	tr := newTransport(t, backend.Config{CABundle: roots, Observer: seen}, at(t, s))
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if _, err := begin(ctx, tr, long, watch); err == nil || ctx.Err() != nil {
		t.Errorf("the error is %v, want another than that the time is over", err)
	}
	if n := made.Load(); n < 2 || n > 20 {
		t.Errorf("%d connections were made for one request, want some and not many", n)
	}
	if n := seen.count(addressOf(s), backend.Failures); n != 1 {
		t.Errorf("%d failures are counted, want one", n)
	}
	eventually(t, "the connections are gone", func() bool { return seen.count(addressOf(s), backend.Connections) == 0 })
}

// leaveAtOnce speaks HTTP/2 up to the end of its beginning.
func leaveAtOnce(c io.ReadWriter) {
	frames := http2.NewFramer(c, c)
	_, _ = io.ReadFull(c, make([]byte, len(http2.ClientPreface)))
	_ = frames.WriteSettings()
	for {
		frame, err := frames.ReadFrame()
		if err != nil {
			return
		}
		if ping, ok := frame.(*http2.PingFrame); ok && !ping.IsAck() {
			_ = frames.WriteGoAway(0, http2.ErrCodeNo, nil)
			_ = frames.WritePing(true, ping.Data)
		}
	}
}
