package metrics

import (
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// component is the serving unit in the labels: alerts for kube-apiserver select this value.
const component = "apiserver"

// maxResources bounds the resources that have series of their own. It is far above what a server with thousands of
// custom resources has, and stops a backend that answers 200 to every invented name.
const maxResources = 20000

// Call is one request as its labels describe it.
type Call struct {
	Verb   Verb
	Scope  Scope
	DryRun DryRun

	Group, Version, Resource, Subresource string
	// Known promises that something serves this resource, so that it may have series of its own.
	// Other calls are counted under empty names unless their resource was known before: a client that
	// invents names must not grow the registry.
	Known bool
}

// Requests observes every request once, at the front.
type Requests struct {
	resources *bound[resourceKey, *resourceCalls]
	unknown   *resourceCalls

	vecs         requestVecs
	terminations *prometheus.CounterVec

	watches    *bound[watchKey, func(size int)]
	filters    *bound[string, prometheus.Observer]
	postTime   *bound[postTimeout, prometheus.Counter]
	fields     *bound[string, prometheus.Observer]
	initial    *bound[watchList, prometheus.Observer]
	acting     *bound[impersonation, actingInstruments]
	deprecated *bound[deprecatedUse, prometheus.Gauge]

	inFlight       [2]inFlight
	handshakeError prometheus.Counter
}

type resourceKey struct{ group, version, resource, subresource string }

func (k resourceKey) own() resourceKey {
	return resourceKey{strings.Clone(k.group), strings.Clone(k.version), strings.Clone(k.resource), strings.Clone(k.subresource)}
}

type requestVecs struct {
	total                        *prometheus.CounterVec
	duration, sli, sizes, bodies *prometheus.HistogramVec
	longRunning                  *prometheus.GaugeVec
	aborts, self                 *prometheus.CounterVec
}

// resourceCalls are the series of one resource, one slot for each verb, scope and dry-run value, filled
// when first needed.
type resourceCalls struct {
	key   resourceKey
	slots [verbs][scopes][dryRuns]atomic.Pointer[callInstruments]
}

// callInstruments are bound to all labels of a call but the code.
type callInstruments struct {
	duration        prometheus.Observer
	sli, size, body prometheus.Observer // nil where the call has none
	codes           *bound[int, prometheus.Counter]
}

type watchKey struct{ group, version, resource string }

type postTimeout struct{ source, status string }

func newRequests(r prometheus.Registerer) *Requests {
	r7 := []string{"verb", "group", "version", "resource", "subresource", "scope", "component"}
	dry := []string{"verb", "dry_run", "group", "version", "resource", "subresource", "scope", "component"}
	m := &Requests{
		vecs: requestVecs{
			total:       counters(r, "apiserver_request_total", "[STABLE] Requests answered; long-running ones are counted when they end.", append(dry[:8:8], "code")...),
			duration:    histograms(r, "apiserver_request_duration_seconds", "[STABLE] Time from the arrival of a request to the end of its answer.", latencyBuckets, dry...),
			sli:         histograms(r, "apiserver_request_sli_duration_seconds", "[STABLE] Time from the arrival of a request to the end of its answer, less what webhooks and queues took.", latencyBuckets[2:], r7...),
			sizes:       histograms(r, "apiserver_response_sizes", "[STABLE] Bytes of the answers to GET and LIST.", prometheus.ExponentialBuckets(1000, 10, 7), r7...),
			bodies:      histograms(r, "apiserver_request_body_size_bytes", "[ALPHA] Bytes of request bodies.", prometheus.LinearBuckets(50000, 100000, 31), "resource", "verb", "group"),
			longRunning: gauges(r, "apiserver_longrunning_requests", "[STABLE] Watches and streams that are open now.", r7...),
			aborts:      counters(r, "apiserver_request_aborts_total", "[ALPHA] Requests whose answer was cut off.", "verb", "group", "version", "resource", "subresource", "scope"),
			self:        counters(r, "apiserver_selfrequest_total", "[ALPHA] Requests that the server sent to itself.", "verb", "group", "resource", "subresource"),
		},
		terminations: counters(r, "apiserver_request_terminations_total", "[ALPHA] Requests that were refused or given up on to protect the server, or that a backend did not answer.", append(r7[:7:7], "code")...),

		handshakeError: counter(r, "apiserver_tls_handshake_errors_total", "[ALPHA] Connections that were dropped during the TLS handshake."),
	}
	m.unknown = &resourceCalls{}
	m.resources = newBound(resourceKey.own, func(k resourceKey) *resourceCalls { return &resourceCalls{key: k} })

	events := counters(r, "apiserver_watch_events_total", "[ALPHA] Events sent to watchers.", "group", "version", "resource")
	sizes := histograms(r, "apiserver_watch_events_sizes", "[ALPHA] Bytes of the events sent to watchers.", prometheus.ExponentialBuckets(1024, 2, 8), "group", "version", "resource")
	m.watches = newBound(
		func(k watchKey) watchKey {
			return watchKey{strings.Clone(k.group), strings.Clone(k.version), strings.Clone(k.resource)}
		},
		func(k watchKey) func(int) {
			number, bytes := events.WithLabelValues(k.group, k.version, k.resource), sizes.WithLabelValues(k.group, k.version, k.resource)
			return func(size int) {
				number.Inc()
				bytes.Observe(float64(size))
			}
		})

	filters := histograms(r, "apiserver_request_filter_duration_seconds", "[ALPHA] Time that a request spent in one filter.",
		[]float64{.0001, .0003, .001, .003, .01, .03, .1, .3, 1, 5, 10, 15, 30}, "filter")
	m.filters = newBound(strings.Clone, func(name string) prometheus.Observer { return filters.WithLabelValues(name) })

	late := counters(r, "apiserver_request_post_timeout_total", "[ALPHA] How handlers ended whose request had been answered with a timeout already.", "source", "status")
	m.postTime = newBound(
		func(k postTimeout) postTimeout { return k }, // both are constants of the program
		func(k postTimeout) prometheus.Counter { return late.WithLabelValues(k.source, k.status) })

	fields := histograms(r, "field_validation_request_duration_seconds", "[ALPHA] Time that requests took, by field validation.", latencyBuckets[2:], "field_validation")
	m.fields = newBound(strings.Clone, func(mode string) prometheus.Observer { return fields.WithLabelValues(mode) })

	m.initial, m.acting, m.deprecated = newWatchLists(r), newImpersonations(r), newDeprecatedUses(r)
	for kind := range m.inFlight {
		m.inFlight[kind].register(r, InFlightKind(kind))
	}
	return m
}

// of returns the series of a call's resource.
func (m *Requests) of(c Call) *resourceCalls {
	key := resourceKey{c.Group, c.Version, c.Resource, c.Subresource}
	if calls, ok := m.resources.lookup(key); ok {
		return calls
	}
	if !c.Known || m.resources.size() >= maxResources {
		return m.unknown
	}
	return m.resources.get(key)
}

func (m *Requests) instruments(c Call) *callInstruments {
	calls := m.of(c)
	slot := &calls.slots[c.Verb][c.Scope][c.DryRun]
	if i := slot.Load(); i != nil {
		return i
	}
	i := m.bind(calls.key, c)
	if !slot.CompareAndSwap(nil, i) {
		return slot.Load()
	}
	return i
}

// bind makes the instruments of a call. A histogram shows a series as soon as it is bound, so
// those that a call never observes are left out.
func (m *Requests) bind(k resourceKey, c Call) *callInstruments {
	verb, scope, dry := c.Verb.String(), c.Scope.String(), c.DryRun.String()
	v := &m.vecs
	i := &callInstruments{
		duration: v.duration.WithLabelValues(verb, dry, k.group, k.version, k.resource, k.subresource, scope, component),
	}
	if c.DryRun == NotDry {
		i.sli = v.sli.WithLabelValues(verb, k.group, k.version, k.resource, k.subresource, scope, component)
	}
	if c.Verb == Get || c.Verb == List {
		i.size = v.sizes.WithLabelValues(verb, k.group, k.version, k.resource, k.subresource, scope, component)
	}
	if c.Verb == Post || c.Verb == Put || c.Verb == Patch || c.Verb == Apply {
		i.body = v.bodies.WithLabelValues(k.resource, verb, k.group)
	}
	same := func(code int) int { return code }
	i.codes = newBound(same, func(code int) prometheus.Counter {
		return v.total.WithLabelValues(verb, dry, k.group, k.version, k.resource, k.subresource, scope, component, codeLabel(code))
	})
	return i
}

// Outcome is how a request ended.
type Outcome struct {
	Code  int
	Took  time.Duration
	Size  int64         // bytes of the answer's body
	Body  int64         // bytes of the request's body as declared; negative when unknown
	Added time.Duration // of Took, what webhooks and queues account for
	// TraceID is of the trace that was recorded of it, if one was: an exemplar of its latencies.
	TraceID string
}

// Done counts a request that has ended.
func (m *Requests) Done(c Call, o Outcome) {
	if m == nil {
		return
	}
	i := m.instruments(c)
	i.codes.get(o.Code).Inc()
	observe(i.duration, o.Took, o.TraceID)
	if i.sli != nil {
		observe(i.sli, o.Took-o.Added, o.TraceID)
	}
	if i.size != nil {
		i.size.Observe(float64(o.Size))
	}
	if i.body != nil && o.Body >= 0 {
		i.body.Observe(float64(o.Body))
	}
}

// observe is Observe, with an exemplar of which there is a trace.
func observe(in prometheus.Observer, d time.Duration, traceID string) {
	if e, ok := in.(prometheus.ExemplarObserver); ok && traceID != "" {
		e.ObserveWithExemplar(d.Seconds(), prometheus.Labels{"trace_id": traceID})
		return
	}
	in.Observe(d.Seconds())
}

// LongRunning counts a watch or stream as open until the function it returns is called.
func (m *Requests) LongRunning(c Call) (ended func()) {
	if m == nil {
		return func() {}
	}
	k := m.of(c).key
	g := m.vecs.longRunning.WithLabelValues(c.Verb.String(), k.group, k.version, k.resource, k.subresource, c.Scope.String(), component)
	g.Inc()
	return g.Dec
}

// Terminated counts a request that a filter refused or gave up on.
func (m *Requests) Terminated(c Call, code int) {
	if m == nil {
		return
	}
	k := m.of(c).key
	m.terminations.WithLabelValues(c.Verb.String(), k.group, k.version, k.resource, k.subresource, c.Scope.String(), component, codeLabel(code)).Inc()
}

// Aborted counts a request whose answer was cut off: the client had gone, or it took too long.
func (m *Requests) Aborted(c Call) {
	if m == nil {
		return
	}
	k := m.of(c).key
	m.vecs.aborts.WithLabelValues(c.Verb.String(), k.group, k.version, k.resource, k.subresource, c.Scope.String()).Inc()
}

// Self counts a request that the server sent to itself.
func (m *Requests) Self(c Call) {
	if m == nil {
		return
	}
	k := m.of(c).key
	m.vecs.self.WithLabelValues(c.Verb.String(), k.group, k.resource, k.subresource).Inc()
}

// TLSHandshakeError counts a connection that was dropped during the handshake.
func (m *Requests) TLSHandshakeError() {
	if m != nil {
		m.handshakeError.Inc()
	}
}
