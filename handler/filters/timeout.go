package filters

import (
	"net/http"

	"github.com/portico-api/portico/metrics"
)

// withTimeout answers 504 when the deadline passes before the handler has written anything, and cuts the answer off
// when it passes later. The handler keeps its goroutine, as no other is needed: it learns of the deadline
// from its context, and from its writes that are refused.
func withTimeout(m *metrics.Metrics) filter {
	used := &alarms{}
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			rq, rw := requestOf(r), writerOf(w)
			deadline, ok := r.Context().Deadline()
			if !ok || rq.LongRunning {
				next.ServeHTTP(w, r)
				return
			}
			a := used.get()
			rw.guard(a, deadline.Sub(rq.ReceivedAt))
			returned := false
			defer func() {
				if !returned {
					rw.settle() // a panic: whatever state the alarm is in, it is not used again
				}
			}()
			next.ServeHTTP(w, r)
			returned = true
			if rw.settle() {
				used.put(a)
			}
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
