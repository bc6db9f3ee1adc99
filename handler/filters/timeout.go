package filters

import (
	"net/http"

	"github.com/portico-api/portico/metrics"
)

// withTimeout answers 504 when the deadline passes before the handler has written anything, and cuts the answer off
// when it passes later. The handler keeps its goroutine, as no other is needed: it learns of the deadline
// from its context, and from its writes that are refused.
func withTimeout(m *metrics.Metrics) filter {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			deadline, ok := r.Context().Deadline()
			rq := requestOf(r)
			if !ok || rq.LongRunning {
				next.ServeHTTP(w, r)
				return
			}
			rw := writerOf(w)
			rw.guard(deadline.Sub(rq.ReceivedAt))
			defer rw.settle()
			next.ServeHTTP(w, r)
			rw.settle()
			switch rw.state.Load() {
			case expired:
				m.Requests.Terminated(callOf(r, rq, 0), http.StatusGatewayTimeout)
				m.Requests.PostTimeout("timeout-handler", "ok")
			case cut:
				m.Requests.Terminated(callOf(r, rq, 0), http.StatusGatewayTimeout)
				panic(http.ErrAbortHandler)
			}
		})
	}
}
