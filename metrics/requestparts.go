package metrics

import "time"

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

// Leave ends what Enter began.
func (m *Requests) Leave(kind InFlightKind) {
	if m != nil {
		m.inFlight[kind].leave()
	}
}
