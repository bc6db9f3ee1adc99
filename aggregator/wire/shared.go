package wire

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"golang.org/x/net/http2"
)

const (
	// MaxStreams bounds the exchanges that share a connection, whatever more the backend allows: what breaks with it is bounded, too.
	MaxStreams = 100
	// streamWindow is how much of an answer may lie here unread, because its client is slow. The backend then waits, with this answer alone: the
	// window of the connection holds those of all streams, so that no number of slow clients can use it up for the others.
	streamWindow = 64 << 10
	// silence is how long a backend may say nothing before it is asked whether it is there, and pingTimeout how long it may take to tell.
	silence     = 30 * time.Second
	pingTimeout = 15 * time.Second
	// continueTimeout is how long a backend may take to ask for a body that the client offers to hold back.
	continueTimeout = time.Second
)

// Protocols, as a handshake names them.
const (
	HTTP1 = "http/1.1"
	HTTP2 = "h2"
)

var (
	errNoStreams   = errors.New("the backend allows no requests on a connection of HTTP/2")
	errInterrupted = errors.New("the backend hangs")
)

// Need is what is to be known of a request before there is a connection for it.
type Need struct {
	Safe  bool // it may be sent elsewhere when the endpoint turns out to hang
	Long  bool // it is a read whose answer goes on: many such share a connection, if the backend can do that
	Alone bool // it needs a connection of HTTP/1.1 for itself
}

// DialEither is Dial for a connection that speaks the protocol which the backend chooses. If that is HTTP/2, it is only good to be shared.
func (d *Dialer) DialEither(ctx context.Context, address string) (*Conn, error) {
	return d.dial(ctx, address, d.Either)
}

// Refuses tells whether a handshake failed because the backend speaks none of the protocols that were offered.
func Refuses(err error) bool {
	const noApplicationProtocol = tls.AlertError(120) // RFC 7301
	var remote *net.OpError                           // crypto/tls shows an alert of its peer by its text alone
	return errors.As(err, &remote) && remote.Op == "remote error" && remote.Err.Error() == noApplicationProtocol.Error()
}

// Negotiated is the protocol that the backend has chosen, "" if it made no choice.
func (c *Conn) Negotiated() string {
	if secure, ok := c.conn.(*tls.Conn); ok {
		return secure.ConnectionState().NegotiatedProtocol
	}
	return ""
}

// Shared is one connection of HTTP/2 to a backend, which many exchanges share. The protocol itself is golang.org/x/net/http2's.
type Shared struct {
	conn    *http2.ClientConn
	address string
	made    time.Time
	buffers *Buffers
	limit   int // of exchanges

	mu      sync.Mutex
	users   int
	waiting map[*Stream]struct{} // those without an answer that may be interrupted
	leaving bool                 // it gets no more users, and ends with the last
	blamed  bool
}

// Share makes a connection whose handshake chose HTTP/2 a shared one, and waits until the backend has said how many may share it. It ends by itself
// after it was idle for that long. ended is called once at its end, however that comes, also if Share fails.
func (c *Conn) Share(ctx context.Context, idle time.Duration, ended func()) (*Shared, error) {
	secure, ok := c.conn.(*tls.Conn)
	if !ok {
		return nil, errors.New("only a connection of TLS can be shared")
	}
	s := &Shared{address: c.address, made: c.made, buffers: c.buffers, waiting: map[*Stream]struct{}{}}
	client, err := newClient(idle)
	if err != nil {
		return nil, err
	}
	s.conn, err = client.NewClientConn(&endingConn{Conn: secure, socket: c.socket, ended: sync.OnceFunc(ended)})
	if err != nil {
		return nil, fmt.Errorf("beginning HTTP/2 with %s: %w", c.address, err)
	}
	// The backend's settings come before the answer to this.
	if err := s.conn.Ping(ctx); err != nil {
		s.Close()
		return nil, fmt.Errorf("beginning HTTP/2 with %s: %w", c.address, err)
	}
	if s.limit = int(min(s.conn.State().MaxConcurrentStreams, MaxStreams)); s.limit == 0 {
		s.Close()
		return nil, errNoStreams
	}
	return s, nil
}

// newClient returns what the library takes the settings of a connection from.
func newClient(idle time.Duration) (*http2.Transport, error) {
	client, err := http2.ConfigureTransports(&http.Transport{
		DisableCompression:     true,
		ExpectContinueTimeout:  continueTimeout,
		IdleConnTimeout:        idle,
		MaxResponseHeaderBytes: maxHead,
		HTTP2: &http.HTTP2Config{
			MaxReceiveBufferPerStream:     streamWindow,
			MaxReceiveBufferPerConnection: MaxStreams * streamWindow,
			SendPingTimeout:               silence,
			PingTimeout:                   pingTimeout,
		},
	})
	if err != nil {
		return nil, fmt.Errorf("setting up HTTP/2: %w", err)
	}
	return client, nil
}

// endingConn tells of its end. It does not say goodbye in the way of TLS, for which a backend that hangs would have to be waited for.
type endingConn struct {
	*tls.Conn
	socket *socket
	ended  func()
}

// Close implements net.Conn.
func (c *endingConn) Close() error {
	err := c.socket.Close()
	c.ended()
	return err
}

// Made is when the connection was made.
func (s *Shared) Made() time.Time { return s.made }

// Limit is how many exchanges may share the connection.
func (s *Shared) Limit() int { return s.limit }

// Begin starts an exchange. It returns nil if there is no room for it, or the connection ends. Otherwise Send must be called, and then End.
func (s *Shared) Begin(ctx context.Context, safe bool) *Stream {
	st := s.begin(ctx, safe)
	if st == nil && s.isOver() {
		s.Close()
	}
	return st
}

// isOver tells whether the backend has said that it goes, and nobody is on the connection any more. The library would keep it until its idle time is over.
func (s *Shared) isOver() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.users == 0 && s.conn.State().Closing
}

func (s *Shared) begin(ctx context.Context, safe bool) *Stream {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.leaving || s.users >= s.limit || !s.conn.ReserveNewRequest() {
		return nil
	}
	s.users++
	st := &Stream{shared: s, outer: ctx}
	st.ctx, st.Interrupt = context.WithCancel(ctx)
	if safe {
		s.waiting[st] = struct{}{}
	}
	return st
}

func (s *Shared) answered(st *Stream) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.waiting, st)
}

// done ends an exchange. A connection that is of no more use, by its own or by the backend's will, ends with the last.
func (s *Shared) done() {
	s.mu.Lock()
	s.users--
	last := s.users == 0 && (s.leaving || !s.conn.CanTakeNewRequest())
	s.mu.Unlock()
	if last {
		s.Close()
	}
}

// Leave lets nobody begin any more. The connection ends with the last exchange on it.
func (s *Shared) Leave() {
	s.mu.Lock()
	s.leaving = true
	last := s.users == 0
	s.mu.Unlock()
	if last {
		s.Close()
	}
}

// Abandon interrupts the exchanges that wait for an answer and may be sent elsewhere.
func (s *Shared) Abandon() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for st := range s.waiting {
		st.Interrupt()
	}
}

// Close closes the connection at once. What is on it is broken off.
func (s *Shared) Close() { _ = s.conn.Close() }
