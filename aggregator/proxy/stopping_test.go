package proxy_test

import (
	"net/http"
	"sync/atomic"
	"testing"
)

// A server that is about to end refuses who comes too late. What does no harm is asked again, once; everything else is told.
func TestAReadThatAStoppingServerRefusesIsAskedAgainOnce(t *testing.T) {
	for name, test := range map[string]struct {
		method  string
		refused int32 // how often
		code    int
		asked   int32
	}{
		"a GET that is refused once":  {http.MethodGet, 1, 200, 2},
		"a GET that is refused twice": {http.MethodGet, 2, 503, 2},
		"a POST that is refused":      {http.MethodPost, 1, 503, 1},
	} {
		t.Run(name, func(t *testing.T) {
			all(t, func(t *testing.T, http2 bool) {
				var asked atomic.Int32
				url, client := front(t, func(w http.ResponseWriter, _ *http.Request) {
					if asked.Add(1) <= test.refused {
						http.Error(w, "apiserver is shutting down", http.StatusServiceUnavailable)
					}
				}, nil)
				wantAnswer(t, client(http2), test.method, url+"/apis/example.com/v1/things", "", test.code, &asked, test.asked)
			})
		})
	}
}
