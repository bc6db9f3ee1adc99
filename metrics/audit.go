package metrics

import (
	"strings"

	"github.com/prometheus/client_golang/prometheus"
)

// Audit observes what is written down.
type Audit struct {
	events, rejected prometheus.Counter
	levels           map[string]prometheus.Counter
	lost             *bound[string, prometheus.Counter]
}

func newAudit(r prometheus.Registerer) *Audit {
	a := &Audit{
		events:   counter(r, "apiserver_audit_event_total", "[ALPHA] Audit events that were made and handed to the backends."),
		rejected: counter(r, "apiserver_audit_requests_rejected_total", "[ALPHA] Requests that were refused because they could not be written down."),
		levels:   map[string]prometheus.Counter{},
	}
	levels := counters(r, "apiserver_audit_level_total", "[ALPHA] Requests by the level at which the audit policy wants them written down.", "level")
	for _, level := range []string{"None", "Metadata", "Request", "RequestResponse"} {
		a.levels[level] = levels.WithLabelValues(level)
	}
	lost := counters(r, "apiserver_audit_error_total", "[ALPHA] Audit events that were lost, by what lost them.", "plugin")
	a.lost = newBound(strings.Clone, func(plugin string) prometheus.Counter { return lost.WithLabelValues(plugin) })
	for _, plugin := range []string{"log", "webhook", "buffered", "truncate"} {
		a.lost.get(plugin) // an increase from nothing is none to Prometheus
	}
	return a
}

// Level counts a request that is written down at a level of the policy.
func (a *Audit) Level(level string) {
	if a == nil {
		return
	}
	if c, ok := a.levels[level]; ok {
		c.Inc()
	}
}

// Event counts an event.
func (a *Audit) Event() {
	if a != nil {
		a.events.Inc()
	}
}

// Rejected counts a request that was refused because it could not be written down.
func (a *Audit) Rejected() {
	if a != nil {
		a.rejected.Inc()
	}
}

// Lost counts n events that plugin, a word of this program, could not keep.
func (a *Audit) Lost(plugin string, n int) {
	if a != nil {
		a.lost.get(plugin).Add(float64(n))
	}
}
