package main

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	discoveryv1 "k8s.io/api/discovery/v1"

	"github.com/portico-api/portico/delegation"
)

func scrapeOf(t *testing.T, at time.Time, page string) *scrape {
	t.Helper()
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	return &scrape{at, families}
}

const before = `
# TYPE apiserver_request_total counter
apiserver_request_total{group="g",version="v1",resource="r",code="200"} 10
`

const after = `
# TYPE apiserver_request_total counter
apiserver_request_total{group="g",version="v1",resource="r",code="200"} 20
apiserver_request_total{group="g",version="v1",resource="r",code="503"} 5
apiserver_request_total{group="h",version="v1",resource="r",code="200"} 100
apiserver_request_total{group="",version="",resource="",code="500"} 75
# TYPE apiserver_request_duration_seconds histogram
apiserver_request_duration_seconds_bucket{group="g",version="v1",resource="r",verb="GET",dry_run="",le="0.005"} 98
apiserver_request_duration_seconds_bucket{group="g",version="v1",resource="r",verb="GET",dry_run="",le="0.025"} 100
apiserver_request_duration_seconds_bucket{group="g",version="v1",resource="r",verb="GET",dry_run="",le="+Inf"} 100
apiserver_request_duration_seconds_count{group="g",version="v1",resource="r",verb="GET",dry_run=""} 100
apiserver_request_duration_seconds_sum{group="g",version="v1",resource="r",verb="GET",dry_run=""} 1
apiserver_request_duration_seconds_bucket{group="g",version="v1",resource="r",verb="WATCH",dry_run="",le="60"} 0
apiserver_request_duration_seconds_bucket{group="g",version="v1",resource="r",verb="WATCH",dry_run="",le="+Inf"} 1000
apiserver_request_duration_seconds_count{group="g",version="v1",resource="r",verb="WATCH",dry_run=""} 1000
apiserver_request_duration_seconds_sum{group="g",version="v1",resource="r",verb="WATCH",dry_run=""} 1e9
`

func TestRatesAreOfTheMomentAndTheRestSinceTheStart(t *testing.T) {
	at := time.Now()
	i := &interval{scrapeOf(t, at, before), scrapeOf(t, at.Add(2*time.Second), after)}
	got := i.answers(labels{"group": "g", "version": "v1", "resource": "!"})
	if want := (answers{PerSecond: 7.5, Total: 25, Failed: 5, P99Seconds: 0.025}); got != want {
		t.Errorf("g/v1: got %+v, want %+v", got, want)
	}
	if got := i.answers(nil); got.Total != 200 || got.Failed != 80 {
		t.Errorf("all: got %+v, want 200 of which 80 failed", got)
	}
	if got := i.answers(labels{"group": "nobody's"}); got != (answers{}) {
		t.Errorf("nothing: got %+v", got)
	}
}

func TestTheTableSaysWhatIsWrong(t *testing.T) {
	r := report{
		Server:       serverReport{URL: "https://front", FailingChecks: failing("[+]ping ok\n[-]etcd failed: reason withheld\nreadyz check failed\n")},
		Units:        []unitReport{{UnitStatus: delegation.UnitStatus{Name: "core", Hooks: []delegation.HookStatus{{Name: "a", Done: true}, {Name: "b"}}}}},
		APIServices:  []apiServiceReport{{Name: "v1.g", Service: "ns/s", ReadyEndpoints: 1, Endpoints: []endpointReport{{}, {}, {}}, Reason: "MissingEndpoints"}},
		Certificates: []certificateReport{{"serving", time.Now().Add(-time.Hour)}, {"client-ca", time.Now().Add(49 * time.Hour)}},
	}
	var out strings.Builder
	if err := r.print(&out); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(out.String(), "\n")
	for _, want := range []string{"NOT READY: etcd", "1 of 2", "ns/s 1 of 3 False (MissingEndpoints)", "EXPIRED", "2 days"} {
		if !slices.ContainsFunc(lines, func(line string) bool { return strings.Contains(strings.Join(strings.Fields(line), " "), want) }) {
			t.Errorf("%q is not in\n%s", want, out.String())
		}
	}
}

