package proxy

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apiserver/pkg/authentication/user"

	"github.com/portico-api/portico/aggregator/wire"
)

// maxTries bounds how often one request is sent.
const maxTries = 3

// passage is one request on its way to a backend and its answer on the way back, all on the goroutine of the request.
type passage struct {
	h        *Handler
	w        http.ResponseWriter
	r        *http.Request
	ctx      context.Context // how long the backend may work on it
	who      user.Info
	protocol string // that the client asks to change to, if any
	safe     bool   // it may be sent again whatever became of it
	long     bool   // it reads what goes on

	head   *[]byte // room for the head and a small body, until there is an answer
	body   []byte  // all of it, if it is small
	upload *upload // sends it beside us, if it is not
}

// run sends the request to an endpoint, and to another one as long as that can do no harm, and relays the answer.
func (p *passage) run() {
	p.head = p.h.heads.get()
	defer p.dropHead()
	if !p.readSmallBody() {
		return
	}
	var former Endpoint
	for try := 1; ; try++ {
		e, err := p.h.cfg.Backend.Pick(former)
		if err != nil {
			p.h.fail(p.w, p.r, pickError(err))
			return
		}
		if again := p.try(e, try, former); !again {
			return
		}
		former = e
	}
}

// try sends the request to e. It reports whether it should be sent again, in which case nothing has been answered.
func (p *passage) try(e Endpoint, try int, former Endpoint) (again bool) {
	begun := time.Now()
	conn, stream, err := e.Connect(p.ctx, wire.Need{Safe: p.safe, Long: p.long, Alone: p.protocol != ""})
	if stream != nil {
		return p.tryStream(e, stream, try, begun)
	}
	if err != nil {
		e.Done(nil, false, false)
		// Nothing was sent, so it can go to any other endpoint.
		if p.ctx.Err() == nil && try < maxTries && e != former {
			return true
		}
		p.h.fail(p.w, p.r, reachError(p.ctx, err))
		return false
	}
	forget := context.AfterFunc(p.ctx, conn.Interrupt)
	answer, err := p.send(conn)
	if err != nil {
		release(conn, forget)
		var unsent *unsentError
		failure := reachError(p.ctx, err)
		gone := p.ctx.Err() != nil // to end the upload of an HTTP/1.1 client ends the context
		blamed := p.upload.end(p) == nil && !gone
		e.Done(conn, false, blamed)
		switch {
		case !blamed || p.upload != nil || try >= maxTries:
		case errors.As(err, &unsent), p.safe && p.h.cfg.Backend.MayRetry():
			return true
		}
		p.failSending(failure, gone)
		return false
	}
	e.Answered(answer.Status, time.Since(begun))
	if p.mayAskAgain(answer, try) {
		release(conn, forget)
		e.Done(conn, true, false)
		return true
	}
	p.dropHead() // a watch may last for days
	result := p.relay(conn, answer, forget)
	release(conn, forget)
	gone := p.ctx.Err() != nil
	unread := p.upload.end(p)
	e.Done(conn, true, result == backendBroke && !gone && unread == nil)
	p.conclude(result, gone)
	return false
}

// mayAskAgain tells whether an answer is not for the client. A server that stops says so to who comes too late. Another one may be well.
func (p *passage) mayAskAgain(answer *wire.Answer, try int) bool {
	return try == 1 && answer.Status == http.StatusServiceUnavailable && p.safe && p.upload == nil && p.ctx.Err() == nil && p.h.cfg.Backend.MayRetry()
}

// dropHead gives the room back; the head will not be sent again. It may be called twice.
func (p *passage) dropHead() {
	if p.head != nil {
		p.h.heads.put(p.head)
		p.head = nil
	}
}

// release ends the watching of the client. An interruption that has begun already must not hit the next request on the connection.
func release(conn *wire.Conn, forget func() bool) {
	if !forget() {
		conn.Interrupt()
	}
}

// failSending tells the client why there is no answer.
func (p *passage) failSending(failure apierrors.APIStatus, gone bool) {
	if p.upload != nil && p.upload.readErr != nil {
		failure = bodyError(p.upload.readErr)
	}
	p.refuse(failure, gone)
}

