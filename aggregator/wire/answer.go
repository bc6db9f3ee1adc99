package wire

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
)

// Errors of an answer that is not HTTP/1.1 as RFC 9112 has it.
var (
	errHeadTooLong    = fmt.Errorf("the backend's answer begins with more than %d bytes of header", maxHead)
	errTooManyFields  = fmt.Errorf("the backend's answer has more than %d header fields", maxFields)
	errTooManyInterim = errors.New("the backend sends one interim answer after the other")
)

const (
	// maxFields bounds the header fields of one answer.
	maxFields = 1000
	// maxInterim bounds the 1xx answers before the final one.
	maxInterim = 20
)

// Field is one header field, its name in canonical form.
type Field struct{ Name, Value string }

// Answer is the head of an answer, and its trailer when the body has been read.
type Answer struct {
	Status int
	Header []Field
	// Length is that of the body; -1 when it is not known beforehand.
	Length int64
	// Trailer is there after the end of the body.
	Trailer []Field

	close   bool // the connection ends with this answer
	old     bool // HTTP/1.0
	length  int64
	lengths int
	codings int
}

func (a *Answer) clear() {
	clear(a.Header)
	clear(a.Trailer)
	*a = Answer{Header: a.Header[:0], Trailer: a.Trailer[:0]}
}

// Get returns the first value of a field, whose name is given in canonical form.
func (a *Answer) Get(name string) string {
	for i := range a.Header {
		if a.Header[i].Name == name {
			return a.Header[i].Value
		}
	}
	return ""
}

// Receive reads the head of the answer to a request with method. It belongs to the connection and is good
// until End. interim is told of each 1xx answer before it, if it is not nil.
func (c *Conn) Receive(method string, interim func(*Answer)) (*Answer, error) {
	for range maxInterim {
		head, err := c.readHead()
		if err != nil {
			return nil, err
		}
		if err := c.answer.parse(head); err != nil {
			return nil, err
		}
		if c.answer.Status >= 200 || c.answer.Status == http.StatusSwitchingProtocols {
			if err := c.body.begin(&c.answer, method); err != nil {
				return nil, err
			}
			if c.answer.Length > smallBuffer && len(c.buf) == smallBuffer {
				c.grow(largeBuffer)
			}
			return &c.answer, nil
		}
		if c.answer.old {
			return nil, malformed("an interim answer of HTTP/1.0", nil)
		}
		if interim != nil {
			interim(&c.answer)
		}
		c.answer.clear()
	}
	return nil, errTooManyInterim
}

// readHead returns the bytes of a head with its empty line. They are the buffer's.
func (c *Conn) readHead() ([]byte, error) {
	seen := 0
	for {
		have := c.buf[c.start:c.end]
		if at := bytes.Index(have[max(0, seen-3):], []byte("\r\n\r\n")); at >= 0 {
			size := max(0, seen-3) + at + 4
			head := have[:size]
			c.start += size
			return head, nil
		}
		if seen = len(have); seen > maxHead {
			return nil, errHeadTooLong
		}
		// Garbage is told from a head that is slow in coming, so that nobody waits for the rest of it.
		if n := min(seen, len(protocol)); string(have[:n]) != protocol[:n] {
			return nil, malformed("a status line", have)
		}
		if err := c.fill(); err != nil {
			if err == io.EOF && seen > 0 {
				err = io.ErrUnexpectedEOF
			}
			return nil, err
		}
	}
}

const protocol = "HTTP/1."

func malformed(what string, got []byte) error {
	return fmt.Errorf("the backend's answer is malformed: %s: %q", what, got[:min(len(got), 80)])
}

// parse reads a head. Its text is kept in one string, of which names and values are parts.
func (a *Answer) parse(head []byte) error {
	a.clear()
	text := string(head)
	line, rest, _ := strings.Cut(text, "\r\n")
	if err := a.parseStatusLine(line); err != nil {
		return err
	}
	var err error
	if a.Header, err = parseFields(a.Header, rest); err != nil {
		return err
	}
	for i := range a.Header {
		if err := a.note(a.Header[i]); err != nil {
			return err
		}
	}
	if a.lengths > 1 { // the same length, so once is enough
		first := slices.IndexFunc(a.Header, isLength)
		rest := slices.DeleteFunc(a.Header[first+1:], isLength)
		a.Header = a.Header[:first+1+len(rest)]
	}
	return nil
}

func isLength(f Field) bool { return f.Name == "Content-Length" }

// parseStatusLine reads "HTTP/1.1 200 OK". Nobody needs the words after the number.
func (a *Answer) parseStatusLine(line string) error {
	const digits = len("HTTP/1.1 ")
	if len(line) < digits+3 || line[:len(protocol)] != protocol || line[digits-1] != ' ' || len(line) > digits+3 && line[digits+3] != ' ' || !isText(line) {
		return malformed("a status line", []byte(line))
	}
	switch line[len(protocol)] {
	case '1':
	case '0':
		a.old, a.close = true, true
	default:
		return malformed("a status line", []byte(line))
	}
	for _, d := range []byte(line[digits : digits+3]) {
		if d < '0' || d > '9' {
			return malformed("a status line", []byte(line))
		}
		a.Status = 10*a.Status + int(d-'0')
	}
	if a.Status < 100 {
		return malformed("a status line", []byte(line))
	}
	return nil
}

// note remembers what a field says about the framing and the connection.
func (a *Answer) note(f Field) error {
	switch f.Name {
	case "Content-Length":
		n, ok := parseLength(f.Value)
		if !ok || a.lengths > 0 && n != a.length {
			return malformed("Content-Length", []byte(f.Value))
		}
		a.length = n
		a.lengths++
	case "Transfer-Encoding":
		if a.codings++; a.codings > 1 || !strings.EqualFold(f.Value, "chunked") {
			return malformed("Transfer-Encoding", []byte(f.Value))
		}
	case "Connection":
		for token := range strings.SplitSeq(f.Value, ",") {
			if strings.EqualFold(strings.Trim(token, " \t"), "close") {
				a.close = true
			}
		}
	}
	return nil
}

// parseLength reads digits and nothing else: no sign, no list, nothing that overflows.
func parseLength(s string) (int64, bool) {
	if s == "" || len(s) > 18 {
		return 0, false
	}
	var n int64
	for i := 0; i < len(s); i++ {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
		n = 10*n + int64(s[i]-'0')
	}
	return n, true
}
