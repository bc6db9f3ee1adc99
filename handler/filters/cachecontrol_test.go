package filters_test

import (
	"net/http"
	"slices"
	"testing"
)

func TestCacheControlIsADefault(t *testing.T) {
	if got := ask(t, ok, config(), "GET", "/").Header()["Cache-Control"]; !slices.Equal(got, []string{"no-cache, private"}) {
		t.Errorf("got Cache-Control %q", got)
	}
	own := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.Header().Set("Cache-Control", "public") })
	if got := ask(t, own, config(), "GET", "/").Header()["Cache-Control"]; !slices.Equal(got, []string{"public"}) {
		t.Errorf("got Cache-Control %q, want the handler's own", got)
	}
}
