package main

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

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
