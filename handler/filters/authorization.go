package filters

import (
	"fmt"
	"net/http"
	"time"

	"k8s.io/apiserver/pkg/authorization/authorizer"
	"k8s.io/klog/v2"

	"github.com/portico-api/portico/handler"
	"github.com/portico-api/portico/metrics"
)

// withAuthorization lets through what the user may do.
func withAuthorization(a authorizer.Authorizer, m *metrics.Metrics) filter {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			rq := requestOf(r)
			start := time.Now()
			ctx, span := handler.StartSpan(r.Context(), "authorization")
			decision, reason, err := a.Authorize(ctx, rq)
			span.End(err)
			took := time.Since(start)
			m.Requests.Filter("authorization", took)
			// An authorizer may stumble over one of its rules and still find one that allows.
			if decision == authorizer.DecisionAllow {
				noteDecision(rq.Record, "allow", reason)
				m.Authorization.Observe(metrics.Allowed, took)
				next.ServeHTTP(w, r)
				return
			}
			switch {
			case err != nil:
				rq.Record.Annotate(reasonKey, "internal error")
				m.Authorization.Observe(metrics.Undecided, took)
				handler.WriteError(w, r, fmt.Errorf("authorizing request: %w", err))
				return
			case decision == authorizer.DecisionDeny:
				m.Authorization.Observe(metrics.Denied, took)
			default:
				m.Authorization.Observe(metrics.NoOpinion, took)
			}
			noteDecision(rq.Record, "forbid", reason)
			klog.FromContext(r.Context()).V(4).Info("Forbidden", "URI", r.RequestURI, "auditID", rq.AuditID, "reason", reason)
			handler.WriteError(w, r, forbidden(rq, reason))
		})
	}
}

// The annotations by which an audit event tells what was decided, and why.
const (
	decisionKey = "authorization.k8s.io/decision"
	reasonKey   = "authorization.k8s.io/reason"
)

func noteDecision(record *handler.Record, decision, reason string) {
	record.Annotate(decisionKey, decision)
	record.Annotate(reasonKey, reason)
}
