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

	"github.com/portico-api/portico/aggregator/wire"
	"github.com/portico-api/portico/metrics"
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
	// resolveAgain is how long a connection to a name is used: the name may mean another host by then.
	resolveAgain = time.Minute
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
	// Ready tells why an endpoint that was left out should not have requests again yet. It asks through RoundTrip; nil means that
	// one that shakes hands may have them.
	Ready func(ctx context.Context, address string) error
	// Doubted is told, a second later and not more often, that there is no endpoint which does not fail; nil means nobody is.
	Doubted func()
	// Buffers are lent to the connections; nil means some of the transport's own, which it rarely finds again when it is asked something
	// once in a while.
	Buffers *Buffers
	// Observer is told of the endpoints; nil means nobody.
	Observer Observer
	// Peers observes the certificates of backends; nil means that nobody does.
	Peers *metrics.Peers
}

// Buffers are what connections read into. Transports may share them.
type Buffers = wire.Buffers

// Transport spreads the requests of one APIService over the endpoints of its service and owns the
// connections to them.
//
// Short requests have a connection of HTTP/1.1 each, from a pool: none waits behind another one's stream, and it costs less than over HTTP/2 (see
// BenchmarkRoundTrip). Reads that go on, as watches do, share connections of HTTP/2, a hundred of them each, if the backend has that; so does everything
// to a backend that has nothing else. Each request chooses its endpoint anew, so a backend with several replicas is not pinned to one of them.
type Transport struct {
	cfg      Config
	resolver *Resolver
	tls      *tls.Config // without the client certificate
	err      error       // why no connection can be made at all
	budget   budget
	begun    time.Time

	set atomic.Pointer[endpointSet]
	// connections is how connections are made with the present client certificate.
	connections atomic.Pointer[pool]

	end     context.CancelFunc
	spawn   func(func(ctx context.Context)) // under mu; what it starts ends with Close
	running sync.WaitGroup

	mu       sync.Mutex // guards the replacing of set and connections, not their reading
	closed   bool
	doubting bool
}

// pool is how connections are made with one client certificate.
type pool struct {
	certificate *tls.Certificate
	dialer      wire.Dialer
	peers       *metrics.Peers
}

// dial makes a connection that speaks HTTP/1.1.
func (p *pool) dial(ctx context.Context, address string) (*wire.Conn, error) {
	c, err := p.dialer.Dial(ctx, address)
	p.peers.Failed(err)
	return c, err
}

// dialEither makes a connection that speaks what the backend chooses.
func (p *pool) dialEither(ctx context.Context, address string) (*wire.Conn, error) {
	c, err := p.dialer.DialEither(ctx, address)
	p.peers.Failed(err)
	return c, err
}

// NewTransport returns the transport of one APIService. A configuration that cannot work, such as
// a CA bundle without a certificate, is kept and reported by Err and by every Pick: it must not
// hurt any other service.
func NewTransport(cfg Config, resolver *Resolver) *Transport {
	if cfg.Observer == nil {
		cfg.Observer = nobody{}
	}
	if cfg.Doubted == nil {
		cfg.Doubted = func() {}
	}
	if cfg.Buffers == nil {
		cfg.Buffers = new(Buffers)
	}
	t := &Transport{cfg: cfg, resolver: resolver, begun: time.Now()}
	t.budget.credit.Store(firstCredits)
	t.tls, t.err = clientTLS(cfg)
	// What is started lives as long as the transport and belongs to no request.
	ctx, cancel := context.WithCancel(context.Background())
	t.end = cancel
	t.spawn = func(f func(context.Context)) {
		if !t.closed {
			t.running.Go(func() { f(ctx) })
		}
	}
	return t
}

// clock is the time since the transport was made, never 0.
func (t *Transport) clock() int64 { return int64(time.Since(t.begun)) + 1 }

