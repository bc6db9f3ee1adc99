package proxy_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"errors"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/authentication/user"

	"github.com/portico-api/portico/aggregator/proxy"
	"github.com/portico-api/portico/aggregator/wire"
)

// certificate returns a self-signed certificate for 127.0.0.1 and a pool that trusts it.
func certificate(tb testing.TB) (tls.Certificate, *x509.CertPool) {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: "test"},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(time.Hour),
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA:         true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		tb.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		tb.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, pool
}

// server starts a TLS server of both protocols.
func server(tb testing.TB, cert tls.Certificate, handler http.Handler) *httptest.Server {
	tb.Helper()
	s := httptest.NewUnstartedServer(handler)
	s.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
	s.EnableHTTP2 = true
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	tb.Cleanup(s.Close)
	return s
}

// target is a backend of one endpoint, which keeps the connections that can be kept.
type target struct {
	address   string
	transport *http.Transport // the client of a bare ReverseProxy
	dialer    wire.Dialer
	err       error

	mu     sync.Mutex
	idle   []*wire.Conn
	shared *wire.Shared // if everything goes over HTTP/2
	blamed int
}

func newTarget(tb testing.TB, address string, roots *x509.CertPool) *target {
	config := &tls.Config{RootCAs: roots}
	t := &target{
		address:   address,
		transport: &http.Transport{TLSClientConfig: config, DisableCompression: true, MaxIdleConnsPerHost: 512},
		dialer: wire.Dialer{
			Net:              new(net.Dialer),
			TLS:              &tls.Config{RootCAs: roots, ServerName: "127.0.0.1", NextProtos: []string{"http/1.1"}},
			HandshakeTimeout: 20 * time.Second,
			Buffers:          new(wire.Buffers),
		},
	}
	tb.Cleanup(t.transport.CloseIdleConnections)
	tb.Cleanup(t.close)
	return t
}

func (t *target) Pick(proxy.Endpoint) (proxy.Endpoint, error) { return t, t.err }

func (t *target) MayRetry() bool { return true }

func (t *target) Connect(ctx context.Context, need wire.Need) (*wire.Conn, *wire.Stream, error) {
	t.mu.Lock()
	if t.shared != nil {
		defer t.mu.Unlock()
		if s := t.shared.Begin(ctx, need.Safe); s != nil {
			return nil, s, nil
		}
		return nil, nil, errors.New("there is no room")
	}
	for n := len(t.idle); n > 0; n = len(t.idle) {
		c := t.idle[n-1]
		t.idle = t.idle[:n-1]
		if c.Alive() {
			t.mu.Unlock()
			c.Begin()
			return c, nil, nil
		}
		c.Close()
	}
	t.mu.Unlock()
	c, err := t.dialer.Dial(ctx, t.address)
	if err != nil {
		return nil, nil, err
	}
	c.Begin()
	return c, nil, nil
}

// share makes a connection of HTTP/2.
func (t *target) share(tb testing.TB) *wire.Shared {
	tb.Helper()
	d := t.dialer
	d.Either = d.TLS.Clone()
	d.Either.NextProtos = []string{wire.HTTP2}
	c, err := d.DialEither(tb.Context(), t.address)
	if err != nil {
		tb.Fatal(err)
	}
	shared, err := c.Share(tb.Context(), time.Minute, func() {})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(shared.Close)
	return shared
}

// Ended is Done for a stream.
func (t *target) Ended(s *wire.Stream, _, failed bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if failed {
		t.blamed++
	}
	s.End()
}

func (t *target) Answered(int, time.Duration) {}

func (t *target) Done(c *wire.Conn, _, _ bool) {
	if c == nil {
		return
	}
	if !c.End() {
		c.Close()
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.idle = append(t.idle, c)
}

func (t *target) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, c := range t.idle {
		c.Close()
	}
}

var alice = &user.DefaultInfo{
	Name:   "alice",
	UID:    "42",
	Groups: []string{"developers", "system:authenticated"},
	Extra:  map[string][]string{"Example.com/Scope%": {"one", "two"}},
}

func config(backend proxy.Backend) proxy.Config {
	return proxy.Config{
		Backend:       backend,
		UserFrom:      func(*http.Request) (user.Info, bool) { return alice, true },
		AuditIDFrom:   func(*http.Request) string { return "audit-1" },
		DiscoveryPath: "/apis/example.com/v1",
		IsWatch:       func(r *http.Request) bool { return r.URL.Query().Get("watch") == "1" },
		WriteError: func(w http.ResponseWriter, r *http.Request, err error) {
			var status apierrors.APIStatus
			if !errors.As(err, &status) {
				panic(err)
			}
			s := status.Status()
			s.TypeMeta = metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(int(s.Code))
			_ = json.NewEncoder(w).Encode(s)
		},
	}
}

// front starts a front door whose only backend is handler.
func front(tb testing.TB, handler http.HandlerFunc, change func(*proxy.Config)) (url string, client func(http2 bool) *http.Client) {
	tb.Helper()
	cert, roots := certificate(tb)
	back := server(tb, cert, handler)
	to := newTarget(tb, back.Listener.Addr().String(), roots)
	if strings.Contains(tb.Name(), overStreams) {
		to.shared = to.share(tb)
	}
	cfg := config(to)
	if change != nil {
		change(&cfg)
	}
	h, err := proxy.New(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	s := server(tb, cert, h)
	return s.URL, func(http2 bool) *http.Client { return newClient(tb, roots, http2) }
}

func newClient(tb testing.TB, roots *x509.CertPool, http2 bool) *http.Client {
	transport := &http.Transport{
		TLSClientConfig:     &tls.Config{RootCAs: roots},
		ForceAttemptHTTP2:   http2,
		DisableCompression:  true,
		MaxIdleConnsPerHost: 512,
	}
	tb.Cleanup(transport.CloseIdleConnections)
	return &http.Client{
		Transport:     transport,
		Timeout:       20 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// overStreams in the name of a test has front speak HTTP/2 to its backend.
const overStreams = "to_a_backend_of_HTTP/2"

// all runs a test over each protocol on either side.
func all(t *testing.T, test func(t *testing.T, http2 bool)) {
	both(t, test)
	t.Run(overStreams, func(t *testing.T) { both(t, test) })
}

// both runs a test over each protocol of clients.
func both(t *testing.T, test func(t *testing.T, http2 bool)) {
	t.Run("http1", func(t *testing.T) { test(t, false) })
	t.Run("http2", func(t *testing.T) { test(t, true) })
}

// wantAnswer sends a request and wants an answer of code after the backend was asked so many times.
func wantAnswer(t *testing.T, client *http.Client, method, url, body string, code int, asked *atomic.Int32, times int32) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	answer, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if answer.StatusCode != code || asked.Load() != times {
		t.Errorf("answer %d after the backend was asked %d times, want %d after %d", answer.StatusCode, asked.Load(), code, times)
	}
}
