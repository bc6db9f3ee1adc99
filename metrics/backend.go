package metrics

import (
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Backend observes the endpoints that requests are proxied to. Its series are bounded by the endpoints there are: those of one that is
// gone are removed.
type Backend struct {
	requests    *prometheus.CounterVec
	duration    *prometheus.HistogramVec
	inFlight    *prometheus.GaugeVec
	connections *prometheus.GaugeVec
	leftOut     *prometheus.GaugeVec
	retries     *prometheus.CounterVec
	failures    *prometheus.CounterVec
	ejections   *prometheus.CounterVec

	mu   sync.Mutex
	uses map[backendKey]int // how many observe it: a server that takes over from another has the same endpoints
}

type backendKey struct{ apiService, address string }

// backendBuckets are few: there is a histogram for each endpoint.
var backendBuckets = []float64{.001, .005, .025, .1, .5, 1, 5, 30}

func newBackend(r prometheus.Registerer) *Backend {
	return &Backend{
		uses:        map[backendKey]int{},
		requests:    counters(r, "portico_backend_requests_total", "[ALPHA] Answers of an endpoint, by code.", "apiservice", "endpoint", "code"),
		duration:    histograms(r, "portico_backend_request_duration_seconds", "[ALPHA] How long an endpoint took to begin its answer.", backendBuckets, "apiservice", "endpoint"),
		inFlight:    gauges(r, "portico_backend_inflight_requests", "[ALPHA] Requests that are on their way to an endpoint, watches included.", "apiservice", "endpoint"),
		connections: gauges(r, "portico_backend_connections", "[ALPHA] Open connections to an endpoint.", "apiservice", "endpoint"),
		leftOut:     gauges(r, "portico_backend_left_out", "[ALPHA] Whether an endpoint is left out because it failed, 1 if it is.", "apiservice", "endpoint"),
		retries:     counters(r, "portico_backend_retries_total", "[ALPHA] Requests that came to an endpoint after they had failed elsewhere.", "apiservice", "endpoint"),
		failures:    counters(r, "portico_backend_failures_total", "[ALPHA] Exchanges that an endpoint broke off, and connections that could not be made.", "apiservice", "endpoint"),
		ejections:   counters(r, "portico_backend_ejections_total", "[ALPHA] Times an endpoint was left out because it failed.", "apiservice", "endpoint"),
	}
}

// Endpoint returns the instruments of one endpoint of an APIService.
func (b *Backend) Endpoint(apiService, address string) *BackendEndpoint {
	if b == nil {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.uses[backendKey{apiService, address}]++
	e := &BackendEndpoint{
		owner: b, apiService: apiService, address: address,
		inFlight:    b.inFlight.WithLabelValues(apiService, address),
		connections: b.connections.WithLabelValues(apiService, address),
		leftOut:     b.leftOut.WithLabelValues(apiService, address),
		retries:     b.retries.WithLabelValues(apiService, address),
		failures:    b.failures.WithLabelValues(apiService, address),
		ejections:   b.ejections.WithLabelValues(apiService, address),
	}
	e.codes = newBound(func(code int) int { return code }, e.counter)
	return e
}

// BackendEndpoint observes one endpoint. All its methods may be called on a nil receiver, and after Forget; they then show nothing.
type BackendEndpoint struct {
	owner               *Backend
	apiService, address string

	duration                       atomic.Pointer[prometheus.Observer] // made with the first answer: it is large, and many have none
	inFlight, connections, leftOut prometheus.Gauge
	retries, failures, ejections   prometheus.Counter

	codes *bound[int, prometheus.Counter]

	gone bool // under the owner's mu
}

// Answered counts an answer.
func (e *BackendEndpoint) Answered(code int, took time.Duration) {
	if e == nil {
		return
	}
	d := e.duration.Load()
	if d == nil {
		d = e.histogram()
	}
	(*d).Observe(took.Seconds())
	e.codes.get(code).Inc()
}

func (e *BackendEndpoint) histogram() *prometheus.Observer {
	e.owner.mu.Lock()
	defer e.owner.mu.Unlock()
	var d prometheus.Observer
	if e.gone { // what is observed now is nobody's series
		d = prometheus.NewHistogram(prometheus.HistogramOpts{Name: "portico_backend_request_duration_seconds"})
	} else {
		d = e.owner.duration.WithLabelValues(e.apiService, e.address)
	}
	e.duration.Store(&d)
	return &d
}

// counter makes the counter of a code that the endpoint answers with for the first time.
func (e *BackendEndpoint) counter(code int) prometheus.Counter {
	alike := 0
	for known := range *e.codes.table.Load() {
		if known/100 == code/100 {
			alike++
		}
	}
	label := strconv.Itoa(code)
	if alike >= maxCodes {
		label = "other"
	}
	e.owner.mu.Lock()
	defer e.owner.mu.Unlock()
	if e.gone { // what is counted now is nobody's series
		return prometheus.NewCounter(prometheus.CounterOpts{Name: "portico_backend_requests_total"})
	}
	return e.owner.requests.WithLabelValues(e.apiService, e.address, label)
}

// maxCodes bounds the codes of one hundred that a backend can make series of.
const maxCodes = 20

// InFlight tells that there are more or fewer requests on their way.
func (e *BackendEndpoint) InFlight(difference int) {
	if e != nil {
		e.inFlight.Add(float64(difference))
	}
}

// Connections tells that there are more or fewer connections.
func (e *BackendEndpoint) Connections(difference int) {
	if e != nil {
		e.connections.Add(float64(difference))
	}
}

// LeftOut tells that the endpoint is left out, or is not any more.
func (e *BackendEndpoint) LeftOut(difference int) {
	if e != nil {
		e.leftOut.Add(float64(difference))
	}
}

// Retried counts a request that failed elsewhere.
func (e *BackendEndpoint) Retried() {
	if e != nil {
		e.retries.Inc()
	}
}

// Failed counts an exchange that was broken off.
func (e *BackendEndpoint) Failed() {
	if e != nil {
		e.failures.Inc()
	}
}

// Ejected counts that the endpoint was left out.
func (e *BackendEndpoint) Ejected() {
	if e != nil {
		e.ejections.Inc()
	}
}

// Forget removes the series of the endpoint, if nobody else observes it.
func (e *BackendEndpoint) Forget() {
	if e == nil {
		return
	}
	b := e.owner
	b.mu.Lock()
	defer b.mu.Unlock()
	if e.gone {
		return
	}
	e.gone = true
	key := backendKey{e.apiService, e.address}
	if b.uses[key]--; b.uses[key] > 0 {
		return
	}
	delete(b.uses, key)
	labels := prometheus.Labels{"apiservice": e.apiService, "endpoint": e.address}
	b.requests.DeletePartialMatch(labels)
	for _, v := range []interface{ DeleteLabelValues(...string) bool }{b.duration, b.inFlight, b.connections, b.leftOut, b.retries, b.failures, b.ejections} {
		v.DeleteLabelValues(e.apiService, e.address)
	}
}
