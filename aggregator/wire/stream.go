package wire

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"golang.org/x/net/http2"
)

// Stream is one exchange on a shared connection. But for Interrupt it belongs to one goroutine.
type Stream struct {
	shared *Shared
	outer  context.Context
	ctx    context.Context
	// Interrupt ends the exchange at once; the backend is told. It may be called at any time and from anywhere.
	Interrupt context.CancelFunc

	response *http.Response
	close    func() error // closes the body of response; the second time may do harm
	answer   *Answer
	buf      []byte // lent while there is something in it
	ended    error  // of reading or sending; io.EOF included
}

// UnsentError tells that the backend has not looked at a request, so that it may be sent again whatever it does.
type UnsentError struct{ cause error }

func (e *UnsentError) Error() string { return e.cause.Error() }

func (e *UnsentError) Unwrap() error { return e.cause }

// Address is what was dialled.
func (s *Stream) Address() string { return s.shared.address }

// Send sends a request and waits for the head of its answer. The interim answers before that are shown with it, and late: to relay them at once could
// make everybody else on the connection wait for one client. r must not be used by others.
func (s *Stream) Send(r *http.Request) (answer *Answer, interim []Answer, err error) {
	defer s.shared.answered(s)
	var written atomic.Bool
	var early []Answer // the library's reader may still add to it when an interrupted exchange is over, so it is only looked at when there is an answer
	ctx := httptrace.WithClientTrace(s.ctx, &httptrace.ClientTrace{
		WroteHeaders: func() { written.Store(true) },
		Got1xxResponse: func(code int, header textproto.MIMEHeader) error {
			if len(early) == maxInterim {
				return errTooManyInterim
			}
			early = append(early, Answer{Status: code, Header: fieldsOf(http.Header(header))})
			return nil
		},
	})
	s.response, err = s.shared.conn.RoundTrip(r.WithContext(ctx))
	if err == nil {
		s.answer = answerOf(s.response)
		s.close = s.response.Body.Close
		if r.Body != nil {
			// While the body waits for the backend to take more of it, the library does not look whether anybody still wants it to.
			s.close = sync.OnceValue(s.close)
			context.AfterFunc(s.ctx, func() { _ = s.close() })
		}
		return s.answer, early, nil
	}
	s.ended = err
	switch {
	case s.ctx.Err() != nil && s.outer.Err() == nil:
		err = errInterrupted
	case !written.Load(), wasRefused(err):
		err = &UnsentError{err}
	}
	return nil, nil, err
}

// wasRefused tells whether a backend has said that it did not look at a request: by refusing its stream, or by leaving it out when it told which
// was the last it would look at (RFC 9113, 8.7). The library has no name for the latter; what is not recognized as such is sent again less often.
func wasRefused(err error) bool {
	var stream http2.StreamError
	if errors.As(err, &stream) {
		return stream.Code == http2.ErrCodeRefusedStream
	}
	return strings.HasPrefix(err.Error(), "http2: Transport received ") && strings.Contains(err.Error(), "GOAWAY")
}

// Ready tells whether Next would return without waiting, as far as that can be known.
func (s *Stream) Ready() bool { return s.ended != nil || !s.hasBody() }

// Next returns the next part of the body, as much as is at hand; it waits only when there is nothing. The bytes are good until the next call. At the
// end of the body the error is io.EOF, and the answer has its trailer.
func (s *Stream) Next() ([]byte, error) {
	s.dropBuffer()
	if s.ended == nil && !s.hasBody() {
		s.ended = io.EOF
	}
	if s.ended != nil {
		return nil, s.ended
	}
	// To read nothing waits for something to read: a watch may wait for days, and needs no buffer for that.
	n, err := s.response.Body.Read(nil)
	if err == nil {
		s.buf = s.shared.buffers.getLarge()
		n, err = s.response.Body.Read(s.buf)
	}
	if err != nil {
		s.ended = err
	}
	if err == io.EOF {
		s.answer.Trailer = fieldsOf(s.response.Trailer)
	}
	return s.buf[:n], err
}

func (s *Stream) dropBuffer() {
	if s.buf != nil {
		s.shared.buffers.put(s.buf)
		s.buf = nil
	}
}

// hasBody tells whether a body may follow, whatever length the header tells (RFC 9110, 6.4.1).
func (s *Stream) hasBody() bool {
	code := s.response.StatusCode
	return code != http.StatusNoContent && code != http.StatusNotModified && s.response.Request.Method != http.MethodHead
}

// Response is the answer for those who want one of net/http. Its body must be closed before End, and Next not be used.
func (s *Stream) Response() *http.Response { return s.response }

// End ends the exchange and gives its place on the connection back. What the backend still sends is of no use any more.
func (s *Stream) End() {
	s.dropBuffer()
	if s.response != nil {
		if s.ended != io.EOF {
			s.Interrupt() // the backend is told, and not waited for
		}
		_ = s.close()
	}
	s.Interrupt()
	s.shared.done()
}

// FirstToBlame tells whether the failure of this exchange says something that is not known: when a connection breaks, all that is on it does.
func (s *Stream) FirstToBlame() bool {
	var alone http2.StreamError
	if errors.As(s.ended, &alone) {
		return true
	}
	c := s.shared
	c.mu.Lock()
	defer c.mu.Unlock()
	first := !c.blamed
	c.blamed = true
	return first
}

// answerOf is the head of an answer of HTTP/2, in the form in which those of HTTP/1.1 come.
func answerOf(r *http.Response) *Answer {
	a := &Answer{Status: r.StatusCode, Header: fieldsOf(r.Header), Length: r.ContentLength}
	if len(r.Trailer) > 0 {
		a.Length = -1 // HTTP/1.1, which the client may speak, has either a length or a trailer
		a.Header = slices.DeleteFunc(a.Header, isLength)
	}
	for name := range r.Trailer {
		a.Header = append(a.Header, Field{"Trailer", name})
	}
	return a
}

func fieldsOf(header http.Header) []Field {
	fields := make([]Field, 0, len(header))
	for name, values := range header {
		for _, value := range values {
			fields = append(fields, Field{name, value})
		}
	}
	return fields
}
