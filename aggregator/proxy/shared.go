package proxy

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/portico-api/portico/aggregator/wire"
)

// tryStream sends the request over a connection that others use, too. It reports whether it should be sent again, in which case nothing has been answered.
func (p *passage) tryStream(e Endpoint, s *wire.Stream, try int, begun time.Time) (again bool) {
	r, sent := p.request(s)
	answer, interim, err := s.Send(r)
	if err != nil {
		failure := reachError(p.ctx, err)
		gone := p.ctx.Err() != nil
		blamed := p.upload.end(p) == nil && !gone
		var unsent *wire.UnsentError
		refused := errors.As(err, &unsent)
		e.Ended(s, false, blamed && !refused)
		switch {
		case !blamed || try >= maxTries:
		case refused && !sent.begun():
			p.upload = nil
			return true
		case p.safe && p.upload == nil && p.h.cfg.Backend.MayRetry():
			return true
		}
		p.failSending(failure, gone)
		return false
	}
	e.Answered(answer.Status, time.Since(begun))
	if p.mayAskAgain(answer, try) {
		e.Ended(s, true, false)
		return true
	}
	p.dropHead() // a watch may last for days
	for i := range interim {
		p.interim(&interim[i])
	}
	result := badRedirect
	if !isRedirect(answer) {
		result = p.relayAnswer(s, answer)
	}
	gone := p.ctx.Err() != nil
	unread := p.upload.end(p)
	e.Ended(s, true, result == backendBroke && !gone && unread == nil)
	p.conclude(result, gone)
	return false
}

// request is what is sent over a stream: what would be sent over HTTP/1.1, read back from the text of it, so that there is one place where it is decided
// what a backend gets to see. sent is the body that is not sent at once, if there is one.
func (p *passage) request(s *wire.Stream) (r *http.Request, sent *sentBody) {
	*p.head = p.appendHead((*p.head)[:0], s.Address())
	r = &http.Request{
		Method: p.r.Method,
		URL:    &url.URL{Scheme: "https", Host: s.Address(), Path: p.r.URL.Path, RawQuery: cleanQuery(p.r.URL.RawQuery)},
		Host:   s.Address(),
		Header: parseHead(string(*p.head)),
	}
	switch {
	case len(p.body) > 0:
		r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(p.body)), int64(len(p.body))
	case p.body == nil && p.hasBody():
		sent = p.startSending(s)
		r.Body, r.ContentLength = sent, p.r.ContentLength
		if p.r.Header.Get("Expect") != "" {
			r.Header["Expect"] = []string{"100-continue"}
		}
	}
	return r, sent
}

// parseHead reads the fields of a head that appendHead has written. What is about the connection is the library's.
func parseHead(head string) http.Header {
	header := make(http.Header, strings.Count(head, "\r\n"))
	header["User-Agent"] = []string{""} // or the library would give the client a name
	_, rest, _ := strings.Cut(head, "\r\n")
	for line := range strings.SplitSeq(rest, "\r\n") {
		name, value, ok := strings.Cut(line, ":")
		value = strings.Trim(value, " \t") // as every reader of HTTP/1.1 does
		switch {
		case !ok || name == "Host":
		case name == "User-Agent":
			header[name] = []string{value}
		default:
			header[name] = append(header[name], value)
		}
	}
	return header
}

// sentBody is the body of a request as the library reads it, on a goroutine of its own. The upload is over when it closes it.
type sentBody struct {
	*upload
	mu     sync.Mutex // held while the client's body is read
	closed bool
	read   bool // from the client
}

func (p *passage) startSending(s *wire.Stream) *sentBody {
	b := &sentBody{}
	b.upload = &upload{
		body:    p.r.Body,
		chunked: p.r.ContentLength < 0,
		left:    p.r.ContentLength,
		quit:    make(chan struct{}),
		done:    make(chan struct{}),
		stop: func() {
			s.Interrupt()
			go b.Close() // as soon as it is not read any more; the library may wait for the backend before that
		},
	}
	p.upload = b.upload
	_ = http.NewResponseController(p.w).EnableFullDuplex()
	return b
}

// Read implements io.Reader.
func (b *sentBody) Read(buffer []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return 0, errBodyClosed
	}
	b.read = true
	n, err := b.body.Read(buffer)
	if b.left -= int64(n); !b.chunked && (b.left < 0 || err == io.EOF && b.left > 0) {
		n, err = 0, errOtherLength
	}
	switch {
	case err == io.EOF:
		b.whole = true
	case err != nil:
		select {
		case <-b.quit: // it was us who ended the reading
		default:
			b.readErr = err
		}
		err = fmt.Errorf("reading the request's body: %w", err)
	}
	return n, err
}

var errBodyClosed = errors.New("nobody wants the body any more")

// Close implements io.Closer. The client's body is not closed: it may be sent again if nothing was read of it.
func (b *sentBody) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.closed {
		b.closed = true
		close(b.done)
	}
	return nil
}

// begun tells whether a part of the body is gone. It may be called after the end.
func (b *sentBody) begun() bool { return b != nil && b.read }
