package filters_test

import (
	"net/http"
	"testing"

	"github.com/portico-api/portico/handler"
)

func TestRequestsDuringStartAreMarked(t *testing.T) {
	c := config()
	complete := false
	c.MuxComplete = func() bool { return complete }
	for _, complete = range []bool{false, true} {
		var incomplete bool
		ask(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			rq, _ := handler.RequestFrom(r.Context())
			incomplete = rq.MuxIncomplete
		}), c, "GET", "/")
		if incomplete == complete {
			t.Errorf("with complete = %v the request is marked %v", complete, incomplete)
		}
	}
}
