package filters

import (
	"net/http"
	"runtime/debug"

	"k8s.io/klog/v2"

	"github.com/portico-api/portico/metrics"
)

// withPanicRecovery answers a request whose handler panicked. http.ErrAbortHandler is no mistake: it asks
// the server to cut the connection, so that the client does not take half an answer for a whole one.
func withPanicRecovery(m *metrics.Metrics) filter {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			defer func() {
				if reason := recover(); reason != nil {
					recovered(w, r, reason, m)
				}
			}()
			next.ServeHTTP(w, r)
		})
	}
}

func recovered(w http.ResponseWriter, r *http.Request, reason any, m *metrics.Metrics) {
	rq := requestOf(r)
	if reason == http.ErrAbortHandler {
		m.Requests.Aborted(callOf(r, rq, 0))
		panic(http.ErrAbortHandler)
	}
	klog.FromContext(r.Context()).Error(nil, "Request handler panicked", "method", r.Method, "URI", r.RequestURI,
		"auditID", rq.AuditID, "panic", reason, "stack", string(debug.Stack()))
	rw := writerOf(w)
	switch {
	case rw.discard():
		http.Error(w, "This request caused apiserver to panic. Look in the logs for details.", http.StatusInternalServerError)
	case rw.state.Load() == expired:
		m.Requests.PostTimeout("timeout-handler", "panic")
	default:
		panic(http.ErrAbortHandler)
	}
}
