package serving

import (
	"bytes"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
)

// errFraming is what the server reads instead of a request whose end is in doubt; net/http answers
// an error that does not come from the network with 400 and closes the connection.
var errFraming = errors.New("a request whose length is ambiguous")

// framedConn is an HTTP/1.1 connection on which every request has one length. net/http accepts a
// request that has both a Content-Length and a chunked body and believes the latter; whoever sits
// before us may believe the former, and then its idea of where the next request begins is not ours:
// a second request could be smuggled in (contract, 13). net/http removes the header before any
// handler could see it, so the bytes are looked at here, as they are read.
type framedConn struct {
	*tls.Conn
	framing  framing
	refused  bool
	hijacked atomic.Bool
}

// Read reads what the client sent, up to the end of a head that is refused.
func (c *framedConn) Read(p []byte) (int, error) {
	if c.hijacked.Load() {
		return c.Conn.Read(p)
	}
	if c.refused {
		return 0, errFraming
	}
	n, err := c.Conn.Read(p)
	good, ok := c.framing.follow(p[:n])
	if ok {
		return n, err
	}
	// Requests before the bad one are served; the last byte of its own head is held back, so that
	// it never becomes a request.
	c.refused = true
	if good == 0 {
		return 0, errFraming
	}
	return good, nil
}

// trustHijacked ends the check when a connection changes to another protocol.
func trustHijacked(c net.Conn, state http.ConnState) {
	if f, ok := c.(*framedConn); ok && state == http.StateHijacked {
		f.hijacked.Store(true)
	}
}

// framing follows the messages of one direction of an HTTP/1.1 connection: it knows where each head
// begins and ends, and nothing else about it. What net/http refuses anyway may lead it astray, for
// then nothing after it is served.
type framing struct {
	state  framingState
	remain int64 // bytes of body or chunk that are left

	// line is the beginning of the line being read, or the end of it if it is a request line: the
	// version stands there.
	line [160]byte
	size int  // bytes in line
	long bool // there was more

	inHead  bool // past the request line
	old     bool // HTTP/1.0
	length  int64
	lengths int // Content-Length headers
	codings int // Transfer-Encoding headers
}

type framingState uint8

const (
	inLines     framingState = iota // request line and header
	inBody                          // remain bytes
	inChunkSize                     // a line
	inChunk                         // remain bytes
	afterChunk                      // an empty line
	inTrailer                       // lines until an empty one
)

// follow takes the next bytes. When it meets a head that must be refused, it returns how many of
// them come before the end of that head.
func (f *framing) follow(p []byte) (good int, ok bool) {
	total := len(p)
	for len(p) > 0 {
		if f.state == inBody || f.state == inChunk {
			n := min(int64(len(p)), f.remain)
			p, f.remain = p[n:], f.remain-n
			if f.remain == 0 {
				f.bodyDone()
			}
			continue
		}
		end := bytes.IndexByte(p, '\n')
		if end < 0 {
			f.keep(p)
			break
		}
		f.keep(p[:end])
		if !f.endOfLine() {
			return total - len(p) + end, false
		}
		p = p[end+1:]
	}
	return total, true
}

func (f *framing) bodyDone() {
	if f.state == inChunk {
		f.state = afterChunk
	} else {
		f.state = inLines
	}
}

func (f *framing) keep(p []byte) {
	if f.state == inLines && !f.inHead {
		if over := f.size + len(p) - len(f.line); over > 0 {
			drop := min(over, f.size)
			f.size = copy(f.line[:], f.line[drop:f.size])
			p = p[max(0, len(p)-len(f.line)):]
		}
	}
	n := copy(f.line[f.size:], p)
	f.size += n
	f.long = f.long || n < len(p)
}

// endOfLine acts on the line that is complete now; false refuses the request.
func (f *framing) endOfLine() bool {
	line := bytes.TrimSuffix(f.line[:f.size], []byte("\r"))
	long := f.long
	f.size, f.long = 0, false
	switch f.state {
	case inLines:
		if len(line) == 0 {
			return f.endOfHead()
		}
		return f.headLine(line, long)
	case inChunkSize:
		return f.chunkSize(line)
	case afterChunk:
		f.state = inChunkSize
		return len(line) == 0
	case inTrailer:
		if len(line) == 0 {
			f.state = inLines
			return true
		}
		return !isFolded(line)
	}
	return true
}

// isFolded tells whether a line continues the one before. It may hide a length, and net/http takes
// one of blanks only for the end of a header; RFC 9112, 5.2 has servers refuse both.
func isFolded(line []byte) bool { return line[0] == ' ' || line[0] == '\t' }

func (f *framing) headLine(line []byte, long bool) bool {
	if !f.inHead {
		f.inHead = true
		f.old = bytes.HasSuffix(line, []byte("HTTP/1.0"))
		return true
	}
	if isFolded(line) {
		return false
	}
	name, value, _ := bytes.Cut(line, []byte(":"))
	switch {
	case isHeader(name, "content-length"):
		f.lengths++
		n, err := strconv.ParseInt(string(bytes.Trim(value, " \t")), 10, 63)
		if err != nil || n < 0 || long || f.lengths > 1 && n != f.length {
			return false
		}
		f.length = n
	case isHeader(name, "transfer-encoding"):
		f.codings++
	}
	return true
}

func isHeader(name []byte, want string) bool {
	return len(name) == len(want) && strings.EqualFold(string(name), want)
}

func (f *framing) endOfHead() bool {
	if !f.inHead {
		return true // an empty line before a request, which net/http refuses
	}
	defer func() { f.inHead, f.old, f.length, f.lengths, f.codings = false, false, 0, 0, 0 }()
	switch {
	case f.codings > 0 && (f.lengths > 0 || f.codings > 1 || f.old):
		return false
	case f.codings > 0:
		f.state = inChunkSize
	case f.length > 0:
		f.state, f.remain = inBody, f.length
	}
	return true
}

func (f *framing) chunkSize(line []byte) bool {
	digits, _, _ := bytes.Cut(line, []byte(";"))
	n, err := strconv.ParseInt(string(bytes.TrimRight(digits, " \t")), 16, 63)
	switch {
	case err != nil || n < 0:
		return false
	case n == 0:
		f.state = inTrailer
	default:
		f.state, f.remain = inChunk, n
	}
	return true
}
