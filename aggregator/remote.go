package aggregator

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync/atomic"

	"k8s.io/apiserver/pkg/authentication/user"
	apiregistrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"

	"github.com/portico-api/portico/aggregator/backend"
	"github.com/portico-api/portico/aggregator/proxy"
	"github.com/portico-api/portico/handler"
)

// maxDocument bounds what a remote server can make this process hold for one of its documents.
const maxDocument = 32 << 20

// remote is the server behind an APIService, for as long as the spec says so.
type remote struct {
	destination
	resolver  *backend.Resolver
	transport *backend.Transport
	// requests proxies what clients ask, as who they are.
	requests http.Handler
	// documents proxies OpenAPI documents, as the aggregator: every client may read them.
	documents http.Handler
	// shunned is the endpoint that did not tell us last what we asked.
	shunned atomic.Pointer[string]
}

// destination is how a remote server is reached. APIServices that say the same share it; one
// with another CA bundle has not, so that its mistakes are its own.
type destination struct {
	reference             backend.ServiceReference
	caBundle              string
	insecureSkipTLSVerify bool
}

func destinationOf(s *apiregistrationv1.APIService) destination {
	return destination{
		reference: backend.ServiceReference{
			Namespace: s.Spec.Service.Namespace,
			Name:      s.Spec.Service.Name,
			Port:      *s.Spec.Service.Port, // defaulted when it was stored
		},
		caBundle:              string(s.Spec.CABundle),
		insecureSkipTLSVerify: s.Spec.InsecureSkipTLSVerify,
	}
}

// sameServer tells whether two specs are answered for by the same server, so that connections can
// stay.
func sameServer(a, b *apiregistrationv1.APIService) bool {
	if isLocal(a) || isLocal(b) {
		return isLocal(a) && isLocal(b)
	}
	return destinationOf(a) == destinationOf(b)
}

// kubeAggregator is who checks and discovers remote servers (contract 5.2, 5.5).
func kubeAggregator() user.Info {
	return &user.DefaultInfo{Name: "system:kube-aggregator", Groups: []string{user.SystemPrivilegedGroup}}
}

// openAPIAggregator is who reads the OpenAPI documents of remote servers (contract 5.6).
func openAPIAggregator() user.Info {
	return &user.DefaultInfo{Name: "system:aggregator", Groups: []string{user.AllAuthenticated}}
}

// remotes makes the connections to remote servers.
type remotes struct {
	cfg      Config
	stopping context.Context
	resolver *backend.Resolver
	buffers  backend.Buffers
}

// connect makes the connections to the server of s. doubted is told when it seems to be away.
func (rs *remotes) connect(s *apiregistrationv1.APIService, doubted func()) (*remote, error) {
	to, gv := destinationOf(s), groupVersionOf(s)
	rm := &remote{destination: to, resolver: rs.resolver}
	rm.transport = backend.NewTransport(backend.Config{
		Service:               to.reference,
		CABundle:              s.Spec.CABundle,
		InsecureSkipTLSVerify: to.insecureSkipTLSVerify,
		ClientCertificate:     rs.cfg.ProxyClientCert,
		Doubted:               doubted,
		Buffers:               &rs.buffers,
		Observer:              observer{rs.cfg.BackendMetrics, s.Name},
		Peers:                 rs.cfg.BackendPeers,
		Ready:                 func(ctx context.Context, address string) error { return askReady(ctx, rm, address, gv) },
	}, rs.resolver)

	cfg := proxy.Config{
		Backend:       endpoints{rm.transport},
		UserFrom:      userOf,
		WriteError:    handler.WriteError,
		AuditIDFrom:   auditIDOf,
		IsWatch:       isWatch,
		IsLong:        isLong,
		Stopping:      rs.stopping,
		DiscoveryPath: documentPath(gv),
		OnError: func(r *http.Request, code int) {
			rs.cfg.Metrics.ProxyTerminated(verbOf(r), gv.Group, gv.Version, code)
		},
	}
	var err error
	if rm.requests, err = proxy.New(cfg); err != nil {
		return nil, fmt.Errorf("connecting APIService %s: %w", s.Name, err)
	}
	aggregator := openAPIAggregator()
	cfg.UserFrom = func(*http.Request) (user.Info, bool) { return aggregator, true }
	if rm.documents, err = proxy.New(cfg); err != nil {
		return nil, fmt.Errorf("connecting APIService %s: %w", s.Name, err)
	}
	return rm, nil
}

// endpoints shows a transport to the proxy.
type endpoints struct{ *backend.Transport }

// Pick implements proxy.Backend.
func (e endpoints) Pick(not proxy.Endpoint) (proxy.Endpoint, error) {
	former, _ := not.(*backend.Endpoint)
	chosen, err := e.Transport.Pick(former)
	if err != nil {
		return nil, err
	}
	return chosen, nil
}

func userOf(r *http.Request) (user.Info, bool) {
	req, ok := handler.RequestFrom(r.Context())
	if !ok || req.User == nil {
		return nil, false
	}
	return req.User, true
}

func auditIDOf(r *http.Request) string {
	if req, ok := handler.RequestFrom(r.Context()); ok {
		return req.AuditID
	}
	return ""
}

func isWatch(r *http.Request) bool {
	req, ok := handler.RequestFrom(r.Context())
	return ok && req.Info.IsResourceRequest && req.Info.Verb == "watch"
}

func isLong(r *http.Request) bool {
	req, ok := handler.RequestFrom(r.Context())
	return ok && req.LongRunning
}

func verbOf(r *http.Request) string {
	if req, ok := handler.RequestFrom(r.Context()); ok {
		return req.Info.Verb
	}
	return ""
}

