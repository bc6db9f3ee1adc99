package backend

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/portico-api/portico/aggregator/wire"
)

// Endpoint is one address of a service: the connections to it, how many requests are on their way to it, and what is
// known of its health.
type Endpoint struct {
	address  string
	named    bool // the address is a name, which may come to mean another host
	owner    *Transport
	witness  Witness
	inFlight atomic.Int64
	health   health

	mu     sync.Mutex
	gone   bool        // it is no endpoint of the service any more
	idle   []idleConn  // the one used last is last
	reaper *time.Timer // nil while nothing is idle
	busy   map[*wire.Conn]lease
	shared sharedConns

	protocols protocols
}

type idleConn struct {
	conn        *wire.Conn
	certificate *tls.Certificate
	since       time.Time
}

// lease is a connection that an exchange has.
type lease struct {
	certificate *tls.Certificate
	safe        bool // the request may be sent again elsewhere
}

func newEndpoint(address string, owner *Transport, witness Witness) *Endpoint {
	host, _, _ := net.SplitHostPort(address)
	return &Endpoint{
		address: address,
		named:   net.ParseIP(host) == nil,
		owner:   owner,
		witness: witness,
		busy:    map[*wire.Conn]lease{},
	}
}

// asGone makes an endpoint one that keeps no connection.
func (e *Endpoint) asGone() *Endpoint {
	e.gone = true
	return e
}

// Address is the host:port of the endpoint.
func (e *Endpoint) Address() string { return e.address }

// Connect returns what a request goes over: a connection for this exchange alone, which was used before or is new, or else a stream of a shared one.
// When it fails, nothing was sent.
func (e *Endpoint) Connect(ctx context.Context, need wire.Need) (*wire.Conn, *wire.Stream, error) {
	p, err := e.owner.current()
	if err != nil {
		return nil, nil, err
	}
	if e.protocols.share(need, e.owner) {
		if !e.protocols.askOnce(need, e.owner.clock()) {
			return e.connectShared(ctx, p, need)
		}
		if s := e.join(ctx, p, need); s != nil {
			return nil, s, nil
		}
	}
	if c := e.reuse(p, need.Safe); c != nil {
		return c, nil, nil
	}
	c, err := e.dial(ctx, p, need)
	if err != nil {
		if ctx.Err() == nil && err != errOnlyHTTP2 {
			e.owner.failed(e)
		}
		return nil, nil, err
	}
	if c == nil {
		return e.connectShared(ctx, p, need)
	}
	return e.begin(c, p, need.Safe), nil, nil
}

// dial makes a connection of HTTP/1.1. It returns none if the endpoint turns out to have HTTP/2, and the request can go over that.
func (e *Endpoint) dial(ctx context.Context, p *pool, need wire.Need) (*wire.Conn, error) {
	if need.Long && !need.Alone {
		c, err := p.dialEither(ctx, e.address) // it had no HTTP/2 when it was asked last, and can as well be asked again
		if err != nil {
			return nil, err
		}
		return e.adopt(ctx, p, c)
	}
	known := e.protocols.refused.Load() != 0
	c, err := p.dial(ctx, e.address)
	if !e.protocols.doubt(c, err, e.owner.clock()) {
		return c, err
	}
	if c != nil {
		c.Goodbye()
	}
	if !need.Alone {
		return nil, nil
	}
	if err == nil && !known {
		if c, err = p.dialEither(ctx, e.address); err == nil {
			c, err = e.adopt(ctx, p, c)
		}
		if c != nil || err != nil {
			return c, err
		}
	}
	return nil, errOnlyHTTP2
}

var errOnlyHTTP2 = errors.New("the backend has HTTP/2 alone, and this needs HTTP/1.1")

// reuse returns a connection that was used before, or nil.
func (e *Endpoint) reuse(p *pool, safe bool) *wire.Conn {
	for {
		c := e.take(p.certificate, safe)
		if c == nil {
			return nil
		}
		if c.Alive() {
			e.health.wait(e.owner.clock())
			c.Begin()
			return c
		}
		e.lose(c)
	}
}

// begin begins the first exchange on a new connection.
func (e *Endpoint) begin(c *wire.Conn, p *pool, safe bool) *wire.Conn {
	e.witness.Count(Connections, 1)
	e.mu.Lock()
	e.busy[c] = lease{p.certificate, safe}
	e.mu.Unlock()
	e.health.wait(e.owner.clock())
	c.Begin()
	return c
}

