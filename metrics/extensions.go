package metrics

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Extensions observes what webhooks convert of custom resources.
type Extensions struct {
	conversions *prometheus.HistogramVec
	requests    *prometheus.CounterVec
	latencies   *prometheus.HistogramVec
}

var (
	conversionBuckets = prometheus.ExponentialBuckets(0.001, 2, 15)
	callBuckets       = []float64{.005, .01, .02, .05, .1, .2, .5, 1, 2, 5, 10, 20, 30, 45, 60}
)

func newExtensions(r prometheus.Registerer) *Extensions {
	return &Extensions{
		conversions: histograms(r, "apiserver_crd_conversion_webhook_duration_seconds",
			"[ALPHA] How long it took to have objects of a custom resource converted, by definition, versions and outcome.", conversionBuckets,
			"crd_name", "from_version", "to_version", "succeeded"),
		requests: counters(r, "apiserver_conversion_webhook_request_total",
			"[ALPHA] Requests to webhooks that convert, by outcome and what was wrong.", "result", "failure_type"),
		latencies: histograms(r, "apiserver_conversion_webhook_duration_seconds",
			"[ALPHA] How long requests to webhooks that convert took, by outcome and what was wrong.", callBuckets, "result", "failure_type"),
	}
}

// Converted notes one request to the webhook of a definition. failure is what was wrong: empty, or one of the words of the caller, which are few.
func (e *Extensions) Converted(definition, from, to, failure string, took time.Duration) {
	if e == nil {
		return
	}
	result := "success"
	if failure != "" {
		result = "failure"
	}
	e.conversions.WithLabelValues(definition, from, to, strconv.FormatBool(failure == "")).Observe(took.Seconds())
	e.requests.WithLabelValues(result, failure).Inc()
	e.latencies.WithLabelValues(result, failure).Observe(took.Seconds())
}

// Forget drops what is told of a definition that is gone, so that there are no more series than definitions.
func (e *Extensions) Forget(definition string) {
	if e != nil {
		e.conversions.DeletePartialMatch(prometheus.Labels{"crd_name": definition})
	}
}
