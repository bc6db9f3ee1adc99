package filters_test

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/portico-api/portico/handler"
)

func TestUpgradesWorkThroughTheChain(t *testing.T) {
	url, _ := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, buffered, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
		line, _ := buffered.ReadString('\n')
		io.WriteString(conn, line)
	}), config())
	conn, err := tls.Dial("tcp", strings.TrimPrefix(url, "https://"), &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprint(conn, "GET /api/v1/namespaces/n/pods/x/exec HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nhello\n")
	r := bufio.NewReader(conn)
	response, err := http.ReadResponse(r, nil)
	if err != nil || response.StatusCode != 101 {
		t.Fatalf("got %v, %v, want 101", response, err)
	}
	if line, err := r.ReadString('\n'); line != "hello\n" {
		t.Errorf("got %q, %v through the upgraded connection, want hello", line, err)
	}
}

func TestWriterOffersWhatTheConnectionCan(t *testing.T) {
	url, clients := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, hijacker := w.(http.Hijacker)
		_, flusher := w.(http.Flusher)
		err := http.NewResponseController(w).SetWriteDeadline(time.Time{})
		fmt.Fprint(w, hijacker, flusher, err)
	}), config())
	for version, want := range map[string]string{"HTTP/1.1": "true true <nil>", "HTTP/2.0": "false true <nil>"} {
		response, err := clients[version].Get(url)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(response.Body)
		response.Body.Close()
		if response.Proto != version || string(body) != want {
			t.Errorf("%s: got %s %q, want %q", version, response.Proto, body, want)
		}
	}
}

func TestWarningsReachTheClient(t *testing.T) {
	w := ask(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		handler.AddWarning(r.Context(), "careful")
		io.WriteString(w, "ok")
		handler.AddWarning(r.Context(), "too late")
	}), config(), "GET", "/api/v1/nodes")
	if got := w.Header()["Warning"]; !slices.Equal(got, []string{`299 - "careful"`}) {
		t.Errorf("got warnings %q", got)
	}
	w = ask(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { handler.AddWarning(r.Context(), "empty") }), config(), "GET", "/")
	if got := w.Header()["Warning"]; !slices.Equal(got, []string{`299 - "empty"`}) {
		t.Errorf("got warnings %q with an empty answer", got)
	}
}
