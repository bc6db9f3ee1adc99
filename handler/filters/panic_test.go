package filters_test

import (
	"io"
	"net/http"
	"testing"
)

func TestPanics(t *testing.T) {
	c := config()
	panics := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "7")
		panic("a mistake")
	})
	w := ask(t, panics, c, "GET", "/api/v1/nodes")
	want := "This request caused apiserver to panic. Look in the logs for details.\n"
	if w.Code != 500 || w.Body.String() != want || w.Header().Get("Audit-ID") == "" || w.Header().Get("Content-Length") != "" {
		t.Errorf("a panic is answered %d %q %v, want 500 %q", w.Code, w.Body, w.Header(), want)
	}
	if got := value(t, c.Metrics, `apiserver_request_total`, "code", "500"); got != 1 {
		t.Errorf("apiserver_request_total with code 500 is %v after a panic, want 1", got)
	}

	url, clients := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.(http.Flusher).Flush()
		panic("after the headers")
	}), c)
	for version, client := range clients {
		response, err := client.Get(url)
		if err == nil {
			_, err = io.ReadAll(response.Body)
			response.Body.Close()
		}
		if err == nil {
			t.Errorf("%s: an answer that a panic cut off looks complete", version)
		}
	}
}

func TestAbortPassesThroughRecovery(t *testing.T) {
	c := config()
	defer func() {
		if got := recover(); got != http.ErrAbortHandler {
			t.Errorf("recovered %v, want http.ErrAbortHandler", got)
		}
		if got := value(t, c.Metrics, "apiserver_request_aborts_total"); got != 1 {
			t.Errorf("apiserver_request_aborts_total = %v, want 1", got)
		}
	}()
	ask(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }), c, "GET", "/api/v1/nodes")
}
