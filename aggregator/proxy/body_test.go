package proxy_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

func TestAnAnswerMayComeBeforeTheBodyIsSent(t *testing.T) {
	all(t, func(t *testing.T, http2 bool) {
		if !http2 {
			return // net/http's HTTP/1.1 server reads the body before it answers, so only HTTP/2 clients see this
		}
		url, client := front(t, func(w http.ResponseWriter, r *http.Request) {
			_ = http.NewResponseController(w).EnableFullDuplex()
			w.Header().Set("Connection", "close")
			http.Error(w, "too much", http.StatusRequestEntityTooLarge)
			_ = http.NewResponseController(w).Flush()
		}, nil)
		body, writer := io.Pipe()
		go io.WriteString(writer, "the beginning")
		r, _ := http.NewRequest(http.MethodPost, url+"/apis/example.com/v1/things", body)
		answer, err := client(true).Do(r)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		writer.Close()
		if answer.StatusCode != http.StatusRequestEntityTooLarge {
			t.Errorf("answer %d, want 413", answer.StatusCode)
		}
	})
}

func TestABodyIsSentWhenTheBackendWantsIt(t *testing.T) {
	all(t, func(t *testing.T, http2 bool) {
		url, client := front(t, func(w http.ResponseWriter, r *http.Request) {
			if _, err := io.Copy(w, r.Body); err != nil {
				t.Error(err)
			}
		}, nil)
		const sent = 1 << 20
		r, _ := http.NewRequest(http.MethodPut, url+"/apis/example.com/v1/things/one", strings.NewReader(strings.Repeat("x", sent)))
		r.Header.Set("Expect", "100-continue")
		answer, err := client(http2).Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		if n, err := io.Copy(io.Discard, answer.Body); n != sent || err != nil {
			t.Errorf("echoed %d bytes, error %v; want %d", n, err, sent)
		}
	})
}

func TestTrailersOfRequestsDoNotPass(t *testing.T) {
	all(t, func(t *testing.T, http2 bool) {
		seen := make(chan http.Header, 1)
		url, client := front(t, func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			seen <- r.Trailer
		}, nil)
		r, _ := http.NewRequest(http.MethodPost, url+"/apis/example.com/v1/things", io.MultiReader(strings.NewReader("body")))
		r.Trailer = http.Header{"X-Remote-User": {"root"}, "X-Other": {"a"}}
		answer, err := client(http2).Do(r)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if got := <-seen; len(got) != 0 {
			t.Errorf("the backend read the trailer %v, want none", got)
		}
	})
}

func TestAnswersWithoutABodyPass(t *testing.T) {
	all(t, func(t *testing.T, http2 bool) {
		url, client := front(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("ETag", `"1"`)
			switch {
			case r.Method == http.MethodHead:
				w.Header().Set("Content-Length", "5")
			case r.Header.Get("If-None-Match") != "":
				w.WriteHeader(http.StatusNotModified)
			default:
				w.WriteHeader(http.StatusNoContent)
			}
		}, nil)
		for _, c := range []struct {
			method, match string
			code          int
			length        int64
		}{{"HEAD", "", 200, 5}, {"GET", `"1"`, 304, 0}, {"DELETE", "", 204, 0}} {
			r, _ := http.NewRequest(c.method, url+"/apis/example.com/v1/things/one", nil)
			if c.match != "" {
				r.Header.Set("If-None-Match", c.match)
			}
			answer, err := client(http2).Do(r)
			if err != nil {
				t.Fatal(err)
			}
			answer.Body.Close()
			if answer.StatusCode != c.code || max(answer.ContentLength, 0) != c.length || answer.Header.Get("ETag") != `"1"` {
				t.Errorf("%s: answer %d of %d bytes with %v, want %d of %d", c.method, answer.StatusCode, answer.ContentLength, answer.Header, c.code, c.length)
			}
		}
	})
}
