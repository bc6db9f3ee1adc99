package main

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// A refusal is told in the server's words, whichever way the page was asked for.
func TestARefusalIsToldInTheServersWords(t *testing.T) {
	const message = `forbidden: User "jane" cannot get path "/metrics"`
	for name, c := range map[string]struct{ body, want string }{
		"a status":  {`{"kind":"Status","apiVersion":"v1","status":"Failure","message":"forbidden: User \"jane\" cannot get path \"/metrics\"","reason":"Forbidden","code":403}`, message},
		"plain":     {"not\nyou\n", "not you"},
		"no status": {`{"kind":"Cat"}`, "Cat"},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(http.StatusForbidden)
				io.WriteString(w, c.body)
			}))
			defer server.Close()
			client := &frontClient{server.Client(), server.URL, registrar}
			_, fetched := client.fetch(t.Context(), "/metrics", "text/plain")
			for way, err := range map[string]error{
				"fetch": fetched,
				"get":   client.get(t.Context(), "/metrics", nil),
				"copy":  client.copy(t.Context(), "/metrics", io.Discard),
			} {
				if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") || c.want == message && err.Error() != message {
					t.Errorf("%s: got %v, want %s", way, err, c.want)
				}
			}
			var r *refusal
			if !errors.As(fetched, &r) || r.body != c.body {
				t.Errorf("the page is lost: %v", fetched)
			}
		})
	}
}
