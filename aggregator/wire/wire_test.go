package wire_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/portico-api/portico/aggregator/wire"
)

// script is the backend's side of a connection: it says the same whatever it is asked.
type script struct {
	net.Conn
	say io.Reader
}

func (s *script) Read(p []byte) (int, error)       { return s.say.Read(p) }
func (s *script) Write(p []byte) (int, error)      { return len(p), nil }
func (s *script) Close() error                     { return nil }
func (s *script) SetDeadline(time.Time) error      { return nil }
func (s *script) SetWriteDeadline(time.Time) error { return nil }

// reading is what was understood of an answer.
type reading struct {
	status  int
	length  int64
	header  http.Header
	body    string
	trailer http.Header
	clean   bool // the connection may be used again
	err     error
}

// read reads one answer to a request with method from what a backend says.
func read(method string, say io.Reader) (got reading) {
	c := wire.New(&script{say: say}, "10.0.0.1:443", new(wire.Buffers))
	c.Begin()
	defer func() { got.clean = c.End() }()
	answer, err := c.Receive(method, nil)
	if err != nil {
		return reading{err: err}
	}
	got = reading{status: answer.Status, length: answer.Length, header: headerOf(answer.Header)}
	if answer.Status == http.StatusSwitchingProtocols {
		return got
	}
	var body bytes.Buffer
	for {
		data, err := c.Next()
		body.Write(data)
		if err == io.EOF {
			break
		}
		if err != nil {
			got.err = err
			break
		}
	}
	got.body, got.trailer = body.String(), headerOf(answer.Trailer)
	return got
}

func headerOf(fields []wire.Field) http.Header {
	h := http.Header{}
	for _, f := range fields {
		h.Add(f.Name, f.Value)
	}
	return h
}

