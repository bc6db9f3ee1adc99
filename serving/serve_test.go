package serving_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/portico-api/portico/serving"
)

func echoProtocol(w http.ResponseWriter, r *http.Request) {
	user := "nobody"
	if r.TLS != nil && len(r.TLS.PeerCertificates) > 0 {
		user = r.TLS.PeerCertificates[0].Subject.CommonName
	}
	fmt.Fprintf(w, "%s %s", r.Proto, user)
}

func TestBothProtocolsAreServed(t *testing.T) {
	for _, c := range []struct {
		name     string
		http2    bool
		disabled bool
		want     string
	}{
		{"a client of HTTP/2 gets HTTP/2", true, false, "HTTP/2.0"},
		{"a client of HTTP/1.1 gets HTTP/1.1", false, false, "HTTP/1.1"},
		{"a client of HTTP/2 gets HTTP/1.1 where HTTP/2 is off", true, true, "HTTP/1.1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := serve(t, http.HandlerFunc(echoProtocol), func(i *serving.SecureServingInfo) { i.DisableHTTP2 = c.disabled })
			answer, err := s.httpClient(t, c.http2).Get("https://" + s.address)
			if err != nil {
				t.Fatal(err)
			}
			defer answer.Body.Close()
			if body, _ := io.ReadAll(answer.Body); string(body) != c.want+" nobody" {
				t.Errorf("the handler saw %q, want %s without a certificate", body, c.want)
			}
		})
	}
}

func TestARequestOfTwoLengthsLeavesNoSecondRequest(t *testing.T) {
	var served atomic.Int32
	s := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		served.Add(1)
		_, _ = io.Copy(io.Discard, r.Body)
	}), nil)
	conn := s.raw(t)
	io.WriteString(conn, "POST /one HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /two HTTP/1.1\r\nHost: a\r\n\r\n")
	reader := bufio.NewReader(conn)
	answer, err := http.ReadResponse(reader, nil)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, answer.Body)
	if answer.StatusCode != http.StatusBadRequest {
		t.Errorf("answer is %d, want 400", answer.StatusCode)
	}
	if rest, err := io.ReadAll(reader); err != nil || len(rest) > 0 {
		t.Errorf("the connection went on with %q, error %v; want its end", rest, err)
	}
	if n := served.Load(); n != 0 {
		t.Errorf("%d requests were served, want none", n)
	}
}

func TestAHijackedConnectionIsNotLookedAt(t *testing.T) {
	s := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, buffered, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\n\r\n")
		_, _ = io.Copy(conn, buffered)
	}), nil)
	conn := s.raw(t)
	io.WriteString(conn, "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
	reader := bufio.NewReader(conn)
	if _, err := http.ReadResponse(reader, nil); err != nil {
		t.Fatal(err)
	}
	const sent = "x\nContent-Length: 1\nTransfer-Encoding: chunked\n\n"
	io.WriteString(conn, sent)
	got := make([]byte, len(sent))
	if _, err := io.ReadFull(reader, got); err != nil || string(got) != sent {
		t.Errorf("echoed %q, error %v; want %q", got, err, sent)
	}
	conn.Close()
}

func TestASilentConnectionDoesNotHoldUpShutdown(t *testing.T) {
	s := serve(t, http.HandlerFunc(echoProtocol), nil)
	conn, err := net.Dial("tcp", s.address) // says nothing: its handshake never ends
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	answer, err := s.httpClient(t, false).Get("https://" + s.address) // accepting has begun
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	s.stop()
	await(t, "the server to stop", s.stopped)
}

func TestShutdownLetsRequestsFinish(t *testing.T) {
	for _, http2 := range []bool{false, true} {
		t.Run(fmt.Sprintf("http2=%v", http2), func(t *testing.T) {
			entered, finish := make(chan struct{}), make(chan struct{})
			s := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				close(entered)
				<-finish
				io.WriteString(w, "done")
			}), nil)
			type result struct {
				body string
				err  error
			}
			results := make(chan result, 1)
			client := s.httpClient(t, http2)
			go func() {
				answer, err := client.Get("https://" + s.address)
				if err != nil {
					results <- result{err: err}
					return
				}
				defer answer.Body.Close()
				body, err := io.ReadAll(answer.Body)
				results <- result{string(body), err}
			}()
			await(t, "the request", entered)
			s.stop()
			await(t, "the listener to stop", s.listenerStopped)
			if c, err := net.Dial("tcp", s.address); err == nil {
				c.Close()
				t.Error("a new connection was accepted after the listener stopped")
			}
			select {
			case <-s.stopped:
				t.Error("the server stopped while a request was being served")
			default:
			}
			close(finish)
			if r := <-results; r.err != nil || r.body != "done" {
				t.Errorf("the request ended with %q, error %v; want done", r.body, r.err)
			}
		})
	}
}

func TestConnContextReachesTheHandler(t *testing.T) {
	type key struct{}
	s := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, r.Context().Value(key{}))
	}), func(i *serving.SecureServingInfo) {
		i.ConnContext = func(ctx context.Context, _ net.Conn) context.Context { return context.WithValue(ctx, key{}, "here") }
	})
	for _, http2 := range []bool{false, true} {
		answer, err := s.httpClient(t, http2).Get("https://" + s.address)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(answer.Body)
		answer.Body.Close()
		if string(body) != "here" {
			t.Errorf("http2 %v: the handler found %q in its context, want here", http2, body)
		}
	}
}

func TestALargeHeaderIsRefused(t *testing.T) {
	s := serve(t, http.HandlerFunc(echoProtocol), func(i *serving.SecureServingInfo) { i.MaxHeaderBytes = 1 << 10 })
	r, _ := http.NewRequest(http.MethodGet, "https://"+s.address, nil)
	r.Header.Set("X-Large", strings.Repeat("x", 16<<10))
	answer, err := s.httpClient(t, false).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if answer.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("answer is %d, want 431", answer.StatusCode)
	}
}

func TestServeFailsWithoutWhatItNeeds(t *testing.T) {
	if _, _, err := (&serving.SecureServingInfo{}).Serve(nil, 0, nil); err == nil || !strings.Contains(err.Error(), "no listener") {
		t.Errorf("without a listener: error %v", err)
	}
	ln, err := serving.Listen("127.0.0.1", 0)
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	if _, _, err := (&serving.SecureServingInfo{Listener: ln}).Serve(nil, 0, nil); err == nil || !strings.Contains(err.Error(), "no serving certificate") {
		t.Errorf("without a certificate: error %v", err)
	}
}
