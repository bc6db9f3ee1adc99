package handler_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/portico-api/portico/handler"
)

// A chain of two units tells for each path what would become of it, and serves it so.
func TestExplainTellsWhatServeHTTPDoes(t *testing.T) {
	back := handler.NewAPIServerHandler("back", nil, nil)
	back.NonGoRestfulMux.HandlePrefix("/old/", named("old"))
	front := handler.NewAPIServerHandler("front", nil, back.UnprotectedHandler())
	if err := front.Add(service("/apis/a", "GET /x")); err != nil {
		t.Fatal(err)
	}
	front.NonGoRestfulMux.Handle("/exact", named("exact"))
	for path, want := range map[string][2]string{
		"/apis/a/x": {"front router", "answers"},
		"/apis/a/y": {"front router", "Not Found"},
		"/exact":    {"front mux", "answers"},
		"/old/y":    {"back mux", "answers"},
		"/nothing":  {"back mux", "next delegate"},
	} {
		stations := handler.Explain(front.Director, httptest.NewRequest(http.MethodGet, path, nil))
		if len(stations) == 0 {
			t.Fatalf("%s: nothing is told", path)
		}
		last := stations[len(stations)-1]
		if last.Name != want[0] || last.Decision != want[1] || last.Why == "" {
			t.Errorf("%s: got %v, want %v", path, stations, want)
		}
		code, _ := answer(t, front, http.MethodGet, path)
		if served := last.Decision == "answers"; served != (code == http.StatusOK) {
			t.Errorf("%s: told %v, and the answer is %d", path, last, code)
		}
	}
	if got := handler.Explain(named("x"), httptest.NewRequest(http.MethodGet, "/", nil)); got != nil {
		t.Errorf("a handler that does not tell: %v", got)
	}
}
