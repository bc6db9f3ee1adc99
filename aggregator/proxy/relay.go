package proxy

import (
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/portico-api/portico/aggregator/wire"
)

// relay writes the backend's answer to the client: status, header, body as it comes, trailer. forget ends the watching of the client.
func (p *passage) relay(conn *wire.Conn, answer *wire.Answer, forget func() bool) outcome {
	if p.protocol != "" {
		return p.relayUpgrade(conn, answer, forget)
	}
	switch {
	case answer.Status == http.StatusSwitchingProtocols:
		return badUpgrade // nobody has asked for it
	case isRedirect(answer):
		return badRedirect
	}
	return p.relayAnswer(conn, answer)
}

// source is where the body of an answer comes from: a connection or a stream.
type source interface {
	Next() ([]byte, error)
	Ready() bool
}

func (p *passage) relayAnswer(from source, answer *wire.Answer) outcome {
	header := p.w.Header()
	copyAnswerHeader(header, answer.Header)
	var announced []string
	for _, f := range answer.Header {
		if f.Name == "Trailer" {
			announced = append(announced, namedByConnection(http.Header{"Connection": {f.Value}})...)
		}
	}
	if len(announced) > 0 {
		header["Trailer"] = []string{strings.Join(announced, ", ")}
	}
	p.upload.settle(p)
	p.w.WriteHeader(answer.Status)

	s := &stream{w: p.w, live: answer.Length < 0}
	switch {
	case s.live && p.h.cfg.IsWatch(p.r):
		s.flush()
	case s.live && !from.Ready():
		defer s.flushWhenSlow()()
	}
	switch err := s.copy(from); {
	case err == nil:
	case s.broken:
		return clientGone
	case isStopping(p.ctx):
		return stopped
	default:
		return backendBroke
	}
	writeTrailer(header, answer.Trailer, len(announced))
	return relayed
}

// writeTrailer sets the trailer. Names that were not announced need the prefix by which net/http
// knows them.
func writeTrailer(header http.Header, trailer []wire.Field, announced int) {
	for _, f := range trailer {
		if isHopByHop(f.Name) || f.Name == "Content-Length" {
			continue
		}
		name := f.Name
		if len(trailer) != announced {
			name = http.TrailerPrefix + name
		}
		header[name] = append(header[name], f.Value)
	}
}

// slow is how long the beginning of an answer may wait for its first bytes.
const slow = 200 * time.Millisecond

// stream copies an answer's body to the client.
type stream struct {
	w      http.ResponseWriter
	live   bool // of unknown length: each part is passed on as it comes
	broken bool // writing failed

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

// copy copies the body until its end, straight from the buffer that it was read into.
func (s *stream) copy(from source) error {
	for first := true; ; first = false {
		data, err := from.Next()
		if len(data) > 0 {
			if first {
				s.start()
			}
			if _, werr := s.w.Write(data); werr != nil {
				s.broken = true
				return werr
			}
			// At the end of the body the server flushes by itself, in one packet with the end.
			if s.live && err == nil && !from.Ready() {
				s.flush()
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
