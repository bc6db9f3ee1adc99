package serving_test

import (
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/portico-api/portico/serving"
	"github.com/portico-api/portico/serving/pki"
)

// site is a server on a free port and what its clients need.
type site struct {
	address string
	roots   *x509.CertPool
	client  tls.Certificate

	stop            func()
	stopped         <-chan struct{}
	listenerStopped <-chan struct{}
}

func serve(t *testing.T, handler http.Handler, change func(*serving.SecureServingInfo)) *site {
	t.Helper()
	dir := t.TempDir()
	p, err := pki.Ensure(pki.Config{Dir: dir, Hosts: []string{"127.0.0.1", "localhost"}})
	if err != nil {
		t.Fatal(err)
	}
	cert, err := serving.NewCertFile(p.Serving.CertFile, p.Serving.KeyFile)
	if err != nil {
		t.Fatal(err)
	}
	ca, err := serving.NewCAFile(p.CA.CertFile)
	if err != nil {
		t.Fatal(err)
	}
	client, err := tls.LoadX509KeyPair(p.Admin.CertFile, p.Admin.KeyFile)
	if err != nil {
		t.Fatal(err)
	}
	ln, err := serving.Listen("127.0.0.1", 0)
	if err != nil {
		t.Fatal(err)
	}
	info := &serving.SecureServingInfo{Listener: ln, Cert: cert}
	if change != nil {
		change(info)
	}
	stop := make(chan struct{})
	stopped, listenerStopped, err := info.Serve(handler, 5*time.Second, stop)
	if err != nil {
		t.Fatal(err)
	}
	var once atomic.Bool
	s := &site{
		address: ln.Addr().String(), client: client,
		stop: func() {
			if once.CompareAndSwap(false, true) {
				close(stop)
			}
		},
		stopped: stopped, listenerStopped: listenerStopped,
	}
	s.roots, _ = ca.Bundle()
	t.Cleanup(func() {
		s.stop()
		await(t, "the server to stop", stopped)
		await(t, "the listener to stop", listenerStopped)
		goleak.VerifyNone(t)
	})
	return s
}

func await(t *testing.T, what string, c <-chan struct{}) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(20 * time.Second):
		t.Errorf("waiting for %s: nothing after 20 s", what)
	}
}

// httpClient speaks one protocol only.
func (s *site) httpClient(t *testing.T, http2 bool, certificates ...tls.Certificate) *http.Client {
	transport := &http.Transport{
		TLSClientConfig:   &tls.Config{RootCAs: s.roots, Certificates: certificates},
		ForceAttemptHTTP2: http2,
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// raw opens a TLS connection that is written to by hand.
func (s *site) raw(t *testing.T) *tls.Conn {
	t.Helper()
	c, err := tls.Dial("tcp", s.address, &tls.Config{RootCAs: s.roots, NextProtos: []string{"http/1.1"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	return c
}
