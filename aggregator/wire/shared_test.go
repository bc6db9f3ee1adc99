package wire_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
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

func TestWhatABackendDidNotLookAtIsToldFromWhatItBrokeOff(t *testing.T) {
	for name, test := range map[string]struct {
		do     func(s *server2, stream uint32)
		unsent bool
	}{
		"a stream that it refuses": {func(s *server2, stream uint32) { s.resetWith(stream, http2.ErrCodeRefusedStream) }, true},
		"one after the last":       {func(s *server2, stream uint32) { s.goAway(0, http2.ErrCodeNo) }, true},
		"one after the last of a connection that is in error": {func(s *server2, stream uint32) {
			s.goAway(0, http2.ErrCodeEnhanceYourCalm)
		}, true},
		"the last, which it broke off": {func(s *server2, stream uint32) {
			s.goAway(stream, http2.ErrCodeNo)
			s.conn.Close()
		}, false},
		"one that it reset":              {func(s *server2, stream uint32) { s.resetWith(stream, http2.ErrCodeInternal) }, false},
		"one that it found malformed":    {func(s *server2, stream uint32) { s.resetWith(stream, http2.ErrCodeProtocol) }, false},
		"one whose connection it closed": {func(s *server2, _ uint32) { s.conn.Close() }, false},
	} {
		t.Run(name, func(t *testing.T) {
			shared, server, err := share(t)
			if err != nil {
				t.Fatal(err)
			}
			s := send(t, shared, true)
			test.do(server, <-server.opened)
			err = <-s.ended
			s.End()
			var unsent *wire.UnsentError
			if errors.As(err, &unsent) != test.unsent {
				t.Errorf("it ends with %v; is that taken for unsent? %v", err, !test.unsent)
			}
		})
	}
}

func TestARequestOnAConnectionThatHasJustEndedIsUnsent(t *testing.T) {
	shared, server, err := share(t)
	if err != nil {
		t.Fatal(err)
	}
	s := shared.Begin(t.Context(), false)
	server.goAway(0, http2.ErrCodeNo)
	for shared.Begin(t.Context(), false) != nil { // until it is known here
		time.Sleep(time.Millisecond)
	}
	_, _, err = s.Send(get())
	var unsent *wire.UnsentError
	if !errors.As(err, &unsent) {
		t.Errorf("it ends with %v, want it to be unsent", err)
	}
	s.End()
}

// What was begun before a backend goes away goes on, and the connection ends with it.
func TestStreamsThatABackendLooksAtGoOnWhenItGoes(t *testing.T) {
	shared, server, err := share(t)
	if err != nil {
		t.Fatal(err)
	}
	s := send(t, shared, true)
	stream := <-server.opened
	server.answer(stream, false, ":status", "200")
	server.goAway(stream, http2.ErrCodeNo)
	for {
		other := shared.Begin(t.Context(), false)
		if other == nil {
			break
		}
		_, _, _ = other.Send(get())
		other.End()
	}
	server.data(stream, true, "the end")
	if err := <-s.ended; err != io.EOF {
		t.Errorf("it ends with %v, want a clean end", err)
	}
	s.End()
}

func TestTheBackendsLimitHolds(t *testing.T) {
	for limit, room := range map[uint32]int{3: 3, 1000: wire.MaxStreams} {
		shared, server, err := share(t, http2.Setting{ID: http2.SettingMaxConcurrentStreams, Val: limit})
		if err != nil {
			t.Fatal(err)
		}
		var all []*exchange
		for range room {
			all = append(all, send(t, shared, false))
			<-server.opened
		}
		if shared.Limit() != room || shared.Begin(t.Context(), false) != nil {
			t.Errorf("with a limit of %d there is room for more than %d", limit, room)
		}
		for _, s := range all {
			s.Interrupt()
			if err := <-s.ended; err == nil || err == io.EOF {
				t.Errorf("an interrupted exchange ends with %v", err)
			}
			if got := <-server.reset; got.ErrCode != http2.ErrCodeCancel {
				t.Errorf("the backend is told %v, want CANCEL", got.ErrCode)
			}
			s.End()
		}
	}
	if _, _, err := share(t, http2.Setting{ID: http2.SettingMaxConcurrentStreams, Val: 0}); err == nil {
		t.Error("a connection for no stream at all is shared")
	}
}

