package metrics

import (
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// InFlightKind is one of the two limits on requests in flight.
type InFlightKind int

const (
	ReadOnly InFlightKind = iota
	Mutating
)

// String is the label value.
func (k InFlightKind) String() string {
	if k == Mutating {
		return "mutating"
	}
	return "readOnly"
}

// inFlight remembers the highest value of this second and of the one before. The present value would be useless to
// a scrape: requests last milliseconds. Reading computes what upstream has a goroutine maintain.
type inFlight struct {
	// peaks holds, for even and odd seconds, the second in the upper and its peak in the lower 32 bits.
	peaks [2]atomic.Uint64
	// current is for what lasts longer than the two seconds.
	current atomic.Int64
	all     atomic.Uint64 // that have entered
}

func (g *inFlight) register(r prometheus.Registerer, kind InFlightKind) {
	r.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name:        "apiserver_current_inflight_requests",
		Help:        "[STABLE] The most requests that were in flight at once during the last second.",
		ConstLabels: prometheus.Labels{"request_kind": kind.String()},
	}, func() float64 { return float64(g.peak(time.Now().Unix())) }))
}

func (g *inFlight) enter(second int64) {
	g.all.Add(1)
	n := g.current.Add(1)
	slot, seen := &g.peaks[second&1], uint64(uint32(second))<<32|uint64(uint32(n))
	for {
		was := slot.Load()
		// A newer second is larger in the upper bits whatever its peak; within one, the larger peak wins.
		if was >= seen || slot.CompareAndSwap(was, seen) {
			return
		}
	}
}

func (g *inFlight) leave() { g.current.Add(-1) }

func (g *inFlight) peak(second int64) uint32 {
	highest := uint32(max(0, g.current.Load()))
	for i := range g.peaks {
		v := g.peaks[i].Load()
		if at := uint32(v >> 32); at == uint32(second) || at == uint32(second-1) {
			highest = max(highest, uint32(v))
		}
	}
	return highest
}
