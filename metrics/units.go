package metrics

import "github.com/prometheus/client_golang/prometheus"

// Units observes which unit of the chain answers.
type Units struct {
	answers *bound[unitAnswer, prometheus.Counter]
}

type unitAnswer struct {
	unit string
	code int
}

func newUnits(r prometheus.Registerer) *Units {
	answers := counters(r, "portico_unit_requests_total", "[ALPHA] Requests by the unit of the chain that answered them; those that a filter answered, or nobody had the path of, have none.", "unit", "code")
	return &Units{answers: newBound(
		func(k unitAnswer) unitAnswer { return k }, // units are named by the program
		func(k unitAnswer) prometheus.Counter { return answers.WithLabelValues(k.unit, codeLabel(k.code)) })}
}

// Answered counts a request that the named unit answered.
func (u *Units) Answered(unit string, code int) {
	if u != nil {
		if code < 100 || code > 599 {
			code = 0 // a backend's invention: one series for all of them
		}
		u.answers.get(unitAnswer{unit, code}).Inc()
	}
}
