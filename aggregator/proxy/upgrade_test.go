package proxy_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/portico-api/portico/aggregator/proxy"
)

// dialUpgrade asks url's server for another protocol and returns its answer and the connection.
func dialUpgrade(t *testing.T, url, protocol string) (*http.Response, *tls.Conn, *bufio.Reader) {
	t.Helper()
	conn, err := tls.Dial("tcp", strings.TrimPrefix(url, "https://"), &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"http/1.1"}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	fmt.Fprintf(conn, "GET /apis/example.com/v1/things/one/exec HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: %s\r\nX-Remote-User: root\r\n\r\n", protocol)
	reader := bufio.NewReader(conn)
	answer, err := http.ReadResponse(reader, nil)
	if err != nil {
		t.Fatal(err)
	}
	return answer, conn, reader
}

// echoUpgrade agrees to any protocol, sends a greeting in the same packet, and echoes.
func echoUpgrade(t *testing.T, ended chan<- struct{}) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		defer close(ended)
		conn, buffered, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		fmt.Fprintf(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: %s\r\nX-Seen-User: %s\r\n\r\nhello", r.Header.Get("Upgrade"), r.Header.Get("X-Remote-User"))
		_, _ = io.Copy(conn, buffered)
	}
}

func expect(t *testing.T, reader io.Reader, want string) {
	t.Helper()
	got := make([]byte, len(want))
	if _, err := io.ReadFull(reader, got); err != nil || string(got) != want {
		t.Fatalf("read %q, error %v; want %q", got, err, want)
	}
}

func TestAnUpgradedConnectionIsJoined(t *testing.T) {
	for _, protocol := range []string{"websocket", "SPDY/3.1"} {
		t.Run(protocol, func(t *testing.T) {
			ended := make(chan struct{})
			url, _ := front(t, echoUpgrade(t, ended), nil)
			answer, conn, reader := dialUpgrade(t, url, protocol)
			if answer.StatusCode != http.StatusSwitchingProtocols || answer.Header.Get("Upgrade") != protocol || answer.Header.Get("X-Seen-User") != "alice" {
				t.Fatalf("answer %d with header %v, want 101 for alice", answer.StatusCode, answer.Header)
			}
			expect(t, reader, "hello")
			for _, word := range []string{"ping", strings.Repeat("x", 100_000)} {
				go io.WriteString(conn, word)
				expect(t, reader, word)
			}
			conn.Close()
			await(t, "the backend's side to end", ended)
		})
	}
}

func TestAnUpgradedConnectionEndsWithTheServer(t *testing.T) {
	ended := make(chan struct{})
	stopping, stop := context.WithCancel(t.Context())
	url, _ := front(t, echoUpgrade(t, ended), func(c *proxy.Config) { c.Stopping = stopping })
	_, _, reader := dialUpgrade(t, url, "websocket")
	expect(t, reader, "hello")
	stop()
	if _, err := io.Copy(io.Discard, reader); err != nil {
		t.Errorf("the client's side ended with %v, want its end", err)
	}
	await(t, "the backend's side to end", ended)
}

func TestAnUpgradeThatIsRefused(t *testing.T) {
	for _, c := range []struct {
		name    string
		backend http.HandlerFunc
		code    int
		body    string
	}{
		{"an error is relayed", func(w http.ResponseWriter, r *http.Request) {
			http.Error(w, "not you", http.StatusForbidden)
		}, 403, "not you"},
		{"a success that is no upgrade is 503", func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, "fine")
		}, 503, "invalid upgrade response"},
		{"a redirect is 503", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://evil.example.com", http.StatusFound)
		}, 503, "invalid upgrade response"},
		{"another protocol is 503", func(w http.ResponseWriter, r *http.Request) {
			conn, _, _ := http.NewResponseController(w).Hijack()
			_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: other\r\n\r\n")
			conn.Close()
		}, 503, "invalid upgrade response"},
		{"garbage is 503", func(w http.ResponseWriter, r *http.Request) {
			conn, _, _ := http.NewResponseController(w).Hijack()
			_, _ = io.WriteString(conn, "garbage\r\n\r\n")
			conn.Close()
		}, 503, "error trying to reach service"},
	} {
		t.Run(c.name, func(t *testing.T) {
			url, _ := front(t, c.backend, nil)
			answer, _, _ := dialUpgrade(t, url, "websocket")
			defer answer.Body.Close()
			body, err := io.ReadAll(answer.Body)
			if err != nil || answer.StatusCode != c.code || !strings.Contains(string(body), c.body) {
				t.Errorf("answer %d %q, error %v; want %d with %q", answer.StatusCode, body, err, c.code, c.body)
			}
		})
	}
}

func TestAnUpgradeOfABackendThatRefusesIs503(t *testing.T) {
	url, _ := front(t, func(http.ResponseWriter, *http.Request) {}, func(c *proxy.Config) {
		c.Backend.(*target).address = closedPort(t)
	})
	answer, _, _ := dialUpgrade(t, url, "websocket")
	if s := statusOf(t, answer); s.Code != 503 || !strings.Contains(s.Message, "connection refused") {
		t.Errorf("answer %d %q, want 503 with the cause", s.Code, s.Message)
	}
}
