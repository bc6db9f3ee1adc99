package proxy

import (
	"context"
	"errors"
	"net"
	"net/http"
	"time"

	"k8s.io/apiserver/pkg/authentication/user"
)

// Backend is who answers: it chooses an endpoint for each request and makes the connections.
type Backend interface {
	// Pick chooses an endpoint (host:port); release is called once, when its request is over. An
	// error that is an APIStatus is the client's answer, any other means that there is no endpoint.
	Pick() (address string, release func(), err error)
	// RoundTrip sends a request to the endpoint that its URL names.
	RoundTrip(r *http.Request) (*http.Response, error)
	// Dial connects to an endpoint for a protocol upgrade.
	Dial(ctx context.Context, address string) (net.Conn, error)
}

// Config is what the proxy cannot know by itself. Backend, UserFrom and WriteError are needed; the
// zero value of each other field leaves its part out.
type Config struct {
	Backend Backend
	// UserFrom returns who the request acts for, after impersonation.
	UserFrom func(*http.Request) (user.Info, bool)
	// WriteError answers with an error that is an APIStatus.
	WriteError func(http.ResponseWriter, *http.Request, error)

	// AuditIDFrom returns the audit ID that the backend shall write down too.
	AuditIDFrom func(*http.Request) string
	// DiscoveryPath is the path of the group-version's own document. A GET of it has five seconds:
	// clients read the documents of all groups before they do anything else.
	DiscoveryPath string
	// IsWatch tells the requests whose answer is a stream of events: its beginning is shown to the
	// client at once, and it may end at any time, so it ends cleanly when Stopping is closed.
	IsWatch func(*http.Request) bool
	// Stopping is closed when the server begins to end; watches and upgraded connections end then.
	Stopping <-chan struct{}
	// OnError is told of each error answer that is the proxy's own and not the backend's.
	OnError func(r *http.Request, code int)
}

const discoveryTimeout = 5 * time.Second

// Handler proxies every request it is given. It is where a request ends: it takes over the
// request's header map and rewrites it in place, because a copy costs more than all the rewriting.
type Handler struct {
	cfg     Config
	buffers buffers
}

// New returns the handler of one APIService.
func New(cfg Config) (*Handler, error) {
	if cfg.Backend == nil || cfg.UserFrom == nil || cfg.WriteError == nil {
		return nil, errors.New("making a proxy: Backend, UserFrom and WriteError are needed")
	}
	if cfg.AuditIDFrom == nil {
		cfg.AuditIDFrom = func(*http.Request) string { return "" }
	}
	if cfg.IsWatch == nil {
		cfg.IsWatch = func(*http.Request) bool { return false }
	}
	if cfg.OnError == nil {
		cfg.OnError = func(*http.Request, int) {}
	}
	return &Handler{cfg: cfg}, nil
}

// ServeHTTP sends r to an endpoint of the backend and the endpoint's answer to w.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	who, ok := h.cfg.UserFrom(r)
	if !ok {
		h.fail(w, r, errMissingUser())
		return
	}
	if !canBeTold(who) {
		h.fail(w, r, errIdentity())
		return
	}
	address, release, err := h.cfg.Backend.Pick()
	if err != nil {
		h.fail(w, r, pickError(err))
		return
	}
	defer release()

	protocol := upgradeProtocol(r)
	rewriteHeader(r, who, h.cfg.AuditIDFrom(r))
	if protocol != "" {
		h.upgrade(w, r, address, protocol)
		return
	}
	ctx, cancel := h.lifetime(r)
	defer cancel()
	h.forward(ctx, w, r, address)
}

// lifetime is how long the backend may work on r: as long as the client's request lives, unless it
// asks for discovery or is a watch that ends with the server.
func (h *Handler) lifetime(r *http.Request) (context.Context, context.CancelFunc) {
	switch {
	case h.cfg.Stopping != nil && h.cfg.IsWatch(r):
		return untilStopping(r.Context(), h.cfg.Stopping)
	case r.Method == http.MethodGet && r.URL.Path == h.cfg.DiscoveryPath:
		return context.WithTimeout(r.Context(), discoveryTimeout)
	}
	return r.Context(), func() {}
}

var errStopping = errors.New("the server is stopping")

// untilStopping returns a context that ends with parent or, with errStopping as its cause, when
// stopping is closed.
func untilStopping(parent context.Context, stopping <-chan struct{}) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(parent)
	go cancelWhenStopping(ctx, cancel, stopping)
	return ctx, func() { cancel(nil) }
}

func cancelWhenStopping(ctx context.Context, cancel context.CancelCauseFunc, stopping <-chan struct{}) {
	select {
	case <-stopping:
		cancel(errStopping)
	case <-ctx.Done():
	}
}

// isStopping tells whether ctx has ended because the server is.
func isStopping(ctx context.Context) bool { return context.Cause(ctx) == errStopping }
