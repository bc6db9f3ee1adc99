package filters

import (
	"net/http"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/portico-api/portico/handler"
)

// withDeadline gives every request that is not long-running a deadline, counted from its arrival: the timeout that the
// client asks for in the query, but never more than the limit.
func withDeadline(limit time.Duration, auditor Auditor) filter {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			rq := requestOf(r)
			if rq.LongRunning {
				next.ServeHTTP(w, r)
				return
			}
			timeout := limit
			if asked, ok := handler.QueryValue(r.URL.RawQuery, "timeout"); ok && asked != "" {
				d, err := time.ParseDuration(asked)
				if err != nil {
					refusal := apierrors.NewBadRequest("invalid timeout specified in the request URL - " + err.Error())
					auditFailure(auditor, r, refusal, refusal.ErrStatus.Message)
					handler.WriteError(w, r, refusal)
					return
				}
				if d > 0 && d < limit {
					timeout = d
				}
			}
			ctx := &writerOf(w).exchange.context
			ctx.deadline = rq.ReceivedAt.Add(timeout)
			defer ctx.finish()
			next.ServeHTTP(w, r)
		})
	}
}
