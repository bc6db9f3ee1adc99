package rest

import (
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
)

// gzipThreshold is the size below which compressing costs more than it saves (contract 2.2). It is
// also how much of an answer is held back, so that one that fits is sent with its length.
const gzipThreshold = 128 << 10

// buffers are reused from answer to answer.
type buffers struct {
	large sync.Pool // *[]byte of gzipThreshold capacity
	gzip  sync.Pool // *gzip.Writer
}

func newBuffers() *buffers {
	b := &buffers{}
	b.large.New = func() any {
		buf := make([]byte, 0, gzipThreshold)
		return &buf
	}
	b.gzip.New = func() any {
		z, _ := gzip.NewWriterLevel(io.Discard, gzip.BestSpeed) // the level is valid
		return z
	}
	return b
}

// header values that many answers share; net/http only reads them.
var (
	jsonHeader     = []string{mediaJSON}
	yamlHeader     = []string{mediaYAML}
	protobufHeader = []string{mediaProtobuf}
)

func (f format) contentType() []string {
	switch f {
	case formatYAML:
		return yamlHeader
	case formatProtobuf:
		return protobufHeader
	}
	return jsonHeader
}

// writeBody answers with a finished body.
func (b *buffers) writeBody(w http.ResponseWriter, r *http.Request, status int, contentType []string, body []byte) {
	if len(body) > gzipThreshold && acceptsGzip(r) {
		a := b.answer(w, r, status, contentType)
		a.Write(body) // an error means that the client is gone
		a.Close()
		return
	}
	h := w.Header()
	h["Content-Type"] = contentType
	h["Content-Length"] = []string{strconv.Itoa(len(body))}
	w.WriteHeader(status)
	w.Write(body)
}

// answer is a body that is written piece by piece. What stays below the threshold is sent at once with
// its length; what does not is streamed, compressed when the client takes it.
type answer struct {
	buffers     *buffers
	w           http.ResponseWriter
	r           *http.Request
	status      int
	contentType []string

	held *[]byte
	out  io.Writer // nil as long as everything is held
	zip  *gzip.Writer
	err  error
}

func (b *buffers) answer(w http.ResponseWriter, r *http.Request, status int, contentType []string) *answer {
	return &answer{buffers: b, w: w, r: r, status: status, contentType: contentType, held: b.large.Get().(*[]byte)}
}

func (a *answer) Write(p []byte) (int, error) {
	if a.err != nil {
		return 0, a.err
	}
	if len(*a.held)+len(p) > cap(*a.held) {
		a.spill()
		if a.err == nil && len(p) >= cap(*a.held) {
			_, a.err = a.out.Write(p)
			return len(p), a.err
		}
	}
	*a.held = append(*a.held, p...)
	return len(p), a.err
}

func (a *answer) WriteString(s string) (int, error) {
	if len(*a.held)+len(s) <= cap(*a.held) {
		*a.held = append(*a.held, s...)
		return len(s), a.err
	}
	return a.Write([]byte(s))
}

// spill sends what is held.
func (a *answer) spill() {
	if a.out == nil {
		a.out = a.w
		h := a.w.Header()
		h["Content-Type"] = a.contentType
		if acceptsGzip(a.r) {
			h.Add("Vary", "Accept-Encoding")
			h.Set("Content-Encoding", "gzip")
			a.zip = a.buffers.gzip.Get().(*gzip.Writer)
			a.zip.Reset(a.w)
			a.out = a.zip
		}
		a.w.WriteHeader(a.status)
	}
	if a.err == nil {
		_, a.err = a.out.Write(*a.held)
	}
	*a.held = (*a.held)[:0]
}

// Close sends the rest. The answer cannot be used afterwards.
func (a *answer) Close() error {
	if a.out == nil {
		h := a.w.Header()
		h["Content-Type"] = a.contentType
		h["Content-Length"] = []string{strconv.Itoa(len(*a.held))}
		a.w.WriteHeader(a.status)
		a.out = a.w
	}
	a.spill()
	if a.zip != nil {
		if err := a.zip.Close(); a.err == nil {
			a.err = err
		}
		a.zip.Reset(io.Discard)
		a.buffers.gzip.Put(a.zip)
		a.zip = nil
	}
	a.free()
	return a.err
}

// abandon ends an answer that cannot be completed: when nothing has been sent yet, err is returned to
// be told to the client; otherwise the connection is cut, because a short body would look complete.
func (a *answer) abandon(err error) error {
	sent := a.out != nil
	a.free()
	if sent {
		panic(http.ErrAbortHandler)
	}
	return fmt.Errorf("writing the answer: %w", err)
}

func (a *answer) free() {
	*a.held = (*a.held)[:0]
	a.buffers.large.Put(a.held)
	a.held = nil
}

// acceptsGzip tells whether the client takes gzip.
func acceptsGzip(r *http.Request) bool {
	for _, value := range r.Header["Accept-Encoding"] {
		for more := true; more; {
			var coding string
			coding, value, more = strings.Cut(value, ",")
			coding, quality, _ := strings.Cut(coding, ";")
			if strings.TrimSpace(coding) != "gzip" {
				continue
			}
			q, weighted := strings.CutPrefix(strings.TrimSpace(quality), "q=")
			return !weighted || parseQuality(q) > 0
		}
	}
	return false
}
