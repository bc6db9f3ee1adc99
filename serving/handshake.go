package serving

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"sync"

	"k8s.io/klog/v2"
)

// handshakeListener hands out connections whose TLS handshake is done. net/http would do it as
// well, but which protocol a connection speaks must be known before the server sees it: HTTP/1.1
// passes through the framing check, HTTP/2 has no such weakness and must stay a *tls.Conn.
type handshakeListener struct {
	net.Listener
	config  *tls.Config
	logger  klog.Logger
	onError func()
	buffers *sync.Pool

	accepting sync.Once
	ready     chan net.Conn
	failed    chan error
	closing   chan struct{}

	running sync.WaitGroup

	mu      sync.Mutex
	closed  bool
	shaking map[net.Conn]struct{}
}

func newHandshakeListener(ln net.Listener, config *tls.Config, logger klog.Logger, onError func()) *handshakeListener {
	if onError == nil {
		onError = func() {}
	}
	return &handshakeListener{
		Listener: ln,
		config:   config,
		logger:   logger,
		onError:  onError,
		buffers:  newGatherBuffers(),
		ready:    make(chan net.Conn),
		failed:   make(chan error),
		closing:  make(chan struct{}),
		shaking:  map[net.Conn]struct{}{},
	}
}

// Accept returns the next connection that has finished its handshake.
func (l *handshakeListener) Accept() (net.Conn, error) {
	l.accepting.Do(l.start)
	select {
	case c := <-l.ready:
		return c, nil
	case err := <-l.failed:
		return nil, err
	case <-l.closing:
		return nil, net.ErrClosed
	}
}

// Close ends Accept and the handshakes that are not done, and waits for both.
func (l *handshakeListener) Close() error {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return nil
	}
	l.closed = true
	close(l.closing)
	err := l.Listener.Close()
	for c := range l.shaking {
		c.Close()
	}
	l.mu.Unlock()
	l.running.Wait()
	return err
}

func (l *handshakeListener) start() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.closed {
		l.running.Go(l.acceptAll)
	}
}

func (l *handshakeListener) acceptAll() {
	for {
		c, err := l.Listener.Accept()
		if err == nil {
			l.begin(c)
			continue
		}
		select {
		case l.failed <- err: // the server knows which errors pass, and comes again after those
		case <-l.closing:
			return
		}
	}
}

func (l *handshakeListener) begin(c net.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		c.Close()
		return
	}
	l.shaking[c] = struct{}{}
	l.running.Go(func() { l.shake(c) })
}

func (l *handshakeListener) end(c net.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.shaking, c)
}

// shake does the handshake of one connection and offers it to Accept.
func (l *handshakeListener) shake(raw net.Conn) {
	defer l.end(raw)
	// A connection belongs to nobody's context before it is accepted; Close ends it by closing it.
	ctx, cancel := context.WithTimeout(context.Background(), handshakeTimeout)
	defer cancel()
	gathering := newGatheringConn(raw, l.buffers)
	secure := tls.Server(gathering, l.config)
	if err := secure.HandshakeContext(ctx); err != nil {
		l.refuse(raw, err)
		return
	}
	var c net.Conn = secure
	if secure.ConnectionState().NegotiatedProtocol == "h2" {
		gathering.gathering.Store(true)
	} else {
		c = &framedConn{Conn: secure}
	}
	select {
	case l.ready <- c:
	case <-l.closing:
		c.Close()
	}
}

// refuse closes a connection without TLS. Scanners and load balancers that only look whether the
// port is open cause this all day, so it is counted and not reported as an error.
func (l *handshakeListener) refuse(raw net.Conn, err error) {
	defer raw.Close()
	var record tls.RecordHeaderError
	if errors.As(err, &record) && record.Conn != nil && looksLikeHTTP(record.RecordHeader) {
		_, _ = io.WriteString(raw, "HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n")
	}
	l.logger.V(2).Info("TLS handshake failed", "client", raw.RemoteAddr(), "err", err)
	l.onError()
}

func looksLikeHTTP(header [5]byte) bool {
	switch string(header[:]) {
	case "GET /", "HEAD ", "POST ", "PUT /", "OPTIO", "PATCH", "DELET":
		return true
	}
	return false
}
