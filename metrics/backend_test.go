package metrics_test

import (
	"net/http"
	"net/http/httptest"
	"strconv"
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

func backendLines(t *testing.T, m *metrics.Metrics) string {
	t.Helper()
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	var lines []string
	for line := range strings.Lines(w.Body.String()) {
		if strings.HasPrefix(line, "portico_backend_") {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "")
}

func TestWhatIsShownOfAnEndpoint(t *testing.T) {
	m := metrics.New()
	e := m.Backend.Endpoint("v1.g", "10.0.0.1:443")
	e.InFlight(3)
	e.InFlight(-1)
	e.Connections(4)
	e.LeftOut(1)
	e.Retried()
	e.Failed()
	e.Failed()
	e.Ejected()
	if got := backendLines(t, m); strings.Contains(got, "duration") || strings.Contains(got, "requests_total") {
		t.Errorf("before the first answer there is\n%s", got)
	}
	for _, a := range []struct {
		code int
		took time.Duration
	}{{200, time.Millisecond}, {200, 2 * time.Millisecond}, {503, 30 * time.Second}, {200, time.Minute}} {
		e.Answered(a.code, a.took)
	}
	want := `portico_backend_connections{apiservice="v1.g",endpoint="10.0.0.1:443"} 4
portico_backend_ejections_total{apiservice="v1.g",endpoint="10.0.0.1:443"} 1
portico_backend_failures_total{apiservice="v1.g",endpoint="10.0.0.1:443"} 2
portico_backend_inflight_requests{apiservice="v1.g",endpoint="10.0.0.1:443"} 2
portico_backend_left_out{apiservice="v1.g",endpoint="10.0.0.1:443"} 1
portico_backend_request_duration_seconds_bucket{apiservice="v1.g",endpoint="10.0.0.1:443",le="0.001"} 1
portico_backend_request_duration_seconds_bucket{apiservice="v1.g",endpoint="10.0.0.1:443",le="0.005"} 2
portico_backend_request_duration_seconds_bucket{apiservice="v1.g",endpoint="10.0.0.1:443",le="0.025"} 2
portico_backend_request_duration_seconds_bucket{apiservice="v1.g",endpoint="10.0.0.1:443",le="0.1"} 2
portico_backend_request_duration_seconds_bucket{apiservice="v1.g",endpoint="10.0.0.1:443",le="0.5"} 2
portico_backend_request_duration_seconds_bucket{apiservice="v1.g",endpoint="10.0.0.1:443",le="1"} 2
portico_backend_request_duration_seconds_bucket{apiservice="v1.g",endpoint="10.0.0.1:443",le="5"} 2
portico_backend_request_duration_seconds_bucket{apiservice="v1.g",endpoint="10.0.0.1:443",le="30"} 3
portico_backend_request_duration_seconds_bucket{apiservice="v1.g",endpoint="10.0.0.1:443",le="+Inf"} 4
portico_backend_request_duration_seconds_sum{apiservice="v1.g",endpoint="10.0.0.1:443"} 90.003
portico_backend_request_duration_seconds_count{apiservice="v1.g",endpoint="10.0.0.1:443"} 4
portico_backend_requests_total{apiservice="v1.g",code="200",endpoint="10.0.0.1:443"} 3
portico_backend_requests_total{apiservice="v1.g",code="503",endpoint="10.0.0.1:443"} 1
portico_backend_retries_total{apiservice="v1.g",endpoint="10.0.0.1:443"} 1
`
	if got := backendLines(t, m); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// What is taken off after a reset is what the same series had before it: one that went and came back has begun at zero by itself.
func TestAnEndpointThatComesBackAfterAReset(t *testing.T) {
	m := metrics.New()
	e := m.Backend.Endpoint("v1.g", "10.0.0.1:443")
	for range 5 {
		e.Answered(200, time.Millisecond)
	}
	m.ResettableHandler().ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodDelete, "/metrics", nil))
	e.Answered(200, time.Millisecond)
	const name = `portico_backend_requests_total{apiservice="v1.g",code="200",endpoint="10.0.0.1:443"} `
	if got := backendLines(t, m); !strings.Contains(got, name+"1\n") {
		t.Errorf("one answer after the reset shows as\n%s", got)
	}
	e.Forget()
	e = m.Backend.Endpoint("v1.g", "10.0.0.1:443")
	e.Answered(200, time.Millisecond)
	e.Answered(200, time.Millisecond)
	if got := backendLines(t, m); !strings.Contains(got, name+"2\n") {
		t.Errorf("two answers after it came back show as\n%s", got)
	}
}

// BenchmarkBackendEndpoint is what an endpoint takes that is known and asked nothing.
func BenchmarkBackendEndpoint(b *testing.B) {
	m := metrics.New()
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		m.Backend.Endpoint("v1.example.com", strconv.Itoa(i))
		i++
	}
}
