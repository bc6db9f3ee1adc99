package filters_test

import (
	"strings"
	"testing"
)

func TestAPathWithoutAResourceIs500(t *testing.T) {
	w := ask(t, ok, config(), "GET", "/api/v1/watch")
	if w.Code != 500 || !strings.HasPrefix(w.Header().Get("Content-Type"), "text/plain") {
		t.Errorf("GET /api/v1/watch = %d %s, want 500 in plain text", w.Code, w.Header().Get("Content-Type"))
	}
}
