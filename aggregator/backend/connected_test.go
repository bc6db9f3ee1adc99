package backend_test

import (
	"crypto/tls"
	"io"
	"net/http"
	"sync/atomic"
	"testing"

	"github.com/portico-api/portico/aggregator/backend"
	"github.com/portico-api/portico/aggregator/wire"
)

func TestAConnectionThatWaitsIsFound(t *testing.T) {
	cert, _ := certificate(t, "api.ns.svc")
	mine, _ := certificate(t, "front")
	var renewed atomic.Pointer[tls.Certificate]
	renewed.Store(mine)
	block := make(chan struct{})
	hello := func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/wait" {
			_ = http.NewResponseController(w).Flush()
			<-block
		}
	}
	one, two := newFickle(t, cert, hello, "http/1.1").Server, newFickle(t, cert, hello, "http/1.1").Server
	services := at(t, one, two)
	tr := newTransport(t, backend.Config{
		InsecureSkipTLSVerify: true, ClientCertificate: func() (*tls.Certificate, error) { return renewed.Load(), nil },
	}, services)
	open := func(address, path string) io.ReadCloser {
		t.Helper()
		r, _ := http.NewRequest(http.MethodGet, "https://"+address+path, nil)
		answer, err := tr.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		return answer.Body
	}
	read := func(body io.ReadCloser) {
		_, _ = io.Copy(io.Discard, body)
		body.Close()
	}
	want := func(when, address string) {
		t.Helper()
		if got, ok := tr.Connected(""); got != address || ok != (address != "") {
			t.Errorf("%s: connected to %q, want %q", when, got, address)
		}
	}

	want("before the first request", "")
	read(open(addressOf(two), "/"))
	want("after a request", addressOf(two))
	watch := open(addressOf(two), "/wait")
	want("while the connection is used", "")
	read(open(addressOf(one), "/"))
	want("after a request elsewhere", addressOf(one))
	if got, ok := tr.Connected(addressOf(one)); ok {
		t.Errorf("connected to %q, which is not what is asked for", got)
	}
	services.slices = services.slices[1:]
	want("after the endpoint has gone", "")
	close(block)
	read(watch)
	want("after the use has ended", addressOf(two))
	other, _ := certificate(t, "front")
	renewed.Store(other)
	if err := tr.Err(); err != nil { // notices the certificate
		t.Fatal(err)
	}
	want("after the certificate was renewed", "")
}

// A server that has HTTP/2 alone has no connection that waits, but one that is shared.
func TestASharedConnectionIsFound(t *testing.T) {
	cert, roots := certificate(t, "api.ns.svc")
	one, two := newFickle(t, cert, follow, "h2"), newFickle(t, cert, follow, "h2")
	tr := newTransport(t, backend.Config{CABundle: roots}, at(t, one.Server, two.Server))
	x := mustBegin(t, tr, wire.Need{}, "/")
	chosen := x.endpoint.Address()
	for range 2 { // while there is a request on it, and after that
		if got, ok := tr.Connected(""); got != chosen || !ok {
			t.Errorf("connected to %q, want %q", got, chosen)
		}
		if x != nil {
			x.done(true)
			x = nil
		}
	}
}
