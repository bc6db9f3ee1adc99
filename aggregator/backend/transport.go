package backend

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

const (
	dialTimeout      = 10 * time.Second
	handshakeTimeout = 10 * time.Second
	keepAlive        = 30 * time.Second
	// idleTimeout is shorter than the idle timeout of API servers (90 s), so that it is this side
	// that closes first and no request is lost on a connection that is just being closed.
	idleTimeout = 75 * time.Second
	// maxIdle bounds the idle connections to one endpoint. Every one was needed at once before,
	// and a handshake costs as much as some twenty requests.
	maxIdle = 512
	// maxResponseHeader bounds what a backend can make this process hold for one answer.
	maxResponseHeader = 1 << 20
)

// Config says how one APIService's backend is reached.
type Config struct {
	Service ServiceReference
	// CABundle are the PEM roots of the backend's certificate; empty means the system's.
	CABundle              []byte
	InsecureSkipTLSVerify bool
	// ClientCertificate returns the certificate by which backends recognise this front door; nil
	// means none. It is asked on every request and answers from memory, with the same pointer until
	// the certificate changes: another pointer means new connections.
	ClientCertificate func() (*tls.Certificate, error)
}

// Transport spreads the requests of one APIService over the endpoints of its service and owns the
// connections to them.
//
// It speaks HTTP/1.1 to backends, on pooled connections: each request has a connection of its own,
// so no request waits behind another one's stream, a backend with several replicas is not pinned to
// one of them, and a short request costs a fifth less time and a third less memory than over
// HTTP/2 (see BenchmarkRoundTrip). Each watch then holds a connection, which is as it should be.
type Transport struct {
	cfg      Config
	resolver *Resolver
	tls      *tls.Config // without the client certificate
	err      error       // why no connection can be made at all

	set atomic.Pointer[endpointSet]
	// connections is the pool of the present client certificate.
	connections atomic.Pointer[pool]

	mu sync.Mutex // guards the replacing of set and connections, not their reading
}

// pool holds the connections made with one client certificate.
type pool struct {
	certificate *tls.Certificate
	tls         *tls.Config
	http        *http.Transport
}

// NewTransport returns the transport of one APIService. A configuration that cannot work, such as
// a CA bundle without a certificate, is kept and reported by Err and by every Pick: it must not
// hurt any other service.
func NewTransport(cfg Config, resolver *Resolver) *Transport {
	t := &Transport{cfg: cfg, resolver: resolver}
	t.tls, t.err = clientTLS(cfg)
	return t
}

func clientTLS(cfg Config) (*tls.Config, error) {
	c := &tls.Config{
		MinVersion:         tls.VersionTLS12,
		ServerName:         cfg.Service.ServerName(),
		InsecureSkipVerify: cfg.InsecureSkipTLSVerify,
		NextProtos:         []string{"http/1.1"},
	}
	switch {
	case len(cfg.CABundle) == 0:
	case cfg.InsecureSkipTLSVerify:
		return nil, errors.New("reading caBundle: it must be empty when insecureSkipTLSVerify is set")
	default:
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(cfg.CABundle) {
			return nil, errors.New("reading caBundle: it holds no PEM certificate")
		}
	}
	return c, nil
}

// Err tells why no request can be sent whatever the endpoints are; nil when one can.
func (t *Transport) Err() error {
	if t.err != nil {
		return t.err
	}
	_, err := t.current()
	return err
}

// Pick chooses the endpoint of one request. release must be called once when the request is over.
// The error is an *Unresolved, or an APIStatus of code 500 that says what is wrong with the
// configuration.
func (t *Transport) Pick() (address string, release func(), err error) {
	if t.err != nil {
		return "", nil, apierrors.NewInternalError(t.err)
	}
	set := t.endpoints()
	if set.err != nil {
		return "", nil, set.err
	}
	e := set.choose()
	e.inFlight.Add(1)
	return e.address, e.release, nil
}

// endpoints returns the present endpoints; they are made anew only when the objects they come from
// have changed.
func (t *Transport) endpoints() *endpointSet {
	f := t.resolver.read(t.cfg.Service)
	set := t.set.Load()
	if set != nil && set.facts.same(f) {
		return set
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	set = newEndpointSet(f, t.cfg.Service, t.set.Load())
	t.set.Store(set)
	return set
}

// RoundTrip sends r to the endpoint in its URL, which Pick has chosen.
func (t *Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	p, err := t.current()
	if err != nil {
		return nil, err
	}
	return p.http.RoundTrip(r)
}

// Dial opens a connection to address for a protocol upgrade, with the same TLS settings, outside
// the pool.
func (t *Transport) Dial(ctx context.Context, address string) (net.Conn, error) {
	p, err := t.current()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, dialTimeout+handshakeTimeout)
	defer cancel()
	d := tls.Dialer{NetDialer: dialer(), Config: p.tls}
	return d.DialContext(ctx, "tcp", address)
}

// Close closes idle connections now and those in use when they fall idle. Requests that are on
// their way are not disturbed.
func (t *Transport) Close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if p := t.connections.Load(); p != nil {
		p.http.CloseIdleConnections()
	}
}

// current returns the pool of the present client certificate. A connection keeps the certificate
// it was made with for life, so a renewed one needs new connections.
func (t *Transport) current() (*pool, error) {
	if t.err != nil {
		return nil, t.err
	}
	var certificate *tls.Certificate
	if t.cfg.ClientCertificate != nil {
		var err error
		if certificate, err = t.cfg.ClientCertificate(); err != nil {
			return nil, fmt.Errorf("reading the proxy client certificate: %w", err)
		}
	}
	if p := t.connections.Load(); p != nil && p.certificate == certificate {
		return p, nil
	}

	t.mu.Lock()
	defer t.mu.Unlock()
	former := t.connections.Load()
	if former != nil && former.certificate == certificate {
		return former, nil
	}
	p := t.newPool(certificate)
	t.connections.Store(p)
	if former != nil {
		former.http.CloseIdleConnections()
	}
	return p, nil
}

func (t *Transport) newPool(certificate *tls.Certificate) *pool {
	c := t.tls.Clone()
	// A resumed session carries the certificate it began with, so each pool has its own sessions.
	c.ClientSessionCache = tls.NewLRUClientSessionCache(0)
	if certificate != nil {
		// Offered whatever CAs the backend names: it asks for a front proxy's certificate and
		// would otherwise take the request for one without.
		c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return certificate, nil }
	}
	return &pool{
		certificate: certificate,
		tls:         c,
		http: &http.Transport{
			DialContext:            dialer().DialContext,
			TLSClientConfig:        c,
			TLSHandshakeTimeout:    handshakeTimeout,
			MaxIdleConns:           0,
			MaxIdleConnsPerHost:    maxIdle,
			IdleConnTimeout:        idleTimeout,
			ExpectContinueTimeout:  time.Second,
			MaxResponseHeaderBytes: maxResponseHeader,
			DisableCompression:     true, // bodies pass as they are
		},
	}
}

func dialer() *net.Dialer { return &net.Dialer{Timeout: dialTimeout, KeepAlive: keepAlive} }
