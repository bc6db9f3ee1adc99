package proxy_test

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/portico-api/portico/aggregator/proxy"
)

// askFramed sends the frames of one HTTP/2 request, whatever net/http's client thinks of it, and returns its status; "" means that the stream was reset.
func askFramed(t *testing.T, url string, body string, fields ...hpack.HeaderField) (status string) {
	t.Helper()
	conn, err := tls.Dial("tcp", strings.TrimPrefix(url, "https://"), &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	var block strings.Builder
	encoder := hpack.NewEncoder(&block)
	for _, f := range fields {
		_ = encoder.WriteField(f)
	}
	_, _ = io.WriteString(conn, http2.ClientPreface)
	framer := http2.NewFramer(conn, conn)
	framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	_ = framer.WriteSettings()
	_ = framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: []byte(block.String()), EndHeaders: true, EndStream: body == ""})
	if body != "" {
		_ = framer.WriteData(1, true, []byte(body))
	}
	for {
		frame, err := framer.ReadFrame()
		if err != nil {
			return ""
		}
		switch f := frame.(type) {
		case *http2.MetaHeadersFrame:
			return f.PseudoValue("status")
		case *http2.RSTStreamFrame, *http2.GoAwayFrame:
			return ""
		}
	}
}

func pseudo(method, path string) []hpack.HeaderField {
	return []hpack.HeaderField{{Name: ":method", Value: method}, {Name: ":scheme", Value: "https"}, {Name: ":authority", Value: "a"}, {Name: ":path", Value: path}}
}

// A method is the beginning of a line: what stands in it must not become another line, or another path.
func TestAMethodThatIsNoneDoesNotReachTheBackend(t *testing.T) {
	b := newRawBackend(t, say(fineAnswer))
	url, _ := frontOf(t, b)
	for _, method := range []string{"GET /apis/secret HTTP/1.1", "GET\t/x", "GET /x?"} {
		if status := askFramed(t, url, "", pseudo(method, "/apis/example.com/v1/things")...); status == "200" {
			t.Errorf("method %q: the backend got %q", method, (<-b.heads).head)
		}
	}
	h := handlerOf(t, b)
	for _, method := range []string{"", "GET /x HTTP/1.1\r\nA: b\r\n\r\nGET"} {
		r := httptest.NewRequest(http.MethodGet, "/apis/example.com/v1/things", nil)
		r.Method = method
		w := httptest.NewRecorder()
		if h.ServeHTTP(w, r); w.Code != http.StatusBadRequest {
			t.Errorf("method %q: answer %d, want 400", method, w.Code)
		}
	}
}

// What a client of HTTP/2 says and does need not agree; a backend reads the next request where a length ends.
func TestALieAboutTheLengthDoesNotReachTheNextRequest(t *testing.T) {
	const hidden = "GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n"
	for _, c := range []struct {
		name, body string
		fields     []hpack.HeaderField
	}{
		{"shorter, small", "x", []hpack.HeaderField{{Name: "content-length", Value: "100"}}},
		{"shorter, large", "x", []hpack.HeaderField{{Name: "content-length", Value: "100000"}}},
		{"longer", "x" + hidden, []hpack.HeaderField{{Name: "content-length", Value: "1"}}},
		{"nothing", hidden, []hpack.HeaderField{{Name: "content-length", Value: "0"}}},
		{"no number", hidden, []hpack.HeaderField{{Name: "content-length", Value: "x"}}},
		{"two", hidden, []hpack.HeaderField{{Name: "content-length", Value: "1"}, {Name: "content-length", Value: "33"}}},
		{"chunks", "0\r\n\r\n" + hidden, []hpack.HeaderField{{Name: "transfer-encoding", Value: "chunked"}}},
		{"a body that was not promised", "", []hpack.HeaderField{{Name: "content-length", Value: "33"}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newRawBackend(t, func(conn net.Conn, from *bufio.Reader) bool {
				_, _ = io.WriteString(conn, fineAnswer)
				r, err := http.ReadRequest(from) // the head was read already: this is what follows on the connection
				if err == nil {
					t.Errorf("%s %s follows", r.Method, r.URL)
				}
				return false
			})
			url, _ := frontOf(t, b)
			_ = askFramed(t, url, c.body, append(pseudo("POST", "/apis/example.com/v1/things"), c.fields...)...)
		})
	}
}

