package wire_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/portico-api/portico/aggregator/wire"
)

// server2 is a server of HTTP/2 that does what it is told, frame by frame.
type server2 struct {
	mu     sync.Mutex // guards the writing of frames
	frames *http2.Framer
	conn   net.Conn
	opened chan uint32 // the streams of requests
	reset  chan http2.RSTStreamFrame
}

// share connects to a server that begins with those settings, and returns both ends.
func share(t *testing.T, settings ...http2.Setting) (*wire.Shared, *server2, error) {
	t.Helper()
	address, begun := listen(t, []string{"h2"}, settings)
	d := dialer()
	c, err := d.DialEither(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	var ends atomic.Int32
	shared, err := c.Share(t.Context(), time.Minute, func() { ends.Add(1) })
	t.Cleanup(func() {
		if shared != nil {
			shared.Close()
		}
		if n := ends.Load(); n != 1 {
			t.Errorf("it was told %d times that the connection has ended, want once", n)
		}
	})
	return shared, <-begun, err
}

func dialer() *wire.Dialer {
	return &wire.Dialer{
		Net:              new(net.Dialer),
		TLS:              &tls.Config{InsecureSkipVerify: true, NextProtos: []string{wire.HTTP1}},
		Either:           &tls.Config{InsecureSkipVerify: true, NextProtos: []string{wire.HTTP2, wire.HTTP1}},
		HandshakeTimeout: 10 * time.Second,
		Buffers:          new(wire.Buffers),
	}
}

// listen starts a server for one connection.
func listen(t *testing.T, protocols []string, settings []http2.Setting) (address string, begun chan *server2) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	ln, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{NextProtos: protocols, Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}})
	if err != nil {
		t.Fatal(err)
	}
	begun = make(chan *server2, 1)
	over := make(chan struct{})
	go func() {
		defer close(over)
		conn, err := ln.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		s := &server2{conn: conn, opened: make(chan uint32, 1000), reset: make(chan http2.RSTStreamFrame, 1000)}
		s.frames = http2.NewFramer(conn, conn)
		if _, err := io.ReadFull(conn, make([]byte, len(http2.ClientPreface))); err != nil {
			return
		}
		_ = s.frames.WriteSettings(settings...)
		begun <- s
		s.serve()
	}()
	t.Cleanup(func() {
		ln.Close()
		<-over
	})
	return ln.Addr().String(), begun
}

// serve acknowledges what must be, and tells of the rest.
func (s *server2) serve() {
	for {
		frame, err := s.frames.ReadFrame()
		if err != nil {
			return
		}
		switch f := frame.(type) {
		case *http2.PingFrame:
			if !f.IsAck() {
				s.write(func(to *http2.Framer) error { return to.WritePing(true, f.Data) })
			}
		case *http2.HeadersFrame:
			s.opened <- f.StreamID
		case *http2.RSTStreamFrame:
			s.reset <- *f
		}
	}
}

func (s *server2) write(frame func(to *http2.Framer) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_ = frame(s.frames) // the client may have gone
}

func (s *server2) goAway(last uint32, code http2.ErrCode) {
	s.write(func(to *http2.Framer) error { return to.WriteGoAway(last, code, nil) })
}

func (s *server2) resetWith(stream uint32, code http2.ErrCode) {
	s.write(func(to *http2.Framer) error { return to.WriteRSTStream(stream, code) })
}

func (s *server2) data(stream uint32, end bool, text string) {
	s.write(func(to *http2.Framer) error { return to.WriteData(stream, end, []byte(text)) })
}

// answer sends the head of an answer, and its end if there is no more.
func (s *server2) answer(stream uint32, end bool, fields ...string) {
	var block fragment
	e := hpack.NewEncoder(&block)
	for i := 0; i < len(fields); i += 2 {
		_ = e.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]})
	}
	s.write(func(to *http2.Framer) error {
		return to.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: block, EndHeaders: true, EndStream: end})
	})
}

type fragment []byte

func (f *fragment) Write(p []byte) (int, error) {
	*f = append(*f, p...)
	return len(p), nil
}

func get() *http.Request {
	return &http.Request{Method: http.MethodGet, URL: &url.URL{Scheme: "https", Host: "a", Path: "/"}, Header: http.Header{}}
}

// exchange is one on a shared connection, and how far it is.
type exchange struct {
	*wire.Stream
	answered chan struct{}
	ended    chan error
}

// send begins an exchange, which is read to its end.
func send(t *testing.T, shared *wire.Shared, safe bool) *exchange {
	t.Helper()
	s := shared.Begin(t.Context(), safe)
	if s == nil {
		t.Fatal("there is no room")
	}
	x := &exchange{s, make(chan struct{}), make(chan error, 1)}
	go func() {
		_, _, err := s.Send(get())
		if err == nil {
			close(x.answered)
		}
		for err == nil {
			_, err = s.Next()
		}
		x.ended <- err
	}()
	return x
}
