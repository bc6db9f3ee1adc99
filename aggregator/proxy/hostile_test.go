package proxy_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/portico-api/portico/aggregator/proxy"
	"github.com/portico-api/portico/aggregator/wire"
)

// rawBackend is a server that keeps no rule but its own.
type rawBackend struct {
	*target
	heads  chan arrival
	failed atomic.Int32
}

// arrival is the head of a request, and on which connection it came, from 0 on.
type arrival struct {
	conn int
	head string
}

func (b *rawBackend) Pick(proxy.Endpoint) (proxy.Endpoint, error) { return b, nil }

func (b *rawBackend) Done(c *wire.Conn, answered, failed bool) {
	if failed {
		b.failed.Add(1)
	}
	b.target.Done(c, answered, failed)
}

// idleConns is how many connections wait for another request.
func (b *rawBackend) idleConns() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.idle)
}

// newRawBackend starts a backend that calls answer after each head. The connection ends when that returns false.
func newRawBackend(t *testing.T, answer func(conn net.Conn, from *bufio.Reader) bool) *rawBackend {
	t.Helper()
	cert, roots := certificate(t)
	ln, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{cert}})
	if err != nil {
		t.Fatal(err)
	}
	b := &rawBackend{heads: make(chan arrival, 100)}
	var running sync.WaitGroup
	running.Go(func() {
		for n := 0; ; n++ {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
			running.Go(func() {
				defer conn.Close()
				for from := bufio.NewReader(conn); ; {
					head, err := readHead(from)
					if err != nil {
						return
					}
					b.heads <- arrival{n, head}
					if !answer(conn, from) {
						return
					}
				}
			})
		}
	})
	t.Cleanup(running.Wait)
	t.Cleanup(func() { ln.Close() })
	b.target = newTarget(t, ln.Addr().String(), roots)
	return b
}

func readHead(from *bufio.Reader) (head string, err error) {
	for !strings.HasSuffix(head, "\r\n\r\n") {
		line, err := from.ReadString('\n')
		if err != nil {
			return "", err
		}
		head += line
	}
	return head, nil
}

// say answers always the same.
func say(raw string) func(net.Conn, *bufio.Reader) bool {
	return func(conn net.Conn, _ *bufio.Reader) bool {
		_, err := io.WriteString(conn, raw)
		return err == nil
	}
}

const fineAnswer = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine"

func handlerOf(t *testing.T, b proxy.Backend) *proxy.Handler {
	t.Helper()
	h, err := proxy.New(config(b))
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// frontOf starts a front door to b.
func frontOf(t *testing.T, b proxy.Backend) (url string, client func(http2 bool) *http.Client) {
	t.Helper()
	cert, roots := certificate(t)
	s := server(t, cert, handlerOf(t, b))
	return s.URL, func(http2 bool) *http.Client { return newClient(t, roots, http2) }
}

// dialRaw connects a client of HTTP/1.1 that keeps no rule.
func dialRaw(t *testing.T, url string) (*tls.Conn, *bufio.Reader) {
	t.Helper()
	conn, err := tls.Dial("tcp", strings.TrimPrefix(url, "https://"), &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"http/1.1"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	return conn, bufio.NewReader(conn)
}

func fetch(t *testing.T, h http.Handler) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/apis/example.com/v1/things", nil))
	return w
}

func TestWhatNobodyAskedForIsNoAnswer(t *testing.T) {
	idle, sent := make(chan struct{}), make(chan struct{})
	var once sync.Once
	b := newRawBackend(t, func(conn net.Conn, _ *bufio.Reader) bool {
		_, _ = io.WriteString(conn, fineAnswer)
		once.Do(func() {
			<-idle
			_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")
			close(sent)
		})
		return true
	})
	h := handlerOf(t, b)
	if w := fetch(t, h); w.Body.String() != "fine" || b.idleConns() != 1 {
		t.Fatalf("answer %d %q, and %d connections are kept", w.Code, w.Body, b.idleConns())
	}
	close(idle)
	await(t, "what nobody asked for", sent)
	if w := fetch(t, h); w.Body.String() != "fine" {
		t.Errorf("answer %d %q to the request after it", w.Code, w.Body)
	}
}

func TestABodyThatTheBackendDidNotWantCostsTheConnection(t *testing.T) {
	b := newRawBackend(t, say(fineAnswer)) // answers without having asked for the body, and would read it still
	url, client := frontOf(t, b)
	one := client(false)
	one.Transport.(*http.Transport).ExpectContinueTimeout = 20 * time.Second
	r, _ := http.NewRequest(http.MethodPut, url+"/apis/example.com/v1/things/one", strings.NewReader(strings.Repeat("x", 100)))
	r.Header.Set("Expect", "100-continue")
	answer, err := one.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	other, err := client(false).Get(url + "/apis/example.com/v1/things/two")
	if err != nil {
		t.Fatal(err)
	}
	other.Body.Close()
	if first, second := <-b.heads, <-b.heads; first.conn == second.conn {
		t.Errorf("the request\n%s\nfollows on a connection whose server waits for the body of\n%s", second.head, first.head)
	}
}

func TestARequestThatEndedWithItsClientLeavesNoConnection(t *testing.T) {
	b := newRawBackend(t, say(fineAnswer))
	h := handlerOf(t, b)
	for range 100 {
		ctx, cancel := context.WithCancel(context.Background())
		w := &writerThatCancels{httptest.NewRecorder(), cancel}
		h.ServeHTTP(w, httptest.NewRequestWithContext(ctx, http.MethodGet, "/apis/example.com/v1/things", nil))
		if b.idleConns() > 0 {
			t.Fatal("the connection is kept, and will be interrupted while it serves somebody else")
		}
	}
}

// writerThatCancels ends the request just when all of the answer is there.
type writerThatCancels struct {
	*httptest.ResponseRecorder
	cancel context.CancelFunc
}

func (w *writerThatCancels) Write(p []byte) (int, error) {
	w.cancel()
	return w.ResponseRecorder.Write(p)
}
