package proxy_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
)

// A backend works on as long as it does not know that nobody waits any more.
func TestABackendLearnsAtOnceThatTheClientHasLeftMidBody(t *testing.T) {
	for name, c := range map[string]struct {
		method, body, answer string
	}{
		"of the answer, with a length": {"GET", "", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"},
		"of the answer, in chunks":     {"GET", "", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n"},
		"of the request":               {"POST", "half", ""},
		"of both":                      {"POST", "half", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n"},
	} {
		t.Run(name, func(t *testing.T) {
			both(t, func(t *testing.T, http2 bool) {
				begun, told := make(chan struct{}), make(chan struct{})
				b := newRawBackend(t, func(conn net.Conn, from *bufio.Reader) bool {
					defer close(told)
					_, _ = io.WriteString(conn, c.answer)
					close(begun)
					if rest, _ := io.ReadAll(from); strings.Contains(string(rest), "0\r\n\r\n") {
						t.Errorf("the backend takes %q for a whole body", rest)
					}
					return false
				})
				url, client := frontOf(t, b)
				ctx, cancel := context.WithCancel(context.Background())
				defer cancel()
				var body io.Reader
				reader, writer := io.Pipe()
				if c.body != "" {
					go io.WriteString(writer, c.body)
					body = reader
				}
				r, _ := http.NewRequestWithContext(ctx, c.method, url+"/apis/example.com/v1/things?watch=1", body)
				over := make(chan struct{})
				go func() {
					defer close(over)
					if answer, err := client(http2).Do(r); err == nil {
						_, _ = io.Copy(io.Discard, answer.Body)
						answer.Body.Close()
					}
				}()
				await(t, "the request", begun)
				cancel()
				writer.CloseWithError(context.Canceled) // net/http's client does not look at the context while it reads a body to send
				await(t, "the backend to be told", told)
				await(t, "the client", over)
				if b.idleConns() != 0 || b.failed.Load() != 0 {
					t.Errorf("%d connections are kept, the backend is blamed %d times; want none", b.idleConns(), b.failed.Load())
				}
			})
		})
	}
}

// Servers frame their answers in ways that net/http's does not use by itself.
func TestAnswersOfAllFramingsPass(t *testing.T) {
	for name, c := range map[string]struct {
		raw, body string
		kept      int
	}{
		"HTTP/1.0 until the end":      {"HTTP/1.0 200 OK\r\n\r\nfine", "fine", 0},
		"HTTP/1.0 with a length":      {"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 4\r\n\r\nfine", "fine", 0},
		"HTTP/1.1 until the end":      {"HTTP/1.1 200 OK\r\n\r\nfine", "fine", 0},
		"the wish to close":           {"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 4\r\n\r\nfine", "fine", 0},
		"a length":                    {fineAnswer, "fine", 1},
		"extensions and a trailer":    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4;a=b\r\nfine\r\n0;c\r\nX-Sum: 1\r\n\r\n", "fine", 1},
		"an interim answer before it": {"HTTP/1.1 100 Continue\r\n\r\n" + fineAnswer, "fine", 1},
		"a long header":               {"HTTP/1.1 200 OK\r\nX-Long: " + strings.Repeat("x", 500_000) + "\r\nContent-Length: 4\r\n\r\nfine", "fine", 1},
		"more than was asked for":     {fineAnswer + fineAnswer, "fine", 0},
	} {
		t.Run(name, func(t *testing.T) {
			b := newRawBackend(t, func(conn net.Conn, _ *bufio.Reader) bool {
				_, _ = io.WriteString(conn, c.raw)
				return c.kept == 1
			})
			w := fetch(t, handlerOf(t, b))
			if w.Code != http.StatusOK || w.Body.String() != c.body || b.idleConns() != c.kept {
				t.Errorf("answer %d %q and %d connections are kept, want 200 %q and %d", w.Code, w.Body, b.idleConns(), c.body, c.kept)
			}
		})
	}
}
