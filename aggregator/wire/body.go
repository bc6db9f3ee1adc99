package wire

import (
	"errors"
	"io"
	"net/http"
)

type bodyKind uint8

const (
	bodyNone      bodyKind = iota // no answer has begun
	bodyLength                    // left bytes
	bodyChunked                   // chunks, then a trailer
	bodyUntilEnd                  // until the connection ends
	bodyUnbounded                 // another protocol
	bodyDone
)

// body is how far the body of the answer has been read.
type body struct {
	kind  bodyKind
	left  int64 // of the body or of the chunk
	chunk chunkState
}

// begin finds out which body follows the head (RFC 9112, 6.3). Two statements about its length are an
// error even where one of them would win.
func (b *body) begin(a *Answer, method string) error {
	switch {
	case a.codings > 0 && (a.lengths > 0 || a.old):
		return malformed("Transfer-Encoding beside Content-Length or in HTTP/1.0", nil)
	case a.Status == http.StatusSwitchingProtocols:
		*b = body{kind: bodyUnbounded}
		a.Length, a.close = -1, true
	case method == http.MethodHead:
		*b = body{kind: bodyDone}
		a.Length = a.length
		if a.lengths == 0 {
			a.Length = -1
		}
	case a.Status == http.StatusNoContent, a.Status == http.StatusNotModified:
		*b = body{kind: bodyDone}
		if a.codings > 0 || a.Status == http.StatusNoContent && a.length > 0 {
			a.close = true // a server that announces a body here may send one, which would be read as the next answer
		}
	case a.codings > 0:
		*b = body{kind: bodyChunked}
		a.Length = -1
	case a.lengths > 0:
		*b = body{kind: bodyLength, left: a.length}
		a.Length = a.length
		if a.length == 0 {
			b.kind = bodyDone
		}
	default:
		*b = body{kind: bodyUntilEnd}
		a.Length, a.close = -1, true
	}
	return nil
}

var errNoAnswer = errors.New("there is no answer to read from")

// Ready tells whether Next would return without waiting.
func (c *Conn) Ready() bool { return c.body.kind == bodyDone || c.start < c.end || c.ended != nil }

// Next returns the next part of the body, as much as is at hand; it waits only when there is nothing. The bytes are good
// until the next call. At the end of the body the error is io.EOF, which may come together with the last part.
func (c *Conn) Next() ([]byte, error) {
	switch c.body.kind {
	case bodyDone:
		return nil, io.EOF
	case bodyLength:
		return c.nextOfLength()
	case bodyChunked:
		return c.nextOfChunks()
	case bodyUntilEnd:
		return c.nextUntilEnd()
	}
	return nil, errNoAnswer
}

func (c *Conn) nextOfLength() ([]byte, error) {
	if c.start == c.end {
		if len(c.buf) == smallBuffer && c.body.left > smallBuffer {
			c.grow(largeBuffer) // a record of TLS at a time instead of a quarter of one
		}
		if err := c.fill(); err != nil {
			return nil, unexpected(err)
		}
	}
	n := min(int64(c.end-c.start), c.body.left)
	data := c.buf[c.start : c.start+int(n)]
	c.start += int(n)
	if c.body.left -= n; c.body.left == 0 {
		c.body.kind = bodyDone
		return data, io.EOF
	}
	return data, nil
}

func (c *Conn) nextUntilEnd() ([]byte, error) {
	if c.start == c.end {
		c.adapt()
		if err := c.fill(); err != nil {
			if err == io.EOF {
				c.body.kind = bodyDone
			}
			return nil, err
		}
	}
	data := c.buf[c.start:c.end]
	c.start = c.end
	return data, nil
}

// promised is how much more must come of the body, or of its chunk, behind what is in the buffer.
func (b *body) promised(held int) int64 {
	if b.kind == bodyLength || b.kind == bodyChunked && b.chunk == inData {
		return b.left - int64(held)
	}
	return 0
}

// adapt takes a large buffer when the last read filled a small one, and goes back when a large one was hardly used.
// Everything in the buffer must have been used.
func (c *Conn) adapt() {
	switch {
	case len(c.buf) == smallBuffer && c.end == smallBuffer:
		c.grow(largeBuffer)
	case len(c.buf) == largeBuffer && c.end < smallBuffer:
		c.buffers.put(c.buf)
		c.buf, c.start, c.end = c.buffers.getSmall(), 0, 0
	}
}

// unexpected is the error of a body that ends before its end.
func unexpected(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