func clientTLS(cfg Config) (*tls.Config, error) {
	c := &tls.Config{
		MinVersion:         tls.VersionTLS12,
		ServerName:         cfg.Service.ServerName(),
		InsecureSkipVerify: cfg.InsecureSkipTLSVerify,
		NextProtos:         []string{wire.HTTP1},
		VerifyConnection:   cfg.Peers.Connected,
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

// Pick chooses the endpoint of one request, another than not if there is one; not is nil the first time. Its Done must be called once.
// The error is an *Unresolved, or an APIStatus of code 500 that says what is wrong with the
// configuration.
func (t *Transport) Pick(not *Endpoint) (*Endpoint, error) {
	if t.err != nil {
		return nil, apierrors.NewInternalError(t.err)
	}
	set := t.endpoints()
	if set.err != nil {
		return nil, set.err
	}
	e := set.choose(not, t.clock(), t.suspect)
	e.inFlight.Add(1)
	e.witness.Count(InFlight, 1)
	if not == nil {
		t.budget.earn()
	} else {
		e.witness.Count(Retries, 1)
	}
	return e, nil
}

// Address chooses the endpoint of one of our own requests, for RoundTrip.
func (t *Transport) Address() (string, error) {
	if t.err != nil {
		return "", apierrors.NewInternalError(t.err)
	}
	set := t.endpoints()
	if set.err != nil {
		return "", set.err
	}
	return set.choose(nil, t.clock(), t.suspect).address, nil
}

// Usable is how many endpoints are not left out.
func (t *Transport) Usable() (n int) {
	for _, e := range t.endpoints().endpoints {
		if !e.health.ejected.Load() {
			n++
		}
	}
	return n
}

// MayRetry tells whether one more request that may have been worked on may be sent again.
func (t *Transport) MayRetry() bool { return t.budget.spend() }

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
	set, joining := newEndpointSet(f, t, t.set.Load())
	if t.closed {
		for _, e := range set.endpoints {
			e.retire()
		}
	} else if len(joining) < len(set.endpoints) {
		t.await(joining)
	}
	t.set.Store(set)
	return set
}

// RoundTrip sends one of our own requests to the endpoint in its URL, whether requests of clients go there or not. What goes on of these is one for
// each server, and costs half over HTTP/1.1 of what a shared connection does that nobody shares.
func (t *Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	if t.err != nil {
		return nil, t.err
	}
	e := t.at(r.URL.Host)
	e.inFlight.Add(1)
	e.witness.Count(InFlight, 1)
	c, s, err := e.Connect(r.Context(), wire.Need{})
	if err != nil {
		e.Done(nil, false, false)
		return nil, err
	}
	// What it is asked by us is not what clients ask: it is not judged by it.
	e.health.waiting.Add(-1)
	if s != nil {
		return e.exchange(s, r)
	}
	return wire.RoundTrip(c, r, func(error) {
		// A document is asked for once in a while: thousands of connections need not remember how long it was.
		if c.Large() {
			c.Interrupt()
		}
		e.Done(c, true, false)
	})
}

// at returns the endpoint with that address. One that has just gone is still asked, on a connection of its own.
func (t *Transport) at(address string) *Endpoint {
	for _, e := range t.endpoints().endpoints {
		if e.address == address {
			return e
		}
	}
	return newEndpoint(address, t, nobody{}).asGone()
}

// Close closes idle connections now and those in use when they fall idle. Requests that are on
// their way are not disturbed.
func (t *Transport) Close() {
	t.end()
	t.mu.Lock()
	t.closed = true
	if set := t.set.Load(); set != nil {
		for _, e := range set.endpoints {
			e.retire()
		}
	}
	t.mu.Unlock()
	t.running.Wait()
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
	if set := t.set.Load(); former != nil && set != nil {
		for _, e := range set.endpoints {
			e.closeIdle()
			e.drainShared()
		}
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
	either := c.Clone()
	either.NextProtos = []string{wire.HTTP2, wire.HTTP1}
	return &pool{certificate: certificate, peers: t.cfg.Peers, dialer: wire.Dialer{
		Net:              &net.Dialer{Timeout: dialTimeout, KeepAlive: keepAlive},
		TLS:              c,
		Either:           either,
		HandshakeTimeout: handshakeTimeout,
		Buffers:          t.cfg.Buffers,
	}}
}