// Over an upgraded connection the client speaks to the backend itself: if that is HTTP again, it may call itself whoever it likes.
func TestNobodyUpgradesToHTTP(t *testing.T) {
	for _, protocol := range []string{"h2c", "H2C", "h2", "HTTP/2.0", "TLS/1.2", "websocket, h2c"} {
		b := newRawBackend(t, func(conn net.Conn, _ *bufio.Reader) bool {
			_, _ = fmt.Fprintf(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: %s\r\n\r\n", protocol)
			return false
		})
		url, _ := frontOf(t, b)
		answer, _, _ := dialUpgrade(t, url, protocol)
		if answer.StatusCode == http.StatusSwitchingProtocols {
			t.Errorf("%s: the client speaks to the backend itself", protocol)
		}
		answer.Body.Close()
		if head := (<-b.heads).head; strings.Contains(head, "Upgrade") {
			t.Errorf("%s: the backend got\n%s", protocol, head)
		}
	}
}

// A request can only be hidden in the rest of a body if that is read as one.
func TestTheRestOfABodyIsNoRequest(t *testing.T) {
	for name, back := range map[string]struct {
		answer         string
		code, failures int
	}{
		"after an early answer":   {"HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig", 413, 0},
		"after an early redirect": {"HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n", 502, 0},
		"after none":              {"", 503, 1},
	} {
		for framing, begin := range map[string]string{
			"a length": "Content-Length: 20000\r\n\r\nx",
			"chunks":   "Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n",
		} {
			t.Run(name+" "+framing, func(t *testing.T) {
				b := newRawBackend(t, func(conn net.Conn, _ *bufio.Reader) bool {
					_, _ = io.WriteString(conn, back.answer)
					return false
				})
				url, _ := frontOf(t, b)
				conn, reader := dialRaw(t, url)
				fmt.Fprintf(conn, "POST /apis/example.com/v1/things HTTP/1.1\r\nHost: a\r\n%s", begin)
				got, err := http.ReadResponse(reader, nil)
				if err != nil {
					t.Fatal(err)
				}
				_, _ = io.Copy(io.Discard, got.Body)
				if got.StatusCode != back.code || int(b.failed.Load()) != back.failures {
					t.Errorf("answer %d, the backend is blamed %d times; want %d and %d", got.StatusCode, b.failed.Load(), back.code, back.failures)
				}
				_, _ = io.WriteString(conn, "GET /apis/example.com/v1/hidden HTTP/1.1\r\nHost: a\r\n\r\n")
				if second, err := http.ReadResponse(reader, nil); err == nil {
					t.Errorf("the rest of the body was answered with %d", second.StatusCode)
				}
			})
		}
	}
}

// pair is two endpoints; the first is tried first.
type pair [2]*rawBackend

func (p pair) Pick(not proxy.Endpoint) (proxy.Endpoint, error) {
	if not == nil {
		return p[0], nil
	}
	return p[1], nil
}

func (pair) MayRetry() bool { return true }

func TestOnlyWhatCanDoNoHarmIsSentAgain(t *testing.T) {
	closes := func(net.Conn, *bufio.Reader) bool { return false }
	for _, c := range []struct {
		name, method, upgrade string
		refuses               bool
		first, second, code   int
	}{
		{"GET after a refusal", "GET", "", true, 0, 1, 200},
		{"POST after a refusal", "POST", "", true, 0, 1, 200},
		{"GET after a broken exchange", "GET", "", false, 1, 1, 200},
		{"POST after a broken exchange", "POST", "", false, 1, 0, 503},
		{"DELETE after a broken exchange", "DELETE", "", false, 1, 0, 503},
		{"a command over a WebSocket after a broken exchange", "GET", "websocket", false, 1, 0, 503},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := pair{newRawBackend(t, closes), newRawBackend(t, say(fineAnswer))}
			if c.refuses {
				p[0].address = closedPort(t)
			}
			r := httptest.NewRequest(c.method, "/apis/example.com/v1/things", nil)
			if c.method == "POST" {
				r = httptest.NewRequest(c.method, "/apis/example.com/v1/things", strings.NewReader("body"))
			}
			if c.upgrade != "" {
				r.Header.Set("Connection", "Upgrade")
				r.Header.Set("Upgrade", c.upgrade)
			}
			w := httptest.NewRecorder()
			handlerOf(t, p).ServeHTTP(w, r)
			if w.Code != c.code || len(p[0].heads) != c.first || len(p[1].heads) != c.second {
				t.Errorf("answer %d after %d and %d requests, want %d after %d and %d", w.Code, len(p[0].heads), len(p[1].heads), c.code, c.first, c.second)
			}
		})
	}
}
