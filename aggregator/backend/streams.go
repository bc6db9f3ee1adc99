package backend

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net/http"
	"slices"
	"time"

	"github.com/portico-api/portico/aggregator/wire"
)

// sharedConns are the connections of HTTP/2 to an endpoint. There are as many as are needed for the streams on them, and one more when all are full.
type sharedConns struct {
	all   []*sharedConn // the oldest is first, and filled first
	dials []*dial       // connections that are being made
	limit int           // of exchanges on the one that was made last; 0 if there was none
}

type sharedConn struct {
	*wire.Shared
	certificate *tls.Certificate
	ended       bool // under the endpoint's mu
}

// dial is the making of a connection, for all who wait for it.
type dial struct {
	certificate *tls.Certificate
	cancel      context.CancelFunc
	done        chan struct{}
	err         error // read after done

	waiting int        // under the endpoint's mu
	alone   *wire.Conn // it turned out to speak HTTP/1.1, and one of those who wait can have it; under the endpoint's mu
	http1   bool       // it did, whoever has it; under the endpoint's mu
}

// maxDials bounds how many connections are made for one request, when each is full or ended before its turn comes.
const maxDials = 10

var errNoRoom = errors.New("the backend lets no request begin on its connections of HTTP/2")

// connectShared returns a stream of a connection of HTTP/2, or a connection for one exchange if the endpoint chooses HTTP/1.1.
func (e *Endpoint) connectShared(ctx context.Context, p *pool, need wire.Need) (*wire.Conn, *wire.Stream, error) {
	defer e.drainIfGone()
	for range maxDials {
		if s := e.join(ctx, p, need); s != nil {
			return nil, s, nil
		}
		d := e.waitForDial(p)
		select {
		case <-d.done:
		case <-ctx.Done():
		}
		c, http1 := e.leaveDial(d)
		switch {
		case c != nil:
			return e.begin(c, p, need.Safe), nil, nil
		case ctx.Err() != nil:
			return nil, nil, context.Cause(ctx)
		case d.err != nil:
			return nil, nil, d.err
		case http1:
			return e.connectAlone(ctx, p, need)
		}
	}
	if s := e.join(ctx, p, need); s != nil {
		return nil, s, nil
	}
	e.owner.failed(e)
	return nil, nil, errNoRoom
}

// connectAlone returns a connection for one exchange with an endpoint that has chosen HTTP/1.1 just now.
func (e *Endpoint) connectAlone(ctx context.Context, p *pool, need wire.Need) (*wire.Conn, *wire.Stream, error) {
	need.Alone = true
	return e.Connect(ctx, need)
}

// join begins an exchange on a connection that has room for it. It returns nil if there is none.
func (e *Endpoint) join(ctx context.Context, p *pool, need wire.Need) *wire.Stream {
	for _, c := range e.sharedNow() {
		if c.certificate != p.certificate {
			continue
		}
		if e.named && time.Since(c.Made()) > resolveAgain {
			c.Leave()
			continue
		}
		if s := c.Begin(ctx, need.Safe); s != nil {
			e.health.wait(e.owner.clock())
			return s
		}
	}
	return nil
}

// waitForDial makes a connection, or lets one more wait for one that is being made if there will be room.
func (e *Endpoint) waitForDial(p *pool) *dial {
	e.mu.Lock()
	defer e.mu.Unlock()
	limit := e.shared.limit
	if limit == 0 {
		limit = wire.MaxStreams
	}
	for _, d := range e.shared.dials {
		if d.certificate == p.certificate && d.waiting > 0 && d.waiting < limit {
			d.waiting++
			return d
		}
	}
	// It belongs to no request: the first to ask for it may leave while others wait.
	ctx, cancel := context.WithCancel(context.Background())
	d := &dial{certificate: p.certificate, cancel: cancel, done: make(chan struct{}), waiting: 1}
	e.shared.dials = append(e.shared.dials, d)
	go e.run(ctx, d, p)
	return d
}

// leaveDial ends the waiting of one. What nobody waits for any more is given up.
func (e *Endpoint) leaveDial(d *dial) (c *wire.Conn, http1 bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if d.waiting--; d.waiting == 0 {
		d.cancel()
	}
	c, d.alone = d.alone, nil
	return c, d.http1
}

