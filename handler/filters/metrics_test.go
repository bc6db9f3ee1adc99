package filters_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"

	"github.com/portico-api/portico/handler"
	"github.com/portico-api/portico/metrics"
)

// value is the sum of the series of a metric whose labels have the given values.
func value(t *testing.T, m *metrics.Metrics, name string, labels ...string) float64 {
	t.Helper()
	families, err := m.Gatherer().Gather()
	if err != nil {
		t.Fatal(err)
	}
	sum := 0.0
	for _, family := range families {
		if family.GetName() != name {
			continue
		}
		for _, series := range family.Metric {
			if has(series, labels) {
				sum += series.GetCounter().GetValue() + series.GetGauge().GetValue() + float64(series.GetHistogram().GetSampleCount())
			}
		}
	}
	return sum
}

func has(series *dto.Metric, labels []string) bool {
	for i := 0; i < len(labels); i += 2 {
		found := false
		for _, l := range series.Label {
			found = found || l.GetName() == labels[i] && l.GetValue() == labels[i+1]
		}
		if !found {
			return false
		}
	}
	return true
}

// routed answers as something that is registered for the path.
func routed(code int) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		rq, _ := handler.RequestFrom(r.Context())
		rq.Routed = true
		w.WriteHeader(code)
	})
}

func TestRequestsAreCountedByWhatTheyAskFor(t *testing.T) {
	for name, test := range map[string]struct {
		method, target string
		header         []string
		labels         []string
	}{
		"a read of one":                     {"GET", "/apis/g/v/namespaces/n/r/x", nil, []string{"verb", "GET", "group", "g", "version", "v", "resource", "r", "scope", "resource", "component", "apiserver", "dry_run", ""}},
		"a list in a namespace":             {"GET", "/apis/g/v/namespaces/n/r", nil, []string{"verb", "LIST", "scope", "namespace"}},
		"a list of all":                     {"GET", "/apis/g/v/r", nil, []string{"verb", "LIST", "scope", "cluster"}},
		"a watch":                           {"GET", "/apis/g/v/r?watch=1", nil, []string{"verb", "WATCH", "scope", "cluster"}},
		"a create":                          {"POST", "/apis/g/v/namespaces/n/r", nil, []string{"verb", "POST", "scope", "resource"}},
		"an apply":                          {"PATCH", "/apis/g/v/r/x", []string{"Content-Type", "application/apply-patch+yaml"}, []string{"verb", "APPLY"}},
		"a patch":                           {"PATCH", "/apis/g/v/r/x", []string{"Content-Type", "application/merge-patch+json"}, []string{"verb", "PATCH"}},
		"a collection's deletion is DELETE": {"DELETE", "/apis/g/v/namespaces/n/r", nil, []string{"verb", "DELETE", "scope", "namespace"}},
		"a stream":                          {"POST", "/api/v1/namespaces/n/pods/x/exec", nil, []string{"verb", "CONNECT", "subresource", "exec"}},
		"an unknown method":                 {"BREW", "/apis/g/v/r/x", nil, []string{"verb", "other"}},
		"a dry run":                         {"DELETE", "/apis/g/v/r/x?dryRun=All", nil, []string{"verb", "DELETE", "dry_run", "All"}},
		"an invalid dry run":                {"DELETE", "/apis/g/v/r/x?dryRun=maybe", nil, []string{"dry_run", "invalid"}},
		"health":                            {"GET", "/healthz", nil, []string{"verb", "GET", "subresource", "/healthz", "scope", ""}},
		"another path":                      {"GET", "/anything", nil, []string{"verb", "GET", "subresource", "", "resource", ""}},
	} {
		t.Run(name, func(t *testing.T) {
			c := config()
			ask(t, routed(http.StatusTeapot), c, test.method, test.target, test.header...)
			for _, metric := range []string{"apiserver_request_total", "apiserver_request_duration_seconds"} {
				if got := value(t, c.Metrics, metric, test.labels...); got != 1 {
					t.Errorf("%s %s: %s%q = %v, want 1", test.method, test.target, metric, test.labels, got)
				}
			}
			if got := value(t, c.Metrics, "apiserver_request_total", "code", "418"); got != 1 {
				t.Errorf("%s %s: the code is not counted", test.method, test.target)
			}
		})
	}
}

