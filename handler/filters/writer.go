package filters

import (
	"bufio"
	"io"
	"maps"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/portico-api/portico/handler"
)

// The states of an answer. It begins open and goes one way only.
const (
	open      int32 = iota
	committed       // the handler has written the headers
	hijacked        // the handler has taken the connection
	expired         // the deadline came first: a 504 has been written, the handler may write nothing
	cut             // the deadline came after the headers: the handler may write nothing more
)

// responseWriter is the one wrapper around the server's writer. It records what was answered, adds the warnings when the
// headers are written, and, once guarded, decides between the handler and the deadline who answers.
type responseWriter struct {
	inner    http.ResponseWriter
	exchange *exchange
	// onCommit, if set, is called with the code when the handler writes the headers.
	onCommit func(code int)

	state  atomic.Int32
	status int
	size   int64

	// header takes the place of the inner headers while the answer is guarded and open: the deadline must be
	// able to write its own without reading a map that the handler may be writing.
	header  http.Header
	guarded bool

	mu      sync.Mutex // held by the deadline's goroutine while it works
	alarm   *alarm
	overdue bool // the deadline has passed
	settled bool // the handler has returned
}

// hijackableWriter is the writer of an HTTP/1 request. On HTTP/2 there is no connection to take, and handlers find that out
// by asking for an http.Hijacker.
type hijackableWriter struct{ responseWriter }

// writerOf returns the wrapper that the first filter made.
func writerOf(w http.ResponseWriter) *responseWriter {
	switch w := w.(type) {
	case *hijackableWriter:
		return &w.responseWriter
	case *responseWriter:
		return w
	}
	panic("handling request: the response writer of the filters was replaced")
}

// Unwrap lets an http.ResponseController reach what the server's writer can do.
func (w *responseWriter) Unwrap() http.ResponseWriter { return w.inner }

// Header implements http.ResponseWriter.
func (w *responseWriter) Header() http.Header {
	if !w.guarded {
		return w.inner.Header()
	}
	switch w.state.Load() {
	case open, expired:
		if w.header == nil {
			w.header = make(http.Header, 4)
		}
		return w.header
	}
	return w.inner.Header() // the handler may still set trailers
}

// WriteHeader implements http.ResponseWriter.
func (w *responseWriter) WriteHeader(code int) {
	if code >= 100 && code < 200 && code != http.StatusSwitchingProtocols {
		// Informational answers are optional, and not worth a lock between the handler and the deadline.
		if !w.guarded {
			w.inner.WriteHeader(code)
		}
		return
	}
	if !w.state.CompareAndSwap(open, committed) {
		return
	}
	w.status = code
	h := w.inner.Header()
	maps.Copy(h, w.header)
	w.exchange.request.WriteWarnings(h)
	if w.onCommit != nil {
		w.onCommit(code)
	}
	w.inner.WriteHeader(code)
}

// writable tells whether the handler may write the body, after the headers if it has not written them.
func (w *responseWriter) writable() error {
	if w.state.Load() == open {
		w.WriteHeader(http.StatusOK)
	}
	switch w.state.Load() {
	case committed:
		return nil
	case hijacked:
		return http.ErrHijacked
	}
	return http.ErrHandlerTimeout
}

// Write implements http.ResponseWriter. After the deadline it returns http.ErrHandlerTimeout.
func (w *responseWriter) Write(p []byte) (int, error) {
	if err := w.writable(); err != nil {
		return 0, err
	}
	n, err := w.inner.Write(p)
	w.size += int64(n)
	return n, err
}

// WriteString implements io.StringWriter.
func (w *responseWriter) WriteString(s string) (int, error) {
	if err := w.writable(); err != nil {
		return 0, err
	}
	n, err := io.WriteString(w.inner, s)
	w.size += int64(n)
	return n, err
}

// Flush implements http.Flusher.
func (w *responseWriter) Flush() { w.FlushError() }

// FlushError is what an http.ResponseController calls to flush.
func (w *responseWriter) FlushError() error {
	if err := w.writable(); err != nil {
		return err
	}
	return http.NewResponseController(w.inner).Flush()
}

