package metrics

import (
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

var decisionBuckets = prometheus.ExponentialBuckets(.001, 2, 15)

// Result is how an attempt to authenticate ended.
type Result string

const (
	Success Result = "success"
	Failure Result = "failure" // nobody recognised the credentials, or there were none
	Error   Result = "error"   // the credentials were recognised and refused
)

// Authentication observes who asks.
type Authentication struct {
	users        *prometheus.CounterVec
	other, email prometheus.Counter
	system       *bound[string, prometheus.Counter]
	attempts     map[Result]prometheus.Counter
	durations    map[Result]prometheus.Observer
	certificates prometheus.Histogram
	tokens       tokenCache
}

func newAuthentication(r prometheus.Registerer) *Authentication {
	a := &Authentication{
		users:     counters(r, "authenticated_user_requests", "[ALPHA] Authenticated requests by user name; only the names of the system's own users are shown.", "username"),
		attempts:  map[Result]prometheus.Counter{},
		durations: map[Result]prometheus.Observer{},
		certificates: histogram(r, "apiserver_client_certificate_expiration_seconds", "[ALPHA] Remaining lifetime of the client certificates that requests were authenticated with.",
			[]float64{0, 1800, 3600, 7200, 21600, 43200, 86400, 172800, 345600, 604800, 2592000, 7776000, 15552000, 31104000}),
	}
	a.other, a.email = a.users.WithLabelValues("other"), a.users.WithLabelValues("email_id")
	a.system = newBound(strings.Clone, func(name string) prometheus.Counter { return a.users.WithLabelValues(name) })
	a.tokens = newTokenCache(r)
	attempts := counters(r, "authentication_attempts", "[ALPHA] Attempts to authenticate, by result.", "result")
	durations := histograms(r, "authentication_duration_seconds", "[ALPHA] How long authentication took, by result.", decisionBuckets, "result")
	for _, result := range []Result{Success, Failure, Error} {
		a.attempts[result] = attempts.WithLabelValues(string(result))
		a.durations[result] = durations.WithLabelValues(string(result))
	}
	return a
}

// Observe counts one attempt and how long it took.
func (a *Authentication) Observe(result Result, d time.Duration) {
	if a == nil {
		return
	}
	a.attempts[result].Inc()
	a.durations[result].Observe(d.Seconds())
}

// maxSystemUsers bounds the series that user names can make: anyone may be called system:something by a
// certificate authority or a front proxy of ours.
const maxSystemUsers = 64

// User counts one authenticated request of the named user.
func (a *Authentication) User(name string) {
	if a == nil {
		return
	}
	a.user(name).Inc()
}

func (a *Authentication) user(name string) prometheus.Counter {
	switch {
	case strings.HasPrefix(name, "system:serviceaccount:"), strings.HasPrefix(name, "system:node:"):
		return a.other
	case strings.HasPrefix(name, "system:"):
		if c, ok := a.system.lookup(name); ok {
			return c
		}
		if a.system.size() >= maxSystemUsers {
			return a.other
		}
		return a.system.get(name)
	case strings.IndexByte(name, '@') > 0:
		return a.email
	default:
		return a.other
	}
}

// CertificateExpiration observes the remaining lifetime of a client certificate.
func (a *Authentication) CertificateExpiration(remaining time.Duration) {
	if a != nil {
		a.certificates.Observe(remaining.Seconds())
	}
}
