package filters

import (
	"net/http"
	"strings"
	"time"

	"k8s.io/klog/v2"
)

// slowRequest is what an operator wants to hear of without asking.
const slowRequest = 5 * time.Second

// withAccessLog writes a line for every request at verbosity 3, and always for those that failed on our side, were cut off or took
// long. It holds nothing of what was sent but the address: no header that could be a credential, and no body.
func withAccessLog() filter {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			returned := false
			defer func() { logAccess(r, writerOf(w), returned) }()
			next.ServeHTTP(w, r)
			returned = true
		})
	}
}

func logAccess(r *http.Request, rw *responseWriter, returned bool) {
	rq := requestOf(r)
	took := time.Since(rq.ReceivedAt)
	cut := !returned && !clientHasGone(r)                                            // in the middle, and not because nobody listens any more
	failed := rw.status >= http.StatusInternalServerError && !isHealth(rq.Info.Path) // they tell the log themselves
	bad := cut || failed || took > slowRequest && !rq.LongRunning
	if !bad && !klog.V(3).Enabled() {
		return
	}
	name := ""
	if rq.User != nil {
		name = rq.User.GetName()
	}
	values := []any{"verb", rq.Info.Verb, "URI", r.RequestURI, "latency", took,
		"userAgent", r.UserAgent(), "audit-ID", rq.AuditID, "srcIP", r.RemoteAddr, "user", name, "unit", rq.Unit, "resp", rw.status, "bytes", rw.size}
	if cut {
		values = append(values, "unfinished", true)
	}
	klog.FromContext(r.Context()).Info("HTTP", values...)
}

// isHealth tells the health checks, which may fail every second for as long as what they check does.
func isHealth(path string) bool {
	for _, endpoint := range []string{"/healthz", "/livez", "/readyz"} {
		if rest, ok := strings.CutPrefix(path, endpoint); ok && (rest == "" || rest[0] == '/') {
			return true
		}
	}
	return false
}
