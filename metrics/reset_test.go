package metrics_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/portico-api/portico/metrics"
)

// lines are those of a page that begin with prefix.
func lines(page, prefix string) string {
	var found []string
	for line := range strings.Lines(page) {
		if strings.HasPrefix(line, prefix) {
			found = append(found, strings.TrimSpace(line))
		}
	}
	return strings.Join(found, "\n")
}

func TestDeleteHasCountersBeginAtZero(t *testing.T) {
	m := metrics.New()
	observe(m)
	m.Backend.Endpoint("v1.g", "10.0.0.1:443").Answered(200, time.Second)
	h := m.ResettableHandler()

	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodDelete, "/metrics", nil))
	if w.Code != http.StatusOK || w.Body.String() != "metrics reset\n" || w.Header().Get("Content-Type") != "text/plain; charset=utf-8" {
		t.Fatalf("DELETE /metrics = %d %q %v", w.Code, w.Body, w.Header())
	}
	page := get(t, h, "/metrics")
	for _, gone := range []string{"apiserver_request_total{", "apiserver_request_duration_seconds_", "apiserver_admission_step_admission_duration_seconds_summary", "authentication_attempts{", "portico_backend_requests_total{"} {
		if got := lines(page, gone); got != "" {
			t.Errorf("after a reset there is still\n%s", got)
		}
	}
	for _, stays := range []string{"apiserver_resource_objects{", "aggregator_unavailable_apiservice{", "portico_backend_inflight_requests{", "kubernetes_build_info{", "go_goroutines ", "process_cpu_seconds_total "} {
		if lines(page, stays) == "" {
			t.Errorf("a reset took %s away, which tells what is now", stays)
		}
	}

	// It goes on from zero, in what was bound before and in what was not.
	m.Requests.Done(metrics.Call{Verb: metrics.Get, Scope: metrics.ResourceScope, Version: "v1", Resource: "configmaps", Known: true}, metrics.Outcome{Code: 200, Took: 30 * time.Millisecond})
	m.Requests.Done(metrics.Call{Verb: metrics.Get, Scope: metrics.ResourceScope, Version: "v1", Resource: "secrets", Known: true}, metrics.Outcome{Code: 200})
	page = get(t, h, "/metrics")
	for _, want := range []string{
		`apiserver_request_total{code="200",component="apiserver",dry_run="",group="",resource="configmaps",scope="resource",subresource="",verb="GET",version="v1"} 1`,
		`apiserver_request_total{code="200",component="apiserver",dry_run="",group="",resource="secrets",scope="resource",subresource="",verb="GET",version="v1"} 1`,
		`apiserver_request_duration_seconds_bucket{component="apiserver",dry_run="",group="",resource="configmaps",scope="resource",subresource="",verb="GET",version="v1",le="0.025"} 0`,
		`apiserver_request_duration_seconds_bucket{component="apiserver",dry_run="",group="",resource="configmaps",scope="resource",subresource="",verb="GET",version="v1",le="0.05"} 1`,
		`apiserver_request_duration_seconds_count{component="apiserver",dry_run="",group="",resource="configmaps",scope="resource",subresource="",verb="GET",version="v1"} 1`,
	} {
		if !strings.Contains(page, want) {
			t.Errorf("after a reset /metrics lacks %s, has\n%s", want, lines(page, want[:strings.IndexByte(want, '{')]))
		}
	}
}

// A series that is removed and made again after a reset has counted from zero by itself.
func TestAResetDoesNotTakeFromSeriesThatAreNew(t *testing.T) {
	m := metrics.New()
	h := m.ResettableHandler()
	e := m.Backend.Endpoint("v1.g", "10.0.0.1:443")
	e.Answered(200, time.Second)
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodDelete, "/metrics", nil))
	e.Forget()
	again := m.Backend.Endpoint("v1.g", "10.0.0.1:443")
	for range 3 {
		again.Answered(200, time.Second)
	}
	want := `portico_backend_requests_total{apiservice="v1.g",code="200",endpoint="10.0.0.1:443"} 3`
	if page := get(t, h, "/metrics"); !strings.Contains(page, want) {
		t.Errorf("got %s, want %s", lines(page, "portico_backend_requests_total"), want)
	}
}

func TestWithoutProfilingNobodyResetsTheMetrics(t *testing.T) {
	m := metrics.New()
	observe(m)
	m.Handler().ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodDelete, "/metrics", nil))
	if page := get(t, m.Handler(), "/metrics"); !strings.Contains(page, "apiserver_request_total{") {
		t.Error("the counters are gone")
	}
}
