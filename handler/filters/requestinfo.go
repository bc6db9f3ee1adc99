package filters

import (
	"net/http"

	"k8s.io/klog/v2"

	"github.com/portico-api/portico/handler"
)

// withRequestInfo reads what is asked for from method, path and query.
func withRequestInfo(longRunning func(*http.Request, *handler.RequestInfo) bool) filter {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			rq := requestOf(r)
			if err := rq.Info.Parse(r); err != nil {
				klog.FromContext(r.Context()).V(2).Info("Request cannot be understood", "URI", r.RequestURI, "auditID", rq.AuditID, "reason", err)
				http.Error(w, "Internal Server Error: the path names no resource", http.StatusInternalServerError)
				return
			}
			rq.LongRunning = longRunning(r, &rq.Info)
			next.ServeHTTP(w, r)
		})
	}
}
