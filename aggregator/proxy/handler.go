package proxy

import (
	"context"
	"errors"
	"net/http"
	"time"

	"k8s.io/apiserver/pkg/authentication/user"

	"github.com/portico-api/portico/aggregator/wire"
)

// Backend is who answers: it chooses an endpoint for each request.
type Backend interface {
	// Pick chooses an endpoint, another than not, where the request has failed, if there is one; not is nil at first. An
	// error that is an APIStatus is the client's answer, any other means that there is no endpoint.
	Pick(not Endpoint) (Endpoint, error)
	// MayRetry tells whether one more request that may have been worked on may be sent again.
	MayRetry() bool
}

// Endpoint is where one request goes.
type Endpoint interface {
	// Connect returns what the request goes over: a connection, or else a stream on one that is shared.
	Connect(ctx context.Context, need wire.Need) (*wire.Conn, *wire.Stream, error)
	// Answered tells that the head of the answer has come.
	Answered(code int, took time.Duration)
	// Done is called once, at the end; conn is nil when there was none. failed tells that the endpoint is to blame.
	Done(conn *wire.Conn, answered, failed bool)
	// Ended is called in place of Done at the end of a stream.
	Ended(stream *wire.Stream, answered, failed bool)
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
	// client at once, and it may end at any time, so it ends cleanly when Stopping ends.
	IsWatch func(*http.Request) bool
	// IsLong tells the requests whose answer goes on, watches among them: those that only read share connections to a backend that can do that.
	IsLong func(*http.Request) bool
	// Stopping ends when the server begins to end; watches and upgraded connections end then.
	Stopping context.Context
	// OnError is told of each error answer that is the proxy's own and not the backend's.
	OnError func(r *http.Request, code int)
}

const discoveryTimeout = 5 * time.Second

// Handler proxies every request it is given.
type Handler struct {
	cfg    Config
	heads  heads
	copies copies
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
	if cfg.IsLong == nil {
		cfg.IsLong = func(*http.Request) bool { return false }
	}
	if cfg.OnError == nil {
		cfg.OnError = func(*http.Request, int) {}
	}
	if cfg.Stopping == nil {
		cfg.Stopping = context.Background()
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
	if !isMethod(r.Method) {
		h.fail(w, r, errMethod())
		return
	}
	ctx, cancel := h.lifetime(r)
	defer cancel()
	p := passage{h: h, w: w, r: r, ctx: ctx, who: who, protocol: upgradeProtocol(r)}
	// A GET that asks for another protocol may be a command that is run.
	p.safe = isSafe(r.Method) && p.protocol == ""
	p.long = p.safe && r.ContentLength == 0 && h.cfg.IsLong(r)
	p.run()
}

// isSafe tells whether a request may be sent again when nobody knows what became of it. One that changes something may not, even
// where that is idempotent: the answer to the second would be about what the first has done.
func isSafe(method string) bool {
	return method == http.MethodGet || method == http.MethodHead || method == http.MethodOptions
}

// lifetime is how long the backend may work on r: as long as the client's request lives, unless it
// asks for discovery or is a watch that ends with the server.
func (h *Handler) lifetime(r *http.Request) (context.Context, context.CancelFunc) {
	switch {
	case h.cfg.IsWatch(r):
		return untilStopping(r.Context(), h.cfg.Stopping)
	case r.Method == http.MethodGet && r.URL.Path == h.cfg.DiscoveryPath:
		return context.WithTimeout(r.Context(), discoveryTimeout)
	}
	return r.Context(), func() {}
}

var errStopping = errors.New("the server is stopping")

// untilStopping returns a context that ends with parent or, with errStopping as its cause, with stopping.
func untilStopping(parent, stopping context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(parent)
	forget := context.AfterFunc(stopping, func() { cancel(errStopping) })
	return ctx, func() {
		forget()
		cancel(nil)
	}
}

// isStopping tells whether ctx has ended because the server is.
func isStopping(ctx context.Context) bool { return context.Cause(ctx) == errStopping }
