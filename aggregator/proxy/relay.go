package proxy

import (
	"context"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"
)

// relay writes the backend's answer to the client: status, header, body as it comes, trailer.
func (h *Handler) relay(ctx context.Context, w http.ResponseWriter, r *http.Request, answer *http.Response) {
	header := w.Header()
	copyAnswerHeader(header, answer.Header)
	announced := len(answer.Trailer)
	if announced > 0 {
		names := make([]string, 0, announced)
		for name := range answer.Trailer {
			names = append(names, name)
		}
		header["Trailer"] = []string{strings.Join(names, ", ")}
	}
	w.WriteHeader(answer.StatusCode)

	s := &stream{w: w, buffers: &h.buffers, live: answer.ContentLength < 0}
	switch {
	case s.live && h.cfg.IsWatch(r):
		s.flush()
	case s.live:
		defer s.flushWhenSlow()()
	}
	switch err := s.copy(answer.Body); {
	case err == nil:
	case s.broken:
		return // the client has gone; closing the answer tells the backend
	case isStopping(ctx):
		return // a watch may end at any time
	default:
		abort()
	}
	writeTrailer(header, answer.Trailer, announced)
}

// writeTrailer sets the trailer. Names that were not announced need the prefix by which net/http
// knows them.
func writeTrailer(header, trailer http.Header, announced int) {
	for name, values := range trailer {
		if len(trailer) != announced {
			name = http.TrailerPrefix + name
		}
		header[name] = values
	}
}

// slow is how long the beginning of an answer may wait for its first bytes.
const slow = 200 * time.Millisecond

// stream copies an answer's body to the client.
type stream struct {
	w       http.ResponseWriter
	buffers *buffers
	live    bool // of unknown length: each part is passed on as it comes
	broken  bool // writing failed

	mu      sync.Mutex
	started bool // guards w against flushWhenSlow
}

func (s *stream) flush() { _ = http.NewResponseController(s.w).Flush() }

// flushWhenSlow shows the client status and header when the body is long in coming. Flushing them
// right away would cost every answer of unknown length a packet of its own. The returned function
// must be called before the handler returns.
func (s *stream) flushWhenSlow() (cancel func()) {
	timer := time.AfterFunc(slow, s.flushUnlessStarted)
	return func() {
		timer.Stop()
		s.start()
	}
}

func (s *stream) flushUnlessStarted() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.started {
		s.flush()
	}
}

func (s *stream) start() {
	s.mu.Lock()
	s.started = true
	s.mu.Unlock()
}

// copy copies body until its end. It changes to a large buffer when a small one was filled, and
// back when a large one was hardly used.
func (s *stream) copy(body io.Reader) error {
	small := s.buffers.getSmall()
	defer s.buffers.putSmall(small)
	var large *[largeBuffer]byte
	defer func() {
		if large != nil {
			s.buffers.putLarge(large)
		}
	}()
	buffer := small[:]
	for first := true; ; first = false {
		n, err := body.Read(buffer)
		if n > 0 {
			if first {
				s.start()
			}
			if _, werr := s.w.Write(buffer[:n]); werr != nil {
				s.broken = true
				return werr
			}
			// At the end of the body the server flushes by itself, in one packet with the end.
			if s.live && err == nil {
				s.flush()
			}
		}
		switch {
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		}
		switch {
		case large == nil && n == len(buffer):
			large = s.buffers.getLarge()
			buffer = large[:]
		case large != nil && n < smallBuffer:
			s.buffers.putLarge(large)
			large, buffer = nil, small[:]
		}
	}
}
