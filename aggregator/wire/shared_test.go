package wire_test

import (
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"golang.org/x/net/http2"

	"github.com/portico-api/portico/aggregator/wire"
)

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

// The library reads on for a moment when an exchange has been interrupted. The race detector knows what that may not touch.
func TestInterimAnswersAfterAnInterruptionAreNobodys(t *testing.T) {
	shared, server, err := share(t)
	if err != nil {
		t.Fatal(err)
	}
	for range 100 {
		s := send(t, shared, false)
		stream := <-server.opened
		over := make(chan struct{})
		go func() {
			defer close(over)
			for range 20 {
				server.answer(stream, false, ":status", "103")
			}
		}()
		s.Interrupt()
		if err := <-s.ended; err == nil || err == io.EOF {
			t.Errorf("an interrupted exchange ends with %v, want an error", err)
		}
		s.End()
		<-over
	}
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