// Push implements http.Pusher.
func (w *responseWriter) Push(target string, opts *http.PushOptions) error {
	if p, ok := w.inner.(http.Pusher); ok {
		return p.Push(target, opts)
	}
	return http.ErrNotSupported
}

// Hijack implements http.Hijacker. The deadline leaves a connection alone that was taken in time.
func (w *hijackableWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	before := w.state.Load()
	if before != open && before != committed || !w.state.CompareAndSwap(before, hijacked) {
		return nil, nil, http.ErrHandlerTimeout
	}
	conn, buffered, err := http.NewResponseController(w.inner).Hijack()
	if err != nil {
		w.state.Store(before)
		return nil, nil, err
	}
	if before == open {
		w.status = http.StatusSwitchingProtocols
		if w.onCommit != nil {
			w.onCommit(w.status)
		}
	}
	return conn, buffered, nil
}

// finish writes the headers of an answer that the handler left empty.
func (w *responseWriter) finish() {
	if w.state.Load() == open {
		w.WriteHeader(http.StatusOK)
	}
}

// answered is the code that was sent, 0 when none was, and whether the deadline sent it in the handler's place.
func (w *responseWriter) answered() (code int, late bool) {
	w.mu.Lock() // the deadline may just be answering
	defer w.mu.Unlock()
	return w.status, w.state.Load() == expired
}

// discard drops the headers of an answer that will not be sent. It reports false if they were sent already.
func (w *responseWriter) discard() bool {
	if w.state.Load() != open {
		return false
	}
	clear(w.header)
	return true
}

var errTimeout = apierrors.NewTimeoutError("request did not complete within the allotted timeout", 0)

// lastWords is what a handler has, after the deadline, to end an answer that it has begun. It may just have learned of the deadline
// itself and be writing a better answer than a cut connection. It is also the time to return after the 504
// was written for it, before its HTTP/2 stream is reset: only the return of the handler ends the stream properly.
const lastWords = time.Second

// guard lets the deadline answer in the handler's place, when the alarm goes off. It ends with settle.
func (w *responseWriter) guard(a *alarm, left time.Duration) {
	w.guarded, w.alarm = true, a
	a.set(w, left)
}

// expire is called when the deadline has passed, and once more when the last words should have been said, on a goroutine of its own.
func (w *responseWriter) expire() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.settled {
		return
	}
	server := http.NewResponseController(w.inner)
	switch {
	case w.state.CompareAndSwap(open, expired):
		// From here on the handler touches neither the inner writer nor its headers.
		if w.exchange.http1 {
			// Nothing can follow on this connection until the handler returns. On HTTP/2 other requests share it.
			w.inner.Header().Set("Connection", "close")
		}
		// The request is not shown to WriteError: the handler may be changing its headers.
		handler.WriteError((*lateWriter)(w), nil, errTimeout)
		server.Flush()
		w.alarm.timer.Reset(lastWords)
	case w.overdue:
		w.state.CompareAndSwap(committed, cut)
		if w.state.Load() != hijacked {
			// The handler may be blocked on a client that does not read: this ends its write with an error.
			server.SetWriteDeadline(time.Unix(1, 0))
		}
	default:
		w.alarm.timer.Reset(lastWords)
	}
	w.overdue = true
}

// settle ends the guard: when it returns, the deadline's goroutine has ended or will do nothing. It reports whether the
// alarm never went off and so may be set for another request.
func (w *responseWriter) settle() (unused bool) {
	stopped := w.alarm.timer.Stop()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.settled = true
	if !stopped {
		w.alarm.timer.Stop() // it may have been set again in between
	}
	return stopped && !w.overdue
}

// lateWriter writes the answer of the deadline, past the guard.
type lateWriter responseWriter

func (w *lateWriter) Header() http.Header { return w.inner.Header() }

func (w *lateWriter) WriteHeader(code int) {
	w.status = code
	w.inner.WriteHeader(code)
}

func (w *lateWriter) Write(p []byte) (int, error) {
	n, err := w.inner.Write(p)
	w.size += int64(n)
	return n, err
}