// addresses are the ready endpoints of the server, in no particular order.
func (rm *remote) addresses() ([]string, error) {
	if err := rm.transport.Err(); err != nil {
		return nil, err
	}
	return rm.resolver.Resolve(rm.reference)
}

// ownAddress is where one of our own requests goes: to where a connection waits, but not again and again to an endpoint that does not tell.
func (rm *remote) ownAddress() (string, error) {
	shunned := ""
	if last := rm.shunned.Load(); last != nil {
		shunned = *last
	}
	if address, ok := rm.transport.Connected(shunned); ok {
		return address, nil
	}
	return rm.transport.Address()
}

// explain tells which endpoint a request would go to now. The next may go to another.
func (rm *remote) explain() handler.Station {
	all, err := rm.addresses()
	if err != nil {
		return handler.Station{Name: "backend", Decision: http.StatusText(http.StatusServiceUnavailable), Why: err.Error()}
	}
	address, err := rm.transport.Address()
	if err != nil {
		return handler.Station{Name: "backend", Decision: http.StatusText(http.StatusServiceUnavailable), Why: err.Error()}
	}
	return handler.Station{Name: "backend", Decision: "https://" + address, Why: whyThatEndpoint(rm.transport.Usable(), len(all))}
}

// whyThatEndpoint tells why an endpoint is chosen when usable of all the ready ones are not left out.
func whyThatEndpoint(usable, all int) string {
	switch {
	case all == 1:
		return "it is the only ready endpoint"
	case usable == 0:
		return fmt.Sprintf("all %d ready endpoints fail, and each is tried", all)
	case usable == 1:
		return fmt.Sprintf("it is the only one of %d ready endpoints that does not fail", all)
	case usable < all:
		return fmt.Sprintf("it is the less loaded of two of the %d ready endpoints that do not fail, of %d", usable, all)
	}
	return fmt.Sprintf("it is the less loaded of two of the %d ready endpoints", all)
}

// document is what a remote server answered to one of our own requests.
type document struct {
	code   int
	header http.Header
	body   []byte
}

// question is one of our own requests to a remote server.
type question struct {
	method      string // GET when empty
	path        string
	query       string
	as          user.Info
	accept      string
	etag        string // of what is known already
	body        []byte // JSON, if any
	contentType string // of the body; application/json when empty
}

// get asks an endpoint of the remote server. where is what was asked, for messages, as soon as there
// is an endpoint.
func (rm *remote) get(ctx context.Context, q question) (doc *document, where string, err error) {
	address, err := rm.ownAddress()
	if err != nil {
		return nil, "", err
	}
	doc, where, err = rm.getFrom(ctx, address, q)
	if !errors.Is(ctx.Err(), context.Canceled) && (err != nil || doc.code >= http.StatusInternalServerError) {
		rm.shunned.Store(&address)
	}
	return doc, where, err
}

// getFrom asks one endpoint.
func (rm *remote) getFrom(ctx context.Context, address string, q question) (doc *document, where string, err error) {
	resp, where, err := rm.send(ctx, address, q)
	if err != nil {
		return nil, where, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxDocument+1))
	if err != nil {
		return nil, where, steady(err)
	}
	if len(body) > maxDocument {
		return nil, where, fmt.Errorf("the answer is longer than %d bytes", maxDocument)
	}
	return &document{code: resp.StatusCode, header: resp.Header, body: body}, where, nil
}

// open asks an endpoint of the remote server for an answer that goes on.
func (rm *remote) open(ctx context.Context, q question) (io.ReadCloser, error) {
	address, err := rm.ownAddress()
	if err != nil {
		return nil, err
	}
	resp, _, err := rm.send(ctx, address, q)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode == http.StatusOK {
		return resp.Body, nil
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxDocument))
	if err != nil {
		return nil, steady(err)
	}
	return nil, (&document{code: resp.StatusCode, header: resp.Header, body: body}).failure()
}

// isEnd tells whether an answer that goes on has ended as its server meant it to.
func isEnd(err error) bool { return errors.Is(err, io.EOF) }

// userAgent tells the owner of a backend who asks, where nobody's request is passed on.
const userAgent = "portico"

// send asks one endpoint. It follows no redirect: the answer would come from who knows where
// (contract 5.2).
func (rm *remote) send(ctx context.Context, address string, q question) (resp *http.Response, where string, err error) {
	where = (&url.URL{Scheme: "https", Host: address, Path: q.path, RawQuery: q.query}).String()
	r, err := http.NewRequestWithContext(ctx, q.method, where, bytes.NewReader(q.body))
	if err != nil {
		return nil, where, err
	}
	if len(q.body) > 0 {
		r.Header.Set("Content-Type", cmp.Or(q.contentType, "application/json"))
	}
	r.Header.Set("User-Agent", userAgent)
	r.Header.Set("X-Remote-User", q.as.GetName())
	r.Header["X-Remote-Group"] = q.as.GetGroups()
	r.Header.Set("Accept", q.accept)
	if q.etag != "" {
		r.Header.Set("If-None-Match", q.etag)
	}
	if resp, err = rm.transport.RoundTrip(r); err != nil {
		return nil, where, steady(err)
	}
	return resp, where, nil
}

// steady leaves our own port, new for each connection, out of an error's text: otherwise the same
// failure would be another message, and another write to the store, at every check.
func steady(err error) error {
	var op *net.OpError
	if errors.As(err, &op) && op.Source != nil {
		return fmt.Errorf("%s %s %v: %w", op.Op, op.Net, op.Addr, op.Err)
	}
	return err
}
