package metrics_test

import (
	"strings"
	"testing"
	"time"

	"github.com/portico-api/portico/metrics"
)

func TestTheSeriesOfAnEndpointGoWithIt(t *testing.T) {
	m := metrics.New()
	gone, stays := m.Backend.Endpoint("v1.example.com", "10.0.0.1:443"), m.Backend.Endpoint("v1.example.com", "10.0.0.2:443")
	for _, e := range []*metrics.BackendEndpoint{gone, stays} {
		for code := 200; code < 300; code++ {
			e.Answered(code, time.Millisecond)
		}
		e.InFlight(1)
		e.Connections(1)
		e.Retried()
		e.Failed()
		e.Ejected()
		e.LeftOut(1)
	}
	successor := m.Backend.Endpoint("v1.example.com", "10.0.0.2:443")
	gone.Forget()
	gone.Forget()
	stays.Forget() // the successor goes on with its series
	successor.Retried()
	// A watch that outlives its endpoint brings nothing back.
	gone.Answered(404, time.Millisecond)
	gone.InFlight(-1)

	families, err := m.Gatherer().Gather()
	if err != nil {
		t.Fatal(err)
	}
	series := map[string]int{}
	for _, f := range families {
		if !strings.HasPrefix(f.GetName(), "portico_backend_") {
			continue
		}
		for _, s := range f.GetMetric() {
			for _, l := range s.GetLabel() {
				if l.GetName() == "endpoint" {
					series[l.GetValue()]++
				}
			}
		}
	}
	if n := series["10.0.0.1:443"]; n != 0 {
		t.Errorf("%d series of an endpoint that is gone", n)
	}
	if n := series["10.0.0.2:443"]; n < 7 || n > 30 {
		t.Errorf("%d series of an endpoint that answers with a hundred codes, want a few", n)
	}
	var nobody *metrics.Backend
	nobody.Endpoint("a", "b").Answered(200, 0)
}