const ofBackends = `
# TYPE portico_backend_requests_total counter
portico_backend_requests_total{apiservice="v1.g",endpoint="10.0.0.2:443",code="200"} 6
portico_backend_requests_total{apiservice="v1.g",endpoint="10.0.0.2:443",code="502"} 2
portico_backend_requests_total{apiservice="v1.g",endpoint="10.0.0.1:443",code="200"} 1
portico_backend_requests_total{apiservice="v1.h",endpoint="10.0.0.1:443",code="200"} 100
# TYPE portico_backend_inflight_requests gauge
portico_backend_inflight_requests{apiservice="v1.g",endpoint="10.0.0.2:443"} 3
portico_backend_inflight_requests{apiservice="v1.g",endpoint="10.0.0.1:443"} 0
portico_backend_inflight_requests{apiservice="v1.h",endpoint="10.0.0.1:443"} 0
# TYPE portico_backend_connections gauge
portico_backend_connections{apiservice="v1.g",endpoint="10.0.0.2:443"} 4
# TYPE portico_backend_failures_total counter
portico_backend_failures_total{apiservice="v1.g",endpoint="10.0.0.2:443"} 5
# TYPE portico_backend_ejections_total counter
portico_backend_ejections_total{apiservice="v1.g",endpoint="10.0.0.2:443"} 7
# TYPE portico_backend_retries_total counter
portico_backend_retries_total{apiservice="v1.g",endpoint="10.0.0.1:443"} 9
# TYPE portico_backend_left_out gauge
portico_backend_left_out{apiservice="v1.g",endpoint="10.0.0.2:443"} 1
portico_backend_left_out{apiservice="v1.g",endpoint="10.0.0.1:443"} 0
# TYPE portico_backend_request_duration_seconds histogram
portico_backend_request_duration_seconds_bucket{apiservice="v1.g",endpoint="10.0.0.2:443",le="0.025"} 8
portico_backend_request_duration_seconds_bucket{apiservice="v1.g",endpoint="10.0.0.2:443",le="+Inf"} 8
portico_backend_request_duration_seconds_count{apiservice="v1.g",endpoint="10.0.0.2:443"} 8
portico_backend_request_duration_seconds_sum{apiservice="v1.g",endpoint="10.0.0.2:443"} 0.1
`

func TestEachEndpointIsShownWithWhatTheProxySawOfIt(t *testing.T) {
	at := time.Now()
	i := &interval{scrapeOf(t, at, "# TYPE x counter\nx 0\n"), scrapeOf(t, at.Add(2*time.Second), ofBackends)}
	got := i.endpointsOf("v1.g")
	want := []endpointReport{
		{Address: "10.0.0.1:443", State: "ready", Requests: answers{PerSecond: 0.5, Total: 1}, Retries: 9},
		{Address: "10.0.0.2:443", State: "left out", Requests: answers{PerSecond: 4, Total: 8, Failed: 2, P99Seconds: 0.025}, InFlight: 3, Connections: 4, BrokenOff: 5, Ejections: 7},
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%+v, want\n%+v", got, want)
	}
	no, port := false, int32(443)
	sliced := []discoveryv1.EndpointSlice{{
		Ports:     []discoveryv1.EndpointPort{{Port: &port}},
		Endpoints: []discoveryv1.Endpoint{{Addresses: []string{"10.0.0.1"}}, {Addresses: []string{"fd00::1"}, Conditions: discoveryv1.EndpointConditions{Ready: &no}}},
	}}
	one := apiServiceReport{Name: "v1.g"}
	one.setEndpoints(got, sliced)
	if want := append(want, endpointReport{Address: "[fd00::1]:443", State: "not ready"}); one.ReadyEndpoints != 1 || !slices.Equal(one.Endpoints, want) {
		t.Errorf("%d ready of\n%+v, want 1 of\n%+v", one.ReadyEndpoints, one.Endpoints, want)
	}
	unknown := apiServiceReport{Name: "v1.g"}
	if unknown.setEndpoints(nil, sliced); unknown.ReadyEndpoints != 1 || len(unknown.Endpoints) != 2 {
		t.Errorf("those that the proxy does not know yet: %+v", unknown)
	}
	dead := apiServiceReport{Name: "v1.g", Reason: "FailedDiscoveryCheck"}
	if dead.setEndpoints(slices.Clone(want[:1]), nil); dead.ReadyEndpoints != 0 || dead.Endpoints[0].State != "failing" {
		t.Errorf("those of a server that does not answer: %+v", dead)
	}

	r := report{APIServices: []apiServiceReport{one}}
	var out strings.Builder
	if err := r.print(&out); err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	for line := range strings.Lines(out.String()) {
		text.WriteString(strings.Join(strings.Fields(line), " ") + "\n")
	}
	for _, want := range []string{"10.0.0.2:443 v1.g left out 3 4 4.0 8 25.0% 25ms 0 5 7\n", "10.0.0.1:443 v1.g ready 0 0 0.5 1 0.0% - 9 0 0\n", "[fd00::1]:443 v1.g not ready 0 0 0.0 0 - - 0 0 0\n"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("%q is not in\n%s", want, text.String())
		}
	}
}
