package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Health observes the outcome of every health check.
type Health struct {
	checks *bound[healthCheck, healthInstruments]
}

type healthCheck struct{ name, typ string }

type healthInstruments struct {
	state            prometheus.Gauge
	success, failure prometheus.Counter
}

func newHealth(r prometheus.Registerer) *Health {
	state := gauges(r, "kubernetes_healthcheck", "[STABLE] 1 if the health check succeeded when it was last asked, else 0.", "name", "type")
	total := counters(r, "kubernetes_healthchecks_total", "[STABLE] Results of all health checks.", "name", "type", "status")
	return &Health{checks: newBound(
		func(k healthCheck) healthCheck { return k }, // names are given by the program, not by clients
		func(k healthCheck) healthInstruments {
			return healthInstruments{
				state:   state.WithLabelValues(k.name, k.typ),
				success: total.WithLabelValues(k.name, k.typ, "success"),
				failure: total.WithLabelValues(k.name, k.typ, "error"),
			}
		})}
}

// Observe counts one run of the check name on the endpoint typ ("healthz", "livez" or "readyz").
func (h *Health) Observe(name, typ string, ok bool) {
	if h == nil {
		return
	}
	i := h.checks.get(healthCheck{name, typ})
	if ok {
		i.state.Set(1)
		i.success.Inc()
	} else {
		i.state.Set(0)
		i.failure.Inc()
	}
}

// registerStartTime lets a reader of /metrics/slis tell a restart from a gap.
func registerStartTime(r prometheus.Registerer) {
	gauge(r, "process_start_time_seconds", "[ALPHA] Start time of the process since the Unix epoch in seconds.").Set(float64(time.Now().UnixMilli()) / 1e3)
}