func TestWritesAreCountedByFieldValidation(t *testing.T) {
	c := config()
	for _, mode := range []string{"Strict", "Warn", "Strict", "nonsense"} {
		ask(t, ok, c, "POST", "/api/v1/nodes?fieldValidation="+mode)
	}
	for mode, want := range map[string]float64{"Strict": 2, "Warn": 1, "invalid": 1} {
		if got := value(t, c.Metrics, "field_validation_request_duration_seconds", "field_validation", mode); got != want {
			t.Errorf("field_validation_request_duration_seconds for %s = %v, want %v", mode, got, want)
		}
	}
}

func TestTheObjectiveLeavesOutWhatOthersTook(t *testing.T) {
	c := config()
	waits := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		handler.AddWait(r.Context(), time.Hour) // more than the whole request takes: what is left is in the lowest bucket
		w.WriteHeader(http.StatusOK)
	})
	ask(t, waits, c, "GET", "/api/v1/nodes/a")
	families, err := c.Metrics.Gatherer().Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() != "apiserver_request_sli_duration_seconds" {
			continue
		}
		if h := f.Metric[0].GetHistogram(); h.GetSampleCount() != 1 || h.GetSampleSum() > -3500 {
			t.Errorf("apiserver_request_sli_duration_seconds has %d requests of together %vs, want 1 an hour less than it took", h.GetSampleCount(), h.GetSampleSum())
		}
		return
	}
	t.Error("apiserver_request_sli_duration_seconds is not there")
}

func TestImpersonationsAreCounted(t *testing.T) {
	c := config()
	ask(t, ok, c, "GET", "/api/v1/nodes/a", "Impersonate-User", "jane")
	ask(t, ok, c, "GET", "/api/v1/nodes/a", "Impersonate-Group", "nobody's")
	for decision, want := range map[string]float64{"allowed": 1, "denied": 1} {
		if got := value(t, c.Metrics, "apiserver_impersonation_attempts_total", "decision", decision, "mode", "legacy"); got != want {
			t.Errorf("apiserver_impersonation_attempts_total of those %s = %v, want %v", decision, got, want)
		}
	}
}

func TestTheUnitThatAnsweredIsCounted(t *testing.T) {
	c := config()
	behind := handler.NewAPIServerHandler("behind", nil, http.NotFoundHandler())
	behind.NonGoRestfulMux.Handle("/behind", ok)
	front := handler.NewAPIServerHandler("front", nil, behind.Director)
	front.NonGoRestfulMux.Handle("/front", ok)
	for _, path := range []string{"/front", "/behind", "/behind"} {
		ask(t, front.Director, c, "GET", path)
	}
	for unit, want := range map[string]float64{"front": 1, "behind": 2} {
		if got := value(t, c.Metrics, "portico_unit_requests_total", "unit", unit, "code", "200"); got != want {
			t.Errorf("portico_unit_requests_total of %s = %v, want %v", unit, got, want)
		}
	}
}

func TestWatchesAreShownWhileTheyAreOpen(t *testing.T) {
	c := config()
	var during float64
	watch := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusOK)
		during = value(t, c.Metrics, "apiserver_longrunning_requests", "verb", "WATCH", "resource", "nodes")
	})
	ask(t, watch, c, "GET", "/api/v1/nodes?watch=1")
	if after := value(t, c.Metrics, "apiserver_longrunning_requests"); during != 1 || after != 0 {
		t.Errorf("apiserver_longrunning_requests is %v during a watch and %v after it, want 1 and 0", during, after)
	}
}

func TestClientsCannotGrowTheRegistry(t *testing.T) {
	c := config()
	series := func() int {
		families, err := c.Metrics.Gatherer().Gather()
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, f := range families {
			n += len(f.Metric)
		}
		return n
	}
	invent := func(i int) {
		for _, target := range []string{"/apis/g%d/v/r/x", "/apis/g/v%d/r", "/api/v1/r%d?watch=1", "/api/v1/r/x/s%d", "/path%d", "/api/v1/r/x?dryRun=%d"} {
			ask(t, http.NotFoundHandler(), c, "GET", fmt.Sprintf(target, i))
			ask(t, http.NotFoundHandler(), c, fmt.Sprint("M", i), fmt.Sprintf(target, i))
		}
	}
	invent(0)
	before := series()
	for i := range 50 {
		invent(i)
	}
	if after := series(); after != before {
		t.Errorf("requests for invented names made %d series of %d", after, before)
	}
}