// Answered tells that the head of the answer has come.
func (e *Endpoint) Answered(code int, took time.Duration) {
	e.health.answered(e.owner.clock())
	e.witness.Answered(code, took)
	e.owner.judge(e, code)
}

// Done ends a request that Pick chose the endpoint for. conn is what Connect returned, if it did. failed tells that the endpoint broke
// the exchange off or answered with nonsense.
func (e *Endpoint) Done(conn *wire.Conn, answered, failed bool) {
	e.inFlight.Add(-1)
	e.witness.Count(InFlight, -1)
	if conn == nil {
		return
	}
	if !answered {
		e.health.waiting.Add(-1)
	}
	if failed {
		e.owner.failed(e)
		if conn.Reused() {
			e.closeIdle() // those beside it have died with it
		}
	}
	if conn.End() && e.giveBack(conn) {
		return
	}
	e.lose(conn)
}

// take returns an idle connection made with certificate, or nil.
func (e *Endpoint) take(certificate *tls.Certificate, safe bool) *wire.Conn {
	e.mu.Lock()
	defer e.mu.Unlock()
	for n := len(e.idle); n > 0; n = len(e.idle) {
		i := e.idle[n-1]
		e.idle[n-1] = idleConn{}
		e.idle = e.idle[:n-1]
		if i.certificate == certificate && !e.isOld(i.conn) {
			e.busy[i.conn] = lease{certificate, safe}
			return i.conn
		}
		e.discard(i.conn)
	}
	return nil
}

// isOld tells whether a connection has served long enough: what a name means is asked again from time to time.
func (e *Endpoint) isOld(c *wire.Conn) bool { return e.named && time.Since(c.Made()) > resolveAgain }

// giveBack keeps a clean connection for the next request, if there may be one.
func (e *Endpoint) giveBack(c *wire.Conn) bool {
	current := e.owner.connections.Load()
	e.mu.Lock()
	defer e.mu.Unlock()
	l, ok := e.busy[c]
	if !ok || e.gone || len(e.idle) >= maxIdle || current == nil || l.certificate != current.certificate || e.isOld(c) {
		return false
	}
	delete(e.busy, c)
	e.idle = append(e.idle, idleConn{c, l.certificate, time.Now()})
	if e.reaper == nil {
		e.reaper = time.AfterFunc(idleTimeout, e.reap)
	}
	return true
}

// lose closes a connection that was in use.
func (e *Endpoint) lose(c *wire.Conn) {
	c.Close()
	e.mu.Lock()
	delete(e.busy, c)
	e.mu.Unlock()
	e.witness.Count(Connections, -1)
}

// discard closes an idle connection that was taken out of idle.
func (e *Endpoint) discard(c *wire.Conn) {
	c.Close()
	e.witness.Count(Connections, -1)
}

// reap closes what has been idle for too long.
func (e *Endpoint) reap() {
	e.mu.Lock()
	defer e.mu.Unlock()
	old := 0
	for old < len(e.idle) && time.Since(e.idle[old].since) >= idleTimeout {
		e.discard(e.idle[old].conn)
		old++
	}
	kept := copy(e.idle, e.idle[old:])
	clear(e.idle[kept:])
	e.idle = e.idle[:kept]
	if kept == 0 {
		e.reaper = nil
		return
	}
	e.reaper.Reset(idleTimeout - time.Since(e.idle[0].since))
}

func (e *Endpoint) closeIdle() {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, i := range e.idle {
		e.discard(i.conn)
	}
	clear(e.idle)
	e.idle = e.idle[:0]
}

// retire ends what is idle; what is in use goes on to its end and is not used again.
func (e *Endpoint) retire() {
	e.closeIdle()
	defer e.drainShared()
	e.mu.Lock()
	defer e.mu.Unlock()
	e.gone = true
	e.witness.Forget()
	if e.reaper != nil {
		e.reaper.Stop()
		e.reaper = nil
	}
}

// abandon ends the requests that wait for an endpoint that hangs, and may be sent elsewhere.
func (e *Endpoint) abandon() {
	e.closeIdle()
	e.abandonShared()
	e.mu.Lock()
	defer e.mu.Unlock()
	for c, l := range e.busy {
		if l.safe && !c.Heard() {
			c.Interrupt()
		}
	}
}
