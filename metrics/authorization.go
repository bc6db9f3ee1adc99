package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Authorization observes what is allowed.
type Authorization struct {
	attempts  map[Decision]prometheus.Counter
	durations map[Decision]prometheus.Observer
	decisions *bound[authorizerDecision, prometheus.Counter]
}

// Decision is how an authorization ended.
type Decision string

const (
	Allowed   Decision = "allowed"
	Denied    Decision = "denied"
	NoOpinion Decision = "no-opinion"
	Undecided Decision = "error" // an error and no decision
)

type authorizerDecision struct{ typ, name, decision string }

func newAuthorization(r prometheus.Registerer) *Authorization {
	a := &Authorization{attempts: map[Decision]prometheus.Counter{}, durations: map[Decision]prometheus.Observer{}}
	attempts := counters(r, "authorization_attempts_total", "[ALPHA] Authorizations, by result.", "result")
	durations := histograms(r, "authorization_duration_seconds", "[ALPHA] How long authorization took, by result.", decisionBuckets, "result")
	for _, d := range []Decision{Allowed, Denied, NoOpinion, Undecided} {
		a.attempts[d] = attempts.WithLabelValues(string(d))
		a.durations[d] = durations.WithLabelValues(string(d))
	}
	decisions := counters(r, "apiserver_authorization_decisions_total", "[ALPHA] Allowed and denied requests, by the authorizer that decided.", "type", "name", "decision")
	a.decisions = newBound(
		func(k authorizerDecision) authorizerDecision { return k }, // authorizers are named by the operator
		func(k authorizerDecision) prometheus.Counter {
			return decisions.WithLabelValues(k.typ, k.name, k.decision)
		})
	return a
}

// Observe counts one authorization and how long it took.
func (a *Authorization) Observe(result Decision, d time.Duration) {
	if a == nil {
		return
	}
	a.attempts[result].Inc()
	a.durations[result].Observe(d.Seconds())
}

// Decided counts a decision of one authorizer: its type ("RBAC"), its configured name and "allowed" or "denied".
func (a *Authorization) Decided(typ, name string, decision Decision) {
	if a != nil {
		a.decisions.get(authorizerDecision{typ, name, string(decision)}).Inc()
	}
}
