package proxy_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/portico-api/portico/aggregator/proxy"
)

func TestEventsAreStreamedAsTheyCome(t *testing.T) {
	all(t, func(t *testing.T, http2 bool) {
		next := make(chan string)
		url, client := front(t, func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusOK)
			_ = http.NewResponseController(w).Flush()
			for event := range next {
				_, _ = io.WriteString(w, event)
				_ = http.NewResponseController(w).Flush()
			}
		}, nil)
		// The header arrives before there is any event.
		answer, err := client(http2).Get(url + "/apis/example.com/v1/things?watch=1")
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		for _, event := range []string{"one\n", strings.Repeat("x", 100_000) + "\n", "two\n", "three\n"} {
			next <- event
			got := make([]byte, len(event))
			if _, err := io.ReadFull(answer.Body, got); err != nil || string(got) != event {
				t.Fatalf("read %d bytes, error %v; want the event of %d bytes", len(got), err, len(event))
			}
		}
		close(next)
		if rest, err := io.ReadAll(answer.Body); err != nil || len(rest) > 0 {
			t.Errorf("after the last event: %q, error %v; want a clean end", rest, err)
		}
	})
}

func TestTheHeaderOfASlowAnswerIsShown(t *testing.T) {
	all(t, func(t *testing.T, http2 bool) {
		release := make(chan struct{})
		url, client := front(t, func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusOK)
			_ = http.NewResponseController(w).Flush()
			<-release
			_, _ = io.WriteString(w, "late")
		}, nil)
		answer, err := client(http2).Get(url + "/apis/example.com/v1/things/one/log") // not a watch
		close(release)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		if body, err := io.ReadAll(answer.Body); string(body) != "late" || err != nil {
			t.Errorf("body %q, error %v", body, err)
		}
	})
}

func TestWatchesEndCleanlyWhenTheServerStops(t *testing.T) {
	all(t, func(t *testing.T, http2 bool) {
		stopping, stop := context.WithCancel(t.Context())
		left := make(chan struct{})
		url, client := front(t, func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, "event\n")
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
			close(left)
		}, func(c *proxy.Config) { c.Stopping = stopping })
		answer, err := client(http2).Get(url + "/apis/example.com/v1/things?watch=1")
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		first := make([]byte, len("event\n"))
		if _, err := io.ReadFull(answer.Body, first); err != nil {
			t.Fatal(err)
		}
		stop()
		if rest, err := io.ReadAll(answer.Body); err != nil || len(rest) > 0 {
			t.Errorf("the watch ended with %q, error %v; want a clean end", rest, err)
		}
		await(t, "the backend to be told", left)
	})
}

func await(t *testing.T, what string, c <-chan struct{}) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(20 * time.Second):
		t.Fatalf("waiting for %s: nothing after 20 s", what)
	}
}

func TestAClientThatGoesAwayReachesTheBackend(t *testing.T) {
	all(t, func(t *testing.T, http2 bool) {
		entered, left := make(chan struct{}), make(chan struct{})
		url, client := front(t, func(w http.ResponseWriter, r *http.Request) {
			close(entered)
			<-r.Context().Done()
			close(left)
		}, nil)
		ctx, cancel := context.WithCancel(context.Background())
		r, _ := http.NewRequestWithContext(ctx, http.MethodGet, url+"/apis/example.com/v1/things", nil)
		done := make(chan struct{})
		go func() {
			defer close(done)
			if answer, err := client(http2).Do(r); err == nil {
				answer.Body.Close()
			}
		}()
		await(t, "the request", entered)
		cancel()
		await(t, "the backend to be told", left)
		await(t, "the client", done)
	})
}

func TestBodiesStreamBothWaysAtOnce(t *testing.T) {
	all(t, func(t *testing.T, http2 bool) {
		if !http2 {
			return // only HTTP/2 clients read an answer while they are still sending
		}
		url, client := front(t, func(w http.ResponseWriter, r *http.Request) {
			_ = http.NewResponseController(w).EnableFullDuplex()
			w.WriteHeader(http.StatusOK)
			_ = http.NewResponseController(w).Flush()
			buffer := make([]byte, 16)
			for {
				n, err := r.Body.Read(buffer)
				if n > 0 {
					_, _ = w.Write(buffer[:n])
					_ = http.NewResponseController(w).Flush()
				}
				if err != nil {
					return
				}
			}
		}, nil)
		reader, writer := io.Pipe()
		r, _ := http.NewRequest(http.MethodPost, url+"/apis/example.com/v1/things/one/proxy", reader)
		answer, err := client(true).Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		for _, word := range []string{"ping", "pong"} {
			_, _ = io.WriteString(writer, word)
			got := make([]byte, len(word))
			if _, err := io.ReadFull(answer.Body, got); err != nil || string(got) != word {
				t.Fatalf("echoed %q, error %v; want %q", got, err, word)
			}
		}
		writer.Close()
		if rest, err := io.ReadAll(answer.Body); err != nil || len(rest) > 0 {
			t.Errorf("at the end: %q, error %v", rest, err)
		}
	})
}

func TestTrailersAndInterimAnswersPass(t *testing.T) {
	all(t, func(t *testing.T, http2 bool) {
		url, client := front(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Link", "</style>")
			w.WriteHeader(http.StatusEarlyHints)
			w.Header().Del("Link")
			w.Header().Set("Trailer", "X-Known")
			_, _ = io.WriteString(w, "body")
			w.Header().Set("X-Known", "one")
			w.Header().Set(http.TrailerPrefix+"X-Late", "two")
		}, nil)
		var hints []string
		trace := &httptrace.ClientTrace{Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
			hints = append(hints, fmt.Sprint(code, h["Link"]))
			return nil
		}}
		r, _ := http.NewRequestWithContext(httptrace.WithClientTrace(context.Background(), trace), http.MethodGet, url+"/x", nil)
		answer, err := client(http2).Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, answer.Body)
		answer.Body.Close()
		if !reflect.DeepEqual(hints, []string{"103 [</style>]"}) {
			t.Errorf("interim answers %v, want 103 with its link", hints)
		}
		if answer.Header.Get("Link") != "" {
			t.Error("the interim answer's header is in the final one")
		}
		if answer.Trailer.Get("X-Known") != "one" || answer.Trailer.Get("X-Late") != "two" {
			t.Errorf("trailer %v, want both", answer.Trailer)
		}
	})
}
