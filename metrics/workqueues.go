package metrics

import (
	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/client-go/util/workqueue"
)

// Workqueues observes the queues of controllers, by names that the program gives them. It is what client-go's queues ask for their
// instruments.
type Workqueues struct {
	depth, unfinished, longest *prometheus.GaugeVec
	adds, retries              *prometheus.CounterVec
	waited, worked             *prometheus.HistogramVec
}

var _ workqueue.MetricsProvider = (*Workqueues)(nil)

func newWorkqueues(r prometheus.Registerer) *Workqueues {
	buckets := prometheus.ExponentialBuckets(1e-8, 10, 10)
	return &Workqueues{
		depth:      gauges(r, "workqueue_depth", "[ALPHA] Keys that wait to be handled.", "name"),
		adds:       counters(r, "workqueue_adds_total", "[ALPHA] Keys that were given to be handled.", "name"),
		waited:     histograms(r, "workqueue_queue_duration_seconds", "[ALPHA] How long a key waited until it was handled.", buckets, "name"),
		worked:     histograms(r, "workqueue_work_duration_seconds", "[ALPHA] How long handling a key took.", buckets, "name"),
		unfinished: gauges(r, "workqueue_unfinished_work_seconds", "[ALPHA] How long all the keys that are being handled have taken together; one that grows steadily tells of a worker that hangs.", "name"),
		longest:    gauges(r, "workqueue_longest_running_processor_seconds", "[ALPHA] How long the key has taken that has been handled for longest.", "name"),
		retries:    counters(r, "workqueue_retries_total", "[ALPHA] Keys whose handling failed and is tried again.", "name"),
	}
}

// NewDepthMetric implements workqueue.MetricsProvider.
func (w *Workqueues) NewDepthMetric(name string) workqueue.GaugeMetric {
	return w.depth.WithLabelValues(name)
}

// NewAddsMetric implements workqueue.MetricsProvider.
func (w *Workqueues) NewAddsMetric(name string) workqueue.CounterMetric {
	return w.adds.WithLabelValues(name)
}

// NewLatencyMetric implements workqueue.MetricsProvider.
func (w *Workqueues) NewLatencyMetric(name string) workqueue.HistogramMetric {
	return w.waited.WithLabelValues(name)
}

// NewWorkDurationMetric implements workqueue.MetricsProvider.
func (w *Workqueues) NewWorkDurationMetric(name string) workqueue.HistogramMetric {
	return w.worked.WithLabelValues(name)
}

// NewUnfinishedWorkSecondsMetric implements workqueue.MetricsProvider.
func (w *Workqueues) NewUnfinishedWorkSecondsMetric(name string) workqueue.SettableGaugeMetric {
	return w.unfinished.WithLabelValues(name)
}

// NewLongestRunningProcessorSecondsMetric implements workqueue.MetricsProvider.
func (w *Workqueues) NewLongestRunningProcessorSecondsMetric(name string) workqueue.SettableGaugeMetric {
	return w.longest.WithLabelValues(name)
}

// NewRetriesMetric implements workqueue.MetricsProvider.
func (w *Workqueues) NewRetriesMetric(name string) workqueue.CounterMetric {
	return w.retries.WithLabelValues(name)
}