func TestOnlyWhatWaitsAndIsSafeIsAbandoned(t *testing.T) {
	shared, server, err := share(t)
	if err != nil {
		t.Fatal(err)
	}
	answered := send(t, shared, true)
	server.answer(<-server.opened, false, ":status", "200")
	<-answered.answered
	unsafe := send(t, shared, false)
	<-server.opened
	safe := send(t, shared, true)
	<-server.opened
	shared.Abandon()
	if err := <-safe.ended; err == nil || errors.Is(err, context.Canceled) {
		t.Errorf("what waits and is safe ends with %v, want an error that tells why", err)
	}
	safe.End()
	select {
	case err := <-answered.ended:
		t.Errorf("what has an answer ends with %v", err)
	case err := <-unsafe.ended:
		t.Errorf("what is not safe ends with %v", err)
	case <-time.After(50 * time.Millisecond):
	}
	for _, s := range []*exchange{answered, unsafe} {
		s.Interrupt()
		<-s.ended
		s.End()
	}
}

func TestInterimAnswersAndTrailersAreShown(t *testing.T) {
	shared, server, err := share(t)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		stream := <-server.opened
		server.answer(stream, false, ":status", "103", "link", "</style>")
		server.answer(stream, false, ":status", "200", "trailer", "x-sum", "content-length", "4")
		server.data(stream, false, "fine")
		server.answer(stream, true, "x-sum", "1")
	}()
	s := shared.Begin(t.Context(), false)
	answer, interim, err := s.Send(get())
	if err != nil {
		t.Fatal(err)
	}
	if len(interim) != 1 || interim[0].Status != 103 || interim[0].Get("Link") != "</style>" {
		t.Errorf("interim answers %v, want 103 with its link", interim)
	}
	if answer.Status != 200 || answer.Length != -1 || answer.Get("Trailer") != "X-Sum" {
		t.Errorf("the answer is %+v, want 200 with a trailer and so no length", answer)
	}
	var body []byte
	for err == nil {
		var part []byte
		part, err = s.Next()
		body = append(body, part...)
	}
	if string(body) != "fine" || err != io.EOF || len(answer.Trailer) != 1 || answer.Trailer[0] != (wire.Field{Name: "X-Sum", Value: "1"}) {
		t.Errorf("body %q, error %v, trailer %v", body, err, answer.Trailer)
	}
	s.End()
}

// Whoever answers with one interim answer after the other does not fill our memory.
func TestInterimAnswersAreBounded(t *testing.T) {
	shared, server, err := share(t)
	if err != nil {
		t.Fatal(err)
	}
	s := send(t, shared, false)
	stream := <-server.opened
	for range 50 {
		server.answer(stream, false, ":status", "103")
	}
	if err := <-s.ended; err == nil || err == io.EOF {
		t.Errorf("50 interim answers end with %v, want an error", err)
	}
	s.End()
}

func TestTheProtocolIsTheBackendsChoice(t *testing.T) {
	for _, test := range []struct {
		speaks          []string
		alone           string // what a connection gets that offers HTTP/1.1 alone
		refused         bool
		whenItMayChoose string
	}{
		{[]string{"h2", "http/1.1"}, wire.HTTP1, false, wire.HTTP2},
		{[]string{"http/1.1"}, wire.HTTP1, false, wire.HTTP1},
		{nil, "", false, ""},
		{[]string{"h2"}, "", false, wire.HTTP2}, // crypto/tls serves such a client as if it had not asked
		{[]string{"other"}, "", true, ""},
	} {
		address, _ := listen(t, test.speaks, nil)
		c, err := dialer().Dial(t.Context(), address)
		if wire.Refuses(err) != test.refused || err == nil && c.Negotiated() != test.alone {
			t.Errorf("a server of %v: error %v", test.speaks, err)
		}
		if c != nil {
			c.Close()
		}
		address, _ = listen(t, test.speaks, nil)
		c, err = dialer().DialEither(t.Context(), address)
		if wire.Refuses(err) != test.refused || err == nil && c.Negotiated() != test.whenItMayChoose {
			t.Errorf("a server of %v that may choose: error %v", test.speaks, err)
		}
		if c != nil {
			c.Close()
		}
	}
	if wire.Refuses(io.EOF) || wire.Refuses(nil) {
		t.Error("another error is taken for a refusal")
	}
}