// good are answers that are understood, whole, and leave the connection to the next request if clean.
var good = []struct {
	name, method, raw string
	status            int
	length            int64
	body, trailer     string
	clean             bool
}{
	{"a length", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody", 200, 4, "body", "", true},
	{"a length twice, and the same", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nContent-Length: 4\r\n\r\nbody", 200, 4, "body", "", true},
	{"no words after the status", "GET", "HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", 200, 0, "", "", true},
	{"chunks", "GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nbo\r\n2\r\ndy\r\n0\r\n\r\n", 200, -1, "body", "", true},
	{"chunks with extensions and blanks", "GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n2 \r\nbo\r\n2;a=\"b\"\r\ndy\r\n00\r\n\r\n", 200, -1, "body", "", true},
	{"chunks with a trailer", "GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nA\r\n0123456789\r\n0\r\nX-Sum: 1\r\n\r\n", 200, -1, "0123456789", "1", true},
	{"until the end", "GET", "HTTP/1.1 200 OK\r\n\r\nbody", 200, -1, "body", "", false},
	{"HTTP/1.0", "GET", "HTTP/1.0 200 OK\r\nContent-Length: 4\r\n\r\nbody", 200, 4, "body", "", false},
	{"the wish to close", "GET", "HTTP/1.1 200 OK\r\nConnection: x, Close\r\nContent-Length: 4\r\n\r\nbody", 200, 4, "body", "", false},
	{"more than its length", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbodyHTTP/1.1 200 OK\r\n\r\n", 200, 4, "body", "", false},
	{"more than its chunks", "GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nx", 200, -1, "", "", false},
	{"a body to HEAD", "HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody", 200, 4, "", "", false},
	{"none to HEAD", "HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n", 200, 4, "", "", true},
	{"204", "DELETE", "HTTP/1.1 204 No Content\r\n\r\n", 204, 0, "", "", true},
	{"204 with the length of what must not be sent", "GET", "HTTP/1.1 204 No Content\r\nContent-Length: 4\r\n\r\n", 204, 0, "", "", false},
	{"304 with chunks that must not be sent", "GET", "HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n", 304, 0, "", "", false},
	{"304 with the length of what is not sent", "GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 4\r\n\r\n", 304, 0, "", "", true},
	{"interim answers before it", "GET", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbody", 200, 4, "body", "", true},
	{"another protocol", "GET", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n", 101, -1, "", "", false},
}

// arrivals are ways in which the bytes may arrive.
var arrivals = map[string]func(io.Reader) io.Reader{
	"at once":        func(r io.Reader) io.Reader { return r },
	"byte by byte":   iotest.OneByteReader,
	"half by half":   iotest.HalfReader,
	"with the error": iotest.DataErrReader,
}

func TestAnswersAreUnderstood(t *testing.T) {
	for _, c := range good {
		for arrival, arrive := range arrivals {
			t.Run(c.name+" "+arrival, func(t *testing.T) {
				got := read(c.method, arrive(strings.NewReader(c.raw)))
				if got.err != nil || got.status != c.status || got.length != c.length || got.body != c.body || got.trailer.Get("X-Sum") != c.trailer {
					t.Errorf("%q is read as %+v", c.raw, got)
				}
				// What comes after the answer, and that the connection ends, may not have been seen yet: Alive sees it.
				if arrival == "at once" && got.clean != c.clean {
					t.Errorf("%q: the connection can be used again: %v, want %v", c.raw, got.clean, c.clean)
				}
			})
		}
	}
}

// bad are answers that two readers may understand in two ways, or that are none.
var bad = map[string]string{
	"two lengths":                 "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\nbody",
	"a list of lengths":           "HTTP/1.1 200 OK\r\nContent-Length: 4, 4\r\n\r\nbody",
	"a length with a sign":        "HTTP/1.1 200 OK\r\nContent-Length: +4\r\n\r\nbody",
	"a negative length":           "HTTP/1.1 200 OK\r\nContent-Length: -4\r\n\r\nbody",
	"an empty length":             "HTTP/1.1 200 OK\r\nContent-Length: \r\n\r\nbody",
	"a length that overflows":     "HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551620\r\n\r\nbody",
	"a length and chunks":         "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
	"another coding":              "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nbody",
	"a list of codings":           "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
	"a coding twice":              "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
	"chunks in HTTP/1.0":          "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
	"a folded line":               "HTTP/1.1 200 OK\r\nX: a\r\n b\r\nContent-Length: 0\r\n\r\n",
	"a folded first line":         "HTTP/1.1 200 OK\r\n X: a\r\nContent-Length: 0\r\n\r\n",
	"a blank before the colon":    "HTTP/1.1 200 OK\r\nContent-Length : 4\r\n\r\nbody",
	"a lone CR":                   "HTTP/1.1 200 OK\r\nX: a\rContent-Length: 9\r\nContent-Length: 0\r\n\r\n",
	"a lone LF":                   "HTTP/1.1 200 OK\nContent-Length: 4\r\n\r\nbody",
	"a NUL":                       "HTTP/1.1 200 OK\r\nX: a\x00b\r\nContent-Length: 0\r\n\r\n",
	"a line without a colon":      "HTTP/1.1 200 OK\r\nnonsense\r\nContent-Length: 0\r\n\r\n",
	"a name that is none":         "HTTP/1.1 200 OK\r\nX(y): a\r\nContent-Length: 0\r\n\r\n",
	"HTTP/2 in clear":             "HTTP/2.0 200 OK\r\n\r\n",
	"HTTP/1.2":                    "HTTP/1.2 200 OK\r\nContent-Length: 0\r\n\r\n",
	"another status":              "HTTP/1.1 2x0 OK\r\nContent-Length: 0\r\n\r\n",
	"a long status":               "HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n",
	"a small status":              "HTTP/1.1 099 OK\r\nContent-Length: 0\r\n\r\n",
	"garbage":                     "\x15\x03\x01\x00\x02\x02\x16",
	"nothing":                     "",
	"half a head":                 "HTTP/1.1 200 OK\r\nContent-Le",
	"half a body":                 "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nbo",
	"half a chunk":                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbo",
	"no last chunk":               "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n",
	"no end of the trailer":       "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX-Sum: 1\r\n",
	"a chunk longer than it says": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nbody\r\n0\r\n\r\n",
	"a chunk size with 0x":        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0x4\r\nbody\r\n0\r\n\r\n",
	"a negative chunk":            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-4\r\nbody\r\n0\r\n\r\n",
	"a chunk size that overflows": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10000000000000004\r\nbody\r\n0\r\n\r\n",
	"no chunk size":               "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n;a\r\nbody\r\n0\r\n\r\n",
	"a lone LF after a size":      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\nbody\r\n0\r\n\r\n",
	"a lone LF in an extension":   "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4;a\nbody\r\n0\r\n\r\n",
	"a lone CR in an extension":   "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4;a\rb\r\nbody\r\n0\r\n\r\n",
	"an endless extension":        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4;" + strings.Repeat("a", 5000) + "\r\nbody\r\n0\r\n\r\n",
	"a folded trailer":            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: a\r\n b\r\n\r\n",
	"too many fields":             "HTTP/1.1 200 OK\r\n" + strings.Repeat("X: a\r\n", 1001) + "Content-Length: 0\r\n\r\n",
	"too long a head":             "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("a", 2<<20) + "\r\n\r\n",
	"too long a trailer":          "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: " + strings.Repeat("a", 3<<20) + "\r\n\r\n",
	"endless interim answers":     strings.Repeat("HTTP/1.1 103 Early Hints\r\n\r\n", 100),
	"an interim answer of 1.0":    "HTTP/1.0 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
}

func TestAnAmbiguousAnswerIsAnError(t *testing.T) {
	for name, raw := range bad {
		for arrival, arrive := range arrivals {
			if arrival == "byte by byte" && len(raw) > 100_000 {
				continue
			}
			if got := read("GET", arrive(strings.NewReader(raw))); got.err == nil || got.clean {
				t.Errorf("%s, %s: read as %+v, want an error", name, arrival, got)
			}
		}
	}
}

func TestAConnectionThatEndsBeforeTheAnswerSaysSo(t *testing.T) {
	if got := read("GET", strings.NewReader("")); !errors.Is(got.err, io.EOF) {
		t.Errorf("error %v, want EOF", got.err)
	}
}

func TestALongBodyIsReadInLargeParts(t *testing.T) {
	body := strings.Repeat("0123456789abcdef", 64<<10)
	raw := "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
	for at := 0; at < len(body); at += 4096 {
		raw += "1000\r\n" + body[at:at+4096] + "\r\n"
	}
	for name, text := range map[string]string{"chunks": raw + "0\r\n\r\n", "a length": "HTTP/1.1 200 OK\r\nContent-Length: 1048576\r\n\r\n" + body} {
		c := wire.New(&script{say: strings.NewReader(text)}, "", new(wire.Buffers))
		c.Begin()
		if _, err := c.Receive("GET", nil); err != nil {
			t.Fatal(err)
		}
		var got strings.Builder
		parts := 0
		for err := error(nil); err == nil; parts++ {
			var data []byte
			if data, err = c.Next(); err != nil && err != io.EOF {
				t.Fatal(err)
			}
			got.Write(data)
		}
		if got.String() != body || parts > 100 {
			t.Errorf("%s: %d bytes in %d parts, want %d in few", name, got.Len(), parts, len(body))
		}
		if !c.End() {
			t.Errorf("%s: the connection cannot be used again", name)
		}
	}
}

func TestNoFieldOfARequestEndsItsLine(t *testing.T) {
	for _, c := range []struct{ name, value, want string }{
		{"X-A", "b", "X-A: b\r\n"},
		{"X-A", "b\r\nX-Remote-User: root", "X-A: b  X-Remote-User: root\r\n"},
		{"X-A\r\nX-B", "c", ""},
		{"", "c", ""},
		{"X-A", "ü\t\x00\x7f", "X-A: ü\t  \r\n"},
	} {
		if got := string(wire.AppendField(nil, c.name, c.value)); got != c.want {
			t.Errorf("AppendField(%q, %q) = %q, want %q", c.name, c.value, got, c.want)
		}
	}
}
