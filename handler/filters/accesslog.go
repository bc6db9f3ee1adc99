package filters

import (
	"net/http"
	"time"

	"k8s.io/klog/v2"
)

// slowRequest is what an operator wants to hear of without asking.
const slowRequest = 5 * time.Second

// withAccessLog writes a line for every request at verbosity 3, and always for those that failed on our side or took long.
func withAccessLog() filter {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			next.ServeHTTP(w, r)
			rq, rw := requestOf(r), writerOf(w)
			took := time.Since(rq.ReceivedAt)
			bad := rw.status >= http.StatusInternalServerError || took > slowRequest && !rq.LongRunning
			if !bad && !klog.V(3).Enabled() {
				return
			}
			name := ""
			if rq.User != nil {
				name = rq.User.GetName()
			}
			klog.FromContext(r.Context()).Info("HTTP", "verb", rq.Info.Verb, "URI", r.RequestURI, "latency", took,
				"userAgent", r.UserAgent(), "audit-ID", rq.AuditID, "srcIP", r.RemoteAddr, "user", name, "resp", rw.status, "bytes", rw.size)
		})
	}
}
