package metrics

import (
	"maps"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// backendSeries are the numbers of one endpoint.
type backendSeries struct {
	since                          time.Time
	uses                           int // how many observe it: a server that takes over from another has the same endpoints
	inFlight, connections, leftOut atomic.Int64
	retries, failures, ejections   atomic.Uint64
	answers                        atomic.Pointer[backendAnswers] // made with the first one: many never give any
}

func (s *backendSeries) answered() *backendAnswers {
	if a := s.answers.Load(); a != nil {
		return a
	}
	s.answers.CompareAndSwap(nil, newBackendAnswers())
	return s.answers.Load()
}

// backendBuckets are few: there is a histogram for each endpoint.
var backendBuckets = [...]time.Duration{
	time.Millisecond, 5 * time.Millisecond, 25 * time.Millisecond, 100 * time.Millisecond, 500 * time.Millisecond, time.Second, 5 * time.Second, 30 * time.Second,
}

// maxCodes bounds the codes of one hundred that a backend can make series of.
const maxCodes = 20

// backendAnswers counts answers by code and by how long they took.
type backendAnswers struct {
	codes *bound[int, *atomic.Uint64]
	alike [10]int       // how many codes there are of each hundred, under the lock of codes
	other atomic.Uint64 // of the codes that are too many

	took [len(backendBuckets) + 1]atomic.Uint64 // by the first bucket that they fit in; the last is for all others
	sum  atomic.Int64                           // in nanoseconds
}

func newBackendAnswers() *backendAnswers {
	a := &backendAnswers{}
	a.codes = newBound(func(code int) int { return code }, a.counter)
	return a
}

// counter makes the counter of a code that the endpoint answers with for the first time.
func (a *backendAnswers) counter(code int) *atomic.Uint64 {
	hundred := code / 100 % len(a.alike)
	if a.alike[hundred] >= maxCodes {
		return &a.other
	}
	a.alike[hundred]++
	return new(atomic.Uint64)
}

func (a *backendAnswers) count(code int, took time.Duration) {
	bucket := 0
	for bucket < len(backendBuckets) && took > backendBuckets[bucket] {
		bucket++
	}
	a.took[bucket].Add(1)
	a.sum.Add(int64(took))
	a.codes.get(code).Add(1)
}

func (a *backendAnswers) histogram(since *timestamppb.Timestamp) *dto.Histogram {
	h := &dto.Histogram{CreatedTimestamp: since, SampleSum: new(time.Duration(a.sum.Load()).Seconds())}
	count := uint64(0)
	for i := range a.took {
		count += a.took[i].Load()
		if i < len(backendBuckets) {
			h.Bucket = append(h.Bucket, &dto.Bucket{UpperBound: new(backendBuckets[i].Seconds()), CumulativeCount: new(count)})
		}
	}
	h.SampleCount = &count
	return h
}

// backendFamilies are what is shown of an endpoint.
type backendFamilies struct {
	requests, duration, inFlight, connections, leftOut, retries, failures, ejections *prometheus.Desc
}

func newBackendFamilies() backendFamilies {
	describe := func(name, help string, more ...string) *prometheus.Desc {
		return prometheus.NewDesc("portico_backend_"+name, "[ALPHA] "+help, append([]string{"apiservice", "endpoint"}, more...), nil)
	}
	return backendFamilies{
		requests:    describe("requests_total", "Answers of an endpoint, by code.", "code"),
		duration:    describe("request_duration_seconds", "How long an endpoint took to begin its answer."),
		inFlight:    describe("inflight_requests", "Requests that are on their way to an endpoint, watches included."),
		connections: describe("connections", "Open connections to an endpoint."),
		leftOut:     describe("left_out", "Whether an endpoint is left out because it failed, 1 if it is."),
		retries:     describe("retries_total", "Requests that came to an endpoint after they had failed elsewhere."),
		failures:    describe("failures_total", "Exchanges that an endpoint broke off, and connections that could not be made."),
		ejections:   describe("ejections_total", "Times an endpoint was left out because it failed."),
	}
}

// Describe implements prometheus.Collector.
func (b *Backend) Describe(to chan<- *prometheus.Desc) {
	f := &b.families
	for _, d := range []*prometheus.Desc{f.requests, f.duration, f.inFlight, f.connections, f.leftOut, f.retries, f.failures, f.ejections} {
		to <- d
	}
}

// Collect implements prometheus.Collector.
func (b *Backend) Collect(to chan<- prometheus.Metric) {
	b.mu.Lock()
	endpoints := maps.Clone(b.endpoints) // whoever collects may be slow
	b.mu.Unlock()
	for key, s := range endpoints {
		b.families.collect(to, key, s)
	}
}

func (f *backendFamilies) collect(to chan<- prometheus.Metric, key backendKey, s *backendSeries) {
	since := timestamppb.New(s.since) // by which a reset knows a series that was removed and came back
	labels := []*dto.LabelPair{{Name: new("apiservice"), Value: &key.apiService}, {Name: new("endpoint"), Value: &key.address}}
	gauge := func(d *prometheus.Desc, value int64) {
		to <- &sample{desc: d, labels: labels, gauge: &dto.Gauge{Value: new(float64(value))}}
	}
	counter := func(d *prometheus.Desc, labels []*dto.LabelPair, value uint64) {
		to <- &sample{desc: d, labels: labels, counter: &dto.Counter{Value: new(float64(value)), CreatedTimestamp: since}}
	}
	gauge(f.inFlight, s.inFlight.Load())
	gauge(f.connections, s.connections.Load())
	gauge(f.leftOut, s.leftOut.Load())
	counter(f.retries, labels, s.retries.Load())
	counter(f.failures, labels, s.failures.Load())
	counter(f.ejections, labels, s.ejections.Load())
	a := s.answers.Load()
	if a == nil {
		return
	}
	to <- &sample{desc: f.duration, labels: labels, histogram: a.histogram(since)}
	withCode := func(code string) []*dto.LabelPair { // in the order of their names
		return slices.Insert(slices.Clone(labels), 1, &dto.LabelPair{Name: new("code"), Value: &code})
	}
	for code, n := range a.codes.all() {
		if n != &a.other {
			counter(f.requests, withCode(strconv.Itoa(code)), n.Load())
		}
	}
	if n := a.other.Load(); n > 0 {
		counter(f.requests, withCode("other"), n)
	}
}

// sample is one series as a scrape sees it.
type sample struct {
	desc      *prometheus.Desc
	labels    []*dto.LabelPair
	gauge     *dto.Gauge
	counter   *dto.Counter
	histogram *dto.Histogram
}

// Desc implements prometheus.Metric.
func (s *sample) Desc() *prometheus.Desc { return s.desc }

// Write implements prometheus.Metric.
func (s *sample) Write(out *dto.Metric) error {
	out.Label, out.Gauge, out.Counter, out.Histogram = s.labels, s.gauge, s.counter, s.histogram
	return nil
}