// refuse answers with an error of our own when the upload, if there was one, has ended. gone tells that the client had left before that.
func (p *passage) refuse(failure apierrors.APIStatus, gone bool) {
	if p.upload != nil && !p.upload.whole && p.r.ProtoMajor == 1 {
		p.w.Header()["Connection"] = []string{"close"} // what the client still sends is no request
	}
	if p.upload == nil || gone {
		p.h.fail(p.w, p.r, failure)
		return
	}
	p.h.answer(p.w, p.r, failure)
}

// send puts the request on conn and reads the head of the answer.
func (p *passage) send(conn *wire.Conn) (*wire.Answer, error) {
	length := int64(len(p.body))
	streams := p.body == nil && p.hasBody()
	if streams {
		length = p.r.ContentLength
	}
	head := p.appendHead((*p.head)[:0], conn.Address())
	expects := streams && p.r.Header.Get("Expect") != ""
	if expects {
		head = wire.AppendField(head, "Expect", "100-continue")
	}
	head = appendLength(head, p.r.Method, length)
	head = append(head, p.body...)
	*p.head = head
	if n, err := conn.Write(head); err != nil {
		if n == 0 {
			err = &unsentError{err}
		}
		return nil, err
	}
	if streams {
		p.startUpload(conn, expects)
	}
	answer, err := conn.Receive(p.r.Method, p.interim)
	if p.upload != nil {
		p.upload.answered(err == nil)
	}
	return answer, err
}

// unsentError tells that not even the first record of a request has left whole. No backend can have read any of it, so that it may be
// sent again whatever it does. Once a record is out nobody knows that: a backend that closes an idle connection in just that moment looks like
// one that dies after it has obeyed, and RFC 9110 (9.2.2) forbids a proxy to send again what may not be done twice.
type unsentError struct{ error }

func (e *unsentError) Unwrap() error { return e.error }

// hasBody tells whether the client sends a body.
func (p *passage) hasBody() bool {
	return p.r.ContentLength != 0 && p.r.Body != nil && p.r.Body != http.NoBody
}

// readSmallBody reads a body that goes out together with the head. One that the client only sends when asked to must be asked
// for by the backend. It reports whether it could; if not, the client has been told.
func (p *passage) readSmallBody() bool {
	n := p.r.ContentLength
	if !p.hasBody() || n < 0 || n > smallBody || p.r.Header.Get("Expect") != "" {
		return true
	}
	p.body = make([]byte, n)
	if _, err := io.ReadFull(p.r.Body, p.body); err != nil {
		p.h.fail(p.w, p.r, bodyError(err))
		return false
	}
	return true
}

// interim relays a 1xx answer with its header and without ours, which belongs to the final one. "100 Continue" is no answer: the server sends
// one of its own when the body is read.
func (p *passage) interim(answer *wire.Answer) {
	if answer.Status == http.StatusContinue {
		if p.upload != nil {
			p.upload.wanted()
		}
		return
	}
	ours := p.w.Header()
	if !p.r.ProtoAtLeast(1, 1) {
		return // it would take this for the answer
	}
	kept := ours.Clone()
	clear(ours)
	for _, f := range answer.Header {
		if !isHopByHop(f.Name) {
			ours[f.Name] = append(ours[f.Name], f.Value)
		}
	}
	p.w.WriteHeader(answer.Status)
	clear(ours)
	for name, values := range kept {
		ours[name] = values
	}
}

// isRedirect tells whether the answer sends the client elsewhere: it would take its credentials
// along to a place of the backend's choice.
func isRedirect(answer *wire.Answer) bool {
	return answer.Status >= 300 && answer.Status <= 399 && answer.Get("Location") != ""
}

// outcome is what became of an answer.
type outcome uint8

const (
	relayed      outcome = iota
	clientGone           // it does not read any more; the backend is told by the end of the connection
	stopped              // a watch ended with the server, cleanly
	backendBroke         // the client has the beginning and must not take it for all
	badRedirect          // nothing has been written
	badUpgrade           // nothing has been written
)

// conclude does what is left to do when the endpoint has been given back.
func (p *passage) conclude(o outcome, gone bool) {
	switch o {
	case backendBroke:
		abort()
	case badRedirect:
		p.refuse(errRedirect(), gone)
	case badUpgrade:
		p.refuse(errInvalidUpgrade(), gone)
	}
}
