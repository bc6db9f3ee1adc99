package metrics

import (
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Filter observes how long a request spent in the named filter. Names are constants of the program.
func (m *Requests) Filter(name string, took time.Duration) {
	if m != nil {
		m.filters.get(name).Observe(took.Seconds())
	}
}

// PostTimeout counts how a handler ended ("ok", "error", "panic") whose request source had given up on already.
func (m *Requests) PostTimeout(source, status string) {
	if m != nil {
		m.postTime.get(postTimeout{source, status}).Inc()
	}
}

// WatchEvents returns what counts an event of so many bytes that was sent to a watcher of a resource. Ask only for resources
// that are served here: the names become labels.
func (m *Requests) WatchEvents(group, version, resource string) func(size int) {
	if m == nil {
		return func(int) {}
	}
	return m.watches.get(watchKey{group, version, resource})
}

// FieldValidation observes a write by the field validation it asked for; anything but the three modes
// counts as "invalid".
func (m *Requests) FieldValidation(mode string, took time.Duration) {
	if m == nil {
		return
	}
	switch mode {
	case "Ignore", "Warn", "Strict", "":
	default:
		mode = "invalid"
	}
	m.fields.get(mode).Observe(took.Seconds())
}

// Enter counts a request of the kind as in flight, since the given time, until Leave is called.
func (m *Requests) Enter(kind InFlightKind, at time.Time) {
	if m != nil {
		m.inFlight[kind].enter(at.Unix())
	}
}

// Entered is how often Enter was called.
func (m *Requests) Entered() uint64 {
	if m == nil {
		return 0
	}
	return m.inFlight[ReadOnly].all.Load() + m.inFlight[Mutating].all.Load()
}

// Leave ends what Enter began.
func (m *Requests) Leave(kind InFlightKind) {
	if m != nil {
		m.inFlight[kind].leave()
	}
}

type watchList struct {
	watchKey
	scope Scope
}

func newWatchLists(r prometheus.Registerer) *bound[watchList, prometheus.Observer] {
	v := histograms(r, "apiserver_watch_list_duration_seconds", "[ALPHA] Time from the arrival of a watch that asks for the initial events to the bookmark that ends them.", latencyBuckets[2:], "group", "version", "resource", "scope")
	return newBound(
		func(k watchList) watchList {
			k.group, k.version, k.resource = strings.Clone(k.group), strings.Clone(k.version), strings.Clone(k.resource)
			return k
		},
		func(k watchList) prometheus.Observer {
			return v.WithLabelValues(k.group, k.version, k.resource, k.scope.String())
		})
}

// WatchList observes how long a watch took to send the state that there was. Call it only for resources that are served here.
func (m *Requests) WatchList(group, version, resource string, scope Scope, took time.Duration) {
	if m != nil {
		m.initial.get(watchList{watchKey{group, version, resource}, scope}).Observe(took.Seconds())
	}
}

type impersonation struct{ mode, decision string }

type actingInstruments struct {
	attempts prometheus.Counter
	duration prometheus.Observer
}

func newImpersonations(r prometheus.Registerer) *bound[impersonation, actingInstruments] {
	attempts := counters(r, "apiserver_impersonation_attempts_total", "[ALPHA] Requests of users that wanted to act as another, by mode and decision.", "mode", "decision")
	duration := histograms(r, "apiserver_impersonation_attempts_duration_seconds", "[ALPHA] How long deciding on an impersonation took, by mode and decision.", decisionBuckets, "mode", "decision")
	return newBound(
		func(k impersonation) impersonation { return k }, // words of this program
		func(k impersonation) actingInstruments {
			return actingInstruments{attempts.WithLabelValues(k.mode, k.decision), duration.WithLabelValues(k.mode, k.decision)}
		})
}

// Impersonation counts a request of a user that wanted to act as another. There is one mode here, "legacy": that of the
// verb impersonate.
func (m *Requests) Impersonation(decision Decision, took time.Duration) {
	if m == nil {
		return
	}
	i := m.acting.get(impersonation{"legacy", string(decision)})
	i.attempts.Inc()
	i.duration.Observe(took.Seconds())
}

type deprecatedUse struct {
	resourceKey
	removed string
}

func newDeprecatedUses(r prometheus.Registerer) *bound[deprecatedUse, prometheus.Gauge] {
	v := gauges(r, "apiserver_requested_deprecated_apis", "[STABLE] 1 for each resource that was asked for in a version that clients should not use any more, with the release that will be without it.",
		"group", "version", "resource", "subresource", "removed_release")
	return newBound(
		func(k deprecatedUse) deprecatedUse { return deprecatedUse{k.own(), strings.Clone(k.removed)} },
		func(k deprecatedUse) prometheus.Gauge {
			g := v.WithLabelValues(k.group, k.version, k.resource, k.subresource, k.removed)
			g.Set(1)
			return g
		})
}

// Deprecated shows that a resource was asked for in a version that clients should not use any more; removed is the release that will be
// without it, or empty.
func (m *Requests) Deprecated(c Call, removed string) {
	if m == nil {
		return
	}
	if k := m.of(c).key; k != (resourceKey{}) {
		m.deprecated.get(deprecatedUse{k, removed})
	}
}
