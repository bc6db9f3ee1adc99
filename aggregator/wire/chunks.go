package wire

import (
	"bytes"
	"errors"
	"io"
)

type chunkState uint8

const (
	atSize    chunkState = iota // the line with the size of a chunk
	inData                      // left bytes of it
	atDataEnd                   // the CRLF after it
	atTrailer                   // lines until an empty one
)

// maxSizeLine bounds the line before a chunk. What stands there beside the size means nothing to
// anybody, so a longer one serves only to hide something.
const maxSizeLine = 256

// maxTrailer bounds the trailer.
const maxTrailer = 64 << 10

var errTrailerTooLong = errors.New("the backend's answer has an over-long trailer")

var errSizeLineTooLong = errors.New("the backend's answer has an over-long line before a chunk")

// nextOfChunks returns the data of all chunks at hand, moved together in the buffer.
func (c *Conn) nextOfChunks() ([]byte, error) {
	for {
		data, err := c.decode()
		if len(data) > 0 || err != nil {
			return data, err
		}
		if c.start == c.end {
			c.adapt()
		} else if c.body.chunk == atTrailer && c.end-c.start > maxTrailer {
			return nil, errTrailerTooLong
		}
		if err := c.fill(); err != nil {
			return nil, unexpected(err)
		}
	}
}

// decode takes as much as it can from the buffer.
func (c *Conn) decode() (data []byte, err error) {
	from, to := c.start, c.start
	for c.start < c.end {
		switch c.body.chunk {
		case inData:
			n := int(min(int64(c.end-c.start), c.body.left))
			if to != c.start {
				copy(c.buf[to:], c.buf[c.start:c.start+n])
			}
			to += n
			c.start += n
			if c.body.left -= int64(n); c.body.left == 0 {
				c.body.chunk = atDataEnd
			}
			continue
		case atTrailer:
			done, err := c.takeTrailer()
			if err == nil && done {
				err = io.EOF
			}
			return c.buf[from:to], err
		}
		line, whole, err := c.takeLine()
		if err != nil {
			return c.buf[from:to], err
		}
		if !whole {
			break
		}
		if err := c.body.line(line); err != nil {
			return c.buf[from:to], err
		}
	}
	return c.buf[from:to], nil
}

// takeLine takes a line that ends with CRLF, without it, once it is at hand.
func (c *Conn) takeLine() (line []byte, whole bool, err error) {
	have := c.buf[c.start:c.end]
	at := bytes.IndexByte(have, '\n')
	if at < 0 && len(have) <= maxSizeLine {
		return nil, false, nil
	}
	if at < 0 || at > maxSizeLine {
		return nil, false, errSizeLineTooLong
	}
	if at == 0 || have[at-1] != '\r' {
		return nil, false, malformed("a line before a chunk", have[:at+1])
	}
	c.start += at + 1
	return have[:at-1], true, nil
}

// line acts on the line before or after a chunk.
func (b *body) line(line []byte) error {
	if b.chunk == atDataEnd {
		if len(line) > 0 {
			return malformed("a chunk longer than its size", line)
		}
		b.chunk = atSize
		return nil
	}
	size, ok := parseChunkSize(line)
	if !ok {
		return malformed("the size of a chunk", line)
	}
	b.left = size
	if b.chunk = inData; size == 0 {
		b.chunk = atTrailer
	}
	return nil
}

// parseChunkSize reads hexadecimal digits, and passes over blanks and extensions after them.
func parseChunkSize(line []byte) (size int64, ok bool) {
	digits := 0
	for digits < len(line) {
		d := unhex(line[digits])
		if d < 0 {
			break
		}
		size = size<<4 | int64(d)
		if digits++; digits > 15 {
			return 0, false
		}
	}
	rest := bytes.TrimLeft(line[digits:], " \t")
	if digits == 0 || len(rest) > 0 && rest[0] != ';' || !isText(string(rest)) {
		return 0, false
	}
	return size, true
}

func unhex(b byte) int {
	switch {
	case '0' <= b && b <= '9':
		return int(b - '0')
	case 'a' <= b && b <= 'f':
		return int(b-'a') + 10
	case 'A' <= b && b <= 'F':
		return int(b-'A') + 10
	}
	return -1
}

// takeTrailer takes the trailer with its empty line, once it is at hand.
func (c *Conn) takeTrailer() (done bool, err error) {
	have := c.buf[c.start:c.end]
	if len(have) < 2 {
		return false, nil
	}
	size := 2
	if have[0] != '\r' || have[1] != '\n' {
		at := bytes.Index(have, []byte("\r\n\r\n"))
		if at < 0 {
			return false, nil
		}
		size = at + 4
	}
	if size > 2 {
		if c.answer.Trailer, err = parseFields(c.answer.Trailer, string(have[:size])); err != nil {
			return false, err
		}
	}
	c.start += size
	c.body.kind = bodyDone
	return true, nil
}
