package serving

import (
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// gatherLimit is how much a gathering connection takes in before its writers wait for the client.
const gatherLimit = 64 << 10

// gatheringConn is a connection of many streams that is written in few large pieces. The HTTP/2 server
// writes after 4 KB at the latest, and every time that one stream flushes; when a change is told to many
// watchers on one connection, nearly half of what that costs are those writes. Here a write only
// puts down its bytes, and a goroutine that lives while there are any sends them: what
// other streams put down before it gets to run goes out with them. There is no delay by a clock, so a
// lone answer is sent as soon as before.
//
// It lies below TLS, so that what it holds is what is on the wire.
type gatheringConn struct {
	net.Conn

	buffers   *sync.Pool
	gathering atomic.Bool // from the handshake on, and only on HTTP/2

	mu      sync.Mutex
	changed sync.Cond // held has been taken, or sending has ended
	sending bool
	held    *[]byte // what is to be sent; nil when there is nothing
	err     error   // of the last send; nothing is sent after it
}

func newGatheringConn(c net.Conn, buffers *sync.Pool) *gatheringConn {
	g := &gatheringConn{Conn: c, buffers: buffers}
	g.changed.L = &g.mu
	return g
}

// newGatherBuffers is what connections share: one that is idle holds no buffer.
func newGatherBuffers() *sync.Pool {
	return &sync.Pool{New: func() any {
		b := make([]byte, 0, 4<<10)
		return &b
	}}
}

// Write puts p down to be sent. Its error is that of an earlier send.
func (c *gatheringConn) Write(p []byte) (int, error) {
	if !c.gathering.Load() {
		return c.Conn.Write(p)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.err == nil && c.held != nil && len(*c.held)+len(p) > gatherLimit {
		c.changed.Wait()
	}
	if c.err != nil {
		return 0, c.err
	}
	if c.held == nil {
		c.held = c.buffers.Get().(*[]byte)
	}
	*c.held = append(*c.held, p...)
	if !c.sending {
		c.sending = true
		go c.send()
	}
	return len(p), nil
}

// send sends until there is nothing left. Whoever could run already goes first: it may have more to send.
func (c *gatheringConn) send() {
	runtime.Gosched()
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.held != nil && c.err == nil {
		held := c.held
		c.held = nil
		c.changed.Broadcast()
		c.mu.Unlock()
		_, err := c.Conn.Write(*held)
		*held = (*held)[:0]
		c.buffers.Put(held)
		c.mu.Lock()
		if c.err == nil {
			c.err = err
		}
	}
	c.sending = false
	c.changed.Broadcast()
}

// SetWriteDeadline is for what is written after it: what was written before is sent first, under the
// deadline of its own. TLS closes a connection by a deadline that has passed.
func (c *gatheringConn) SetWriteDeadline(t time.Time) error {
	if c.gathering.Load() && !t.IsZero() && !t.After(time.Now()) {
		c.mu.Lock()
		for c.sending {
			c.changed.Wait()
		}
		c.mu.Unlock()
	}
	return c.Conn.SetWriteDeadline(t)
}

// Close closes the connection and drops what has not been sent.
func (c *gatheringConn) Close() error {
	err := c.Conn.Close()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil {
		c.err = net.ErrClosed
	}
	c.changed.Broadcast()
	for c.sending {
		c.changed.Wait()
	}
	return err
}
