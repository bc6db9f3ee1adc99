package metrics

import (
	"strings"

	"github.com/prometheus/client_golang/prometheus"
)

// Aggregator observes the APIServices and what is proxied to them.
type Aggregator struct {
	unavailable *prometheus.GaugeVec
	transitions *prometheus.CounterVec
	aggregated  prometheus.Counter
	proxied     *bound[proxyTermination, prometheus.Counter]
}

type proxyTermination struct {
	verb           Verb
	group, version string
	code           int
}

func newAggregator(r prometheus.Registerer, requests *Requests) *Aggregator {
	return &Aggregator{
		unavailable: gauges(r, "aggregator_unavailable_apiservice", "[ALPHA] 1 while an APIService is unavailable.", "name"),
		transitions: counters(r, "aggregator_unavailable_apiservice_total", "[ALPHA] Times an APIService was found unavailable, by reason.", "name", "reason"),
		aggregated:  counter(r, "aggregator_discovery_aggregation_count_total", "[ALPHA] Times the aggregated discovery document was made anew."),
		proxied: newBound(
			func(k proxyTermination) proxyTermination {
				k.group, k.version = strings.Clone(k.group), strings.Clone(k.version)
				return k
			},
			func(k proxyTermination) prometheus.Counter {
				return requests.terminations.WithLabelValues(k.verb.String(), k.group, k.version, "", "", "", "aggregator", codeLabel(k.code))
			}),
	}
}

// likeliestReason is why a server that was available mostly is not any more.
const likeliestReason = "FailedDiscoveryCheck"

// SetUnavailable tells whether the APIService is unavailable, and counts it under the reason if it is. Call
// it when the condition changes.
func (a *Aggregator) SetUnavailable(name, reason string, unavailable bool) {
	if a == nil {
		return
	}
	if !unavailable {
		a.unavailable.WithLabelValues(name).Set(0)
		// A series that begins with 1 hides the first failure from increase().
		a.transitions.WithLabelValues(name, likeliestReason)
		return
	}
	a.unavailable.WithLabelValues(name).Set(1)
	a.transitions.WithLabelValues(name, reason).Inc()
}

// Forget drops the series of an APIService that is no more.
func (a *Aggregator) Forget(name string) {
	if a == nil {
		return
	}
	a.unavailable.DeleteLabelValues(name)
	a.transitions.DeletePartialMatch(prometheus.Labels{"name": name})
}

// DiscoveryAggregated counts that the aggregated discovery document was made anew.
func (a *Aggregator) DiscoveryAggregated() {
	if a != nil {
		a.aggregated.Inc()
	}
}

// ProxyTerminated counts a request that the proxy answered itself, because the backend did not. The group and version
// are those of the APIService; the resource is the client's invention and is not shown.
func (a *Aggregator) ProxyTerminated(verb, group, version string, code int) {
	if a != nil {
		a.proxied.get(proxyTermination{VerbOf(verb), group, version, code}).Inc()
	}
}
