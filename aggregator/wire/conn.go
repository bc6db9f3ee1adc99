package wire

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"time"
)

// maxHead bounds what a backend can make this process hold for one head.
const maxHead = 1 << 20

// Dialer makes connections.
type Dialer struct {
	Net *net.Dialer
	// TLS has the server's name and the roots. The connection speaks HTTP/1.1 whatever it says.
	TLS *tls.Config
	// Either is the same for DialEither; it offers both protocols.
	Either           *tls.Config
	HandshakeTimeout time.Duration
	Buffers          *Buffers
}

// Dial connects to address and shakes hands.
func (d *Dialer) Dial(ctx context.Context, address string) (*Conn, error) {
	return d.dial(ctx, address, d.TLS)
}

func (d *Dialer) dial(ctx context.Context, address string, config *tls.Config) (*Conn, error) {
	raw, err := d.Net.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	s := newSocket(raw)
	secure := tls.Client(s, config)
	ctx, cancel := context.WithTimeoutCause(ctx, d.HandshakeTimeout, errHandshakeTimeout)
	defer cancel()
	if err := secure.HandshakeContext(ctx); err != nil {
		raw.Close()
		if context.Cause(ctx) == errHandshakeTimeout {
			err = errHandshakeTimeout
		}
		return nil, fmt.Errorf("connecting to %s: %w", address, err)
	}
	return newConn(secure, s, address, d.Buffers), nil
}

var errHandshakeTimeout = errors.New("TLS handshake timeout")

// Conn is one HTTP/1.1 connection to a backend. Between Begin and End it belongs to one exchange.
type Conn struct {
	conn    net.Conn
	socket  *socket
	buffers *Buffers
	address string
	made    time.Time

	// Interrupt ends every read and write on the connection, now and later. It may be called at any
	// time and from anywhere. It is a field so that handing it to context.AfterFunc allocates nothing.
	Interrupt   func()
	interrupted atomic.Bool
	heard       atomic.Bool // a byte of the answer has arrived

	buf        []byte // lent while there is an exchange
	start, end int    // what of it has been read and not used
	ended      error  // of reading; io.EOF included

	answer Answer
	body   body
	reused bool
	large  bool // an answer on it was
}

// New returns a connection that has been made already.
func New(c net.Conn, address string, buffers *Buffers) *Conn {
	s := newSocket(c)
	return newConn(s, s, address, buffers)
}

func newConn(c net.Conn, s *socket, address string, buffers *Buffers) *Conn {
	w := &Conn{conn: c, socket: s, address: address, buffers: buffers, made: time.Now()}
	w.Interrupt = func() {
		w.interrupted.Store(true)
		_ = w.socket.SetDeadline(time.Unix(1, 0))
	}
	return w
}

// Address is what was dialled.
func (c *Conn) Address() string { return c.address }

// Made is when the connection was made.
func (c *Conn) Made() time.Time { return c.made }

// Reused tells whether there was an exchange on the connection before the present one. An idle
// connection may be closed by the backend at any moment, so its failure says nothing about it.
func (c *Conn) Reused() bool { return c.reused }

// Heard tells whether a byte of the present answer has arrived. It may be called from anywhere.
func (c *Conn) Heard() bool { return c.heard.Load() }

// Large tells whether there was a large answer on the connection: TLS keeps the memory that it took for as long as the connection lasts.
func (c *Conn) Large() bool { return c.large }

// Begin starts an exchange.
func (c *Conn) Begin() {
	if c.buf == nil {
		c.buf = c.buffers.getSmall()
	}
	c.heard.Store(false)
}

// End ends the exchange. It reports whether the connection can have another one: the answer was whole,
// neither side wants to close, and nothing has arrived that does not belong to it. If it cannot, the
// caller closes it.
func (c *Conn) End() (clean bool) {
	clean = c.body.kind == bodyDone && !c.answer.close && c.start == c.end && c.ended == nil && !c.interrupted.Load()
	c.dropBuffer()
	c.reused = true
	c.body = body{}
	c.answer.clear()
	return clean
}

func (c *Conn) dropBuffer() {
	if c.buf != nil {
		c.buffers.put(c.buf)
		c.buf = nil
	}
	c.start, c.end = 0, 0
}

// Alive tells whether an idle connection can still be used. A peer that has closed it, or has sent
// anything since the last answer, is found out here.
func (c *Conn) Alive() bool {
	if c.interrupted.Load() || c.ended != nil {
		return false
	}
	if c.socket.raw == nil {
		return true
	}
	var one [1]byte
	c.socket.looking = true
	n, err := c.conn.Read(one[:])
	c.socket.looking = false
	var nothing errNothing
	return n == 0 && errors.As(err, &nothing)
}

// Write sends p. An error means that the connection is of no use any more.
func (c *Conn) Write(p []byte) (int, error) { return c.conn.Write(p) }

// Close closes the connection at once. It may be called twice.
func (c *Conn) Close() { _ = c.socket.Close() }

// Goodbye closes an idle connection in the way of TLS.
func (c *Conn) Goodbye() {
	_ = c.conn.SetWriteDeadline(time.Now().Add(time.Second))
	_ = c.conn.Close()
}

// Detach gives the connection up to another protocol: what has been read ahead, and the connection
// itself. Interrupt goes on working.
func (c *Conn) Detach() (ahead []byte, conn net.Conn) {
	ahead = append(ahead, c.buf[c.start:c.end]...)
	c.dropBuffer()
	return ahead, c.conn
}

// fill reads more into the buffer behind what is there. It makes room by moving what is there to the
// front, and by taking a larger buffer when there is none left.
func (c *Conn) fill() error {
	if c.ended != nil {
		return c.ended
	}
	if c.start == c.end {
		c.start, c.end = 0, 0
	}
	if c.end == len(c.buf) {
		c.makeRoom()
	}
	n, err := c.readMore()
	if n > 0 && !c.heard.Load() {
		c.heard.Store(true)
	}
	// The rest of a long part is on its way. To pass on few large parts costs less than many small ones.
	for err == nil && n >= smallBuffer && len(c.buf)-c.end >= smallBuffer && c.body.promised(c.end-c.start) >= int64(len(c.buf)-c.end) {
		n, err = c.readMore()
	}
	if c.start < c.end {
		return nil // what came with an error is looked at first
	}
	return err
}

func (c *Conn) readMore() (int, error) {
	n, err := c.conn.Read(c.buf[c.end:])
	c.end += n
	if err != nil {
		c.ended = err
	}
	return n, err
}

func (c *Conn) makeRoom() {
	if c.start > 0 {
		c.end = copy(c.buf, c.buf[c.start:c.end])
		c.start = 0
		return
	}
	c.grow(2 * len(c.buf))
}

// grow takes a buffer of at least size in place of the present one.
func (c *Conn) grow(size int) {
	c.large = true
	var larger []byte
	if size <= largeBuffer {
		larger = c.buffers.getLarge()
	} else {
		larger = make([]byte, size)
	}
	n := copy(larger, c.buf[c.start:c.end])
	c.buffers.put(c.buf)
	c.buf, c.start, c.end = larger, 0, n
}
