package backend_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/portico-api/portico/aggregator/backend"
	"github.com/portico-api/portico/aggregator/wire"
)

// fickle is a server that speaks what it is told to, and counts its connections.
type fickle struct {
	*httptest.Server
	speaks atomic.Pointer[[]string]
	strict atomic.Bool // it breaks a handshake off in which nothing is offered that it speaks

	mu   sync.Mutex
	open map[net.Conn]bool
	made int
}

func newFickle(tb testing.TB, cert *tls.Certificate, handler http.HandlerFunc, speaks ...string) *fickle {
	tb.Helper()
	f := &fickle{Server: httptest.NewUnstartedServer(handler), open: map[net.Conn]bool{}}
	f.speaks.Store(&speaks)
	f.EnableHTTP2 = true
	f.Config.ErrorLog = log.New(io.Discard, "", 0)
	f.Config.ConnState = f.count
	f.TLS = &tls.Config{Certificates: []tls.Certificate{*cert}, ClientAuth: tls.RequestClientCert}
	f.TLS.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		c := f.TLS.Clone()
		c.GetConfigForClient = nil
		c.NextProtos = *f.speaks.Load()
		if f.strict.Load() && !slices.ContainsFunc(c.NextProtos, func(p string) bool { return slices.Contains(hello.SupportedProtos, p) }) {
			c.NextProtos = []string{"nothing that anybody offers"}
		}
		return c, nil
	}
	f.StartTLS()
	tb.Cleanup(f.Close)
	return f
}

func (f *fickle) count(c net.Conn, state http.ConnState) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch state {
	case http.StateActive:
		if !f.open[c] {
			f.made++
		}
		f.open[c] = true
	case http.StateClosed, http.StateHijacked:
		delete(f.open, c)
	}
}

// connections is how many that had a request are open, and were made.
func (f *fickle) connections() (open, made int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.open), f.made
}

func (f *fickle) become(speaks ...string) {
	f.speaks.Store(&speaks)
	f.CloseClientConnections()
}

// follow answers with the protocol of the request, and with an event every now and then, until the client goes.
func follow(w http.ResponseWriter, r *http.Request) {
	name := ""
	if len(r.TLS.PeerCertificates) > 0 {
		name = r.TLS.PeerCertificates[0].Subject.CommonName
	}
	fmt.Fprintf(w, "%s %s\n", r.Proto, name)
	if r.URL.Query().Get("watch") == "" {
		return
	}
	for http.NewResponseController(w).Flush() == nil {
		select {
		case <-r.Context().Done():
			return
		case <-time.After(10 * time.Millisecond):
			_, _ = io.WriteString(w, "event\n")
		}
	}
}

// exchangeOver is one exchange the way the proxy has it.
type exchangeOver struct {
	endpoint *backend.Endpoint
	conn     *wire.Conn
	stream   *wire.Stream
	first    string // of the body
	failed   bool
}

func begin(ctx context.Context, tr *backend.Transport, need wire.Need, path string) (*exchangeOver, error) {
	e, err := tr.Pick(nil)
	if err != nil {
		return nil, err
	}
	return beginAt(ctx, e, need, path)
}

func beginAt(ctx context.Context, e *backend.Endpoint, need wire.Need, path string) (x *exchangeOver, err error) {
	x = &exchangeOver{endpoint: e}
	if x.conn, x.stream, err = e.Connect(ctx, need); err != nil {
		e.Done(nil, false, false)
		return nil, err
	}
	if x.conn != nil {
		if _, err = io.WriteString(x.conn, "GET "+path+" HTTP/1.1\r\nHost: a\r\n\r\n"); err == nil {
			_, err = x.conn.Receive(http.MethodGet, nil)
		}
	} else {
		r := &http.Request{Method: http.MethodGet, Host: "a", URL: &url.URL{Scheme: "https", Host: "a"}, Header: http.Header{}}
		if r.URL, err = r.URL.Parse(path); err == nil {
			_, _, err = x.stream.Send(r)
		}
	}
	var data []byte
	if err == nil {
		e.Answered(http.StatusOK, time.Millisecond)
		data, err = x.next()
	}
	if x.first = string(data); err != nil && err != io.EOF {
		x.failed = true
		x.done(len(data) > 0)
		return nil, err
	}
	return x, nil
}

func (x *exchangeOver) next() ([]byte, error) {
	if x.conn != nil {
		return x.conn.Next()
	}
	return x.stream.Next()
}

func (x *exchangeOver) done(answered bool) {
	if x.conn != nil {
		x.endpoint.Done(x.conn, answered, x.failed)
	} else {
		x.endpoint.Ended(x.stream, answered, x.failed)
	}
}

// lives tells whether another event comes.
func (x *exchangeOver) lives() bool {
	_, err := x.next()
	return err == nil
}

var (
	short = wire.Need{Safe: true}
	long  = wire.Need{Safe: true, Long: true}
	alone = wire.Need{Alone: true}
)

const watch = "/?watch=1"

func mustBegin(t *testing.T, tr *backend.Transport, need wire.Need, path string) *exchangeOver {
	t.Helper()
	x, err := begin(t.Context(), tr, need, path)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func mustCertificate(t *testing.T) *tls.Certificate {
	t.Helper()
	cert, _ := certificate(t, "api.ns.svc")
	return cert
}