func (e *Endpoint) run(ctx context.Context, d *dial, p *pool) {
	defer d.cancel()
	c, err := p.dialEither(ctx, e.address)
	if err == nil {
		c, err = e.adopt(ctx, p, c)
	}
	if err != nil && ctx.Err() == nil {
		e.owner.failed(e)
	}
	if e.settle(d, c, err) == 0 {
		e.drainIfGone() // nobody else will
	}
}

// settle ends the making of a connection, and tells how many wait for it.
func (e *Endpoint) settle(d *dial, c *wire.Conn, err error) (waiting int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.shared.dials = slices.DeleteFunc(e.shared.dials, func(other *dial) bool { return other == d })
	d.err, d.http1 = err, c != nil
	if d.waiting > 0 {
		d.alone = c
	} else if c != nil {
		c.Close()
	}
	close(d.done)
	return d.waiting
}

// adopt shares a new connection with whoever wants, if HTTP/2 was chosen for it. Otherwise it returns it.
func (e *Endpoint) adopt(ctx context.Context, p *pool, c *wire.Conn) (*wire.Conn, error) {
	e.protocols.chose(c.Negotiated(), e.owner.clock())
	if c.Negotiated() != wire.HTTP2 {
		return c, nil
	}
	ctx, cancel := context.WithTimeout(ctx, handshakeTimeout)
	defer cancel()
	made := &sharedConn{certificate: p.certificate}
	e.witness.Count(Connections, 1)
	shared, err := c.Share(ctx, idleTimeout, func() { e.forget(made) })
	if err != nil {
		return nil, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	made.Shared = shared
	e.shared.limit = shared.Limit()
	if !made.ended {
		e.shared.all = append(e.shared.all, made)
	}
	return nil, nil
}

// forget is told that a connection has ended.
func (e *Endpoint) forget(c *sharedConn) {
	e.witness.Count(Connections, -1)
	e.mu.Lock()
	defer e.mu.Unlock()
	c.ended = true
	e.shared.all = slices.DeleteFunc(e.shared.all, func(other *sharedConn) bool { return other == c })
}

// Ended ends a request that Pick chose the endpoint for and Connect gave a stream. failed tells that the endpoint broke the exchange off or
// answered with nonsense.
func (e *Endpoint) Ended(s *wire.Stream, answered, failed bool) {
	e.inFlight.Add(-1)
	e.witness.Count(InFlight, -1)
	if !answered {
		e.health.waiting.Add(-1)
	}
	switch {
	case failed && s.FirstToBlame():
		e.owner.failed(e)
	case failed:
		e.witness.Count(Failures, 1)
	}
	s.End()
}

// drainShared lets nobody begin on the connections that there are. They end with what is on them.
func (e *Endpoint) drainShared() {
	for _, c := range e.sharedNow() {
		c.Leave()
	}
}

func (e *Endpoint) drainIfGone() {
	if e.isGone() {
		e.drainShared()
	}
}

// abandonShared ends the streams that wait for an endpoint that hangs, and may be sent elsewhere. What has an answer goes on, if it can.
func (e *Endpoint) abandonShared() {
	for _, c := range e.sharedNow() {
		c.Abandon()
		c.Leave()
	}
}

func (e *Endpoint) sharedNow() []*sharedConn {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Clone(e.shared.all)
}

// exchange sends one of our own requests.
func (e *Endpoint) exchange(s *wire.Stream, r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	if _, named := r.Header["User-Agent"]; !named {
		r.Header["User-Agent"] = []string{""} // or the library would give us a name
	}
	if _, _, err := s.Send(r); err != nil {
		e.Ended(s, true, false)
		if cause := context.Cause(r.Context()); cause != nil {
			err = cause
		}
		return nil, err
	}
	response := *s.Response()
	response.Body = &ownBody{ReadCloser: response.Body, ctx: r.Context(), end: func() { e.Ended(s, true, false) }}
	return &response, nil
}

// ownBody is the body of an answer to one of our own requests.
type ownBody struct {
	io.ReadCloser
	ctx  context.Context
	end  func()
	over bool
}

// Read implements io.Reader.
func (b *ownBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if cause := context.Cause(b.ctx); err != nil && err != io.EOF && cause != nil {
		err = cause
	}
	return n, err
}

// Close implements io.Closer, and ends the exchange.
func (b *ownBody) Close() error {
	if b.over {
		return nil
	}
	b.over = true
	b.end()
	return nil
}
