package metrics_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"k8s.io/apimachinery/pkg/version"

	"github.com/portico-api/portico/metrics"
)

// observe uses every method of every instrument once.
func observe(m *metrics.Metrics) {
	known := metrics.Call{Verb: metrics.Get, Scope: metrics.ResourceScope, Version: "v1", Resource: "configmaps", Known: true}
	m.SetBuildInfo(version.Info{Major: "1", Minor: "36", GitVersion: "v1.36.0"})
	m.Requests.Done(known, metrics.Outcome{Code: 200, Took: time.Millisecond, Size: 100})
	m.Requests.Done(metrics.Call{Verb: metrics.Post, Version: "v1", Resource: "configmaps"}, metrics.Outcome{Code: 201})
	m.Requests.LongRunning(known)()
	m.Requests.Terminated(known, 429)
	m.Requests.Aborted(known)
	m.Requests.Self(known)
	m.Requests.TLSHandshakeError()
	m.Requests.Filter("authentication", time.Microsecond)
	m.Requests.PostTimeout("timeout-handler", "ok")
	m.Requests.WatchEvents("", "v1", "configmaps")(100)
	m.Requests.FieldValidation("Strict", time.Second)
	m.Requests.Enter(metrics.ReadOnly, time.Now())
	m.Requests.Leave(metrics.ReadOnly)
	m.Storage.ObserveRequest("get", "", "configmaps", time.Millisecond, errors.New("no"))
	m.Storage.EventReceived("", "configmaps")
	m.Storage.EventDispatched("", "configmaps")
	m.Storage.SetCacheRevision("", "configmaps", 7)
	m.Storage.SetObjects("", "configmaps", 3)
	m.Storage.SetObjectBytes("", "configmaps", 300)
	m.Storage.Initialized("", "configmaps")
	m.Storage.WatchersTerminated("", "configmaps")
	m.Storage.InitialEvents("", "configmaps", 4)
	m.Requests.Deprecated(known, "1.40")
	m.OpenAPI.Made(metrics.DocumentUpdated, time.Second)
	m.BackendPeers.Failed(nil)
	m.WebhookPeers.Failed(nil)
	m.Storage.SetCapacity("", "configmaps", 100)
	m.Storage.ConsistentRead("", "configmaps", time.Millisecond, true)
	m.Storage.DecodeError("", "configmaps")
	m.Storage.SetSize(1 << 20)
	m.Aggregator.SetUnavailable("v1.g", "MissingEndpoints", true)
	m.Aggregator.DiscoveryAggregated()
	m.Aggregator.ProxyTerminated("get", "g", "v1", 503)
	m.Authentication.Observe(metrics.Success, time.Microsecond)
	m.Authentication.User("system:apiserver")
	m.Authentication.CertificateExpiration(time.Hour)
	m.Authentication.TokenCache(true, nil, 0)
	m.Authentication.TokenCache(false, errors.New("no"), time.Millisecond)
	m.Authorization.Observe(metrics.Allowed, time.Microsecond)
	m.Authorization.Decided("RBAC", "rbac", metrics.Allowed)
	m.Health.Observe("etcd", "readyz", true)
	m.Requests.WatchList("", "v1", "configmaps", metrics.ClusterScope, time.Second)
	m.Requests.Impersonation(metrics.Denied, time.Microsecond)
	m.Storage.Listed("", "configmaps", 5, 3)
	m.Units.Answered("core", 200)
	m.Certificates.Show("serving", func() time.Time { return time.Unix(1e9, 0) })
	m.Admission.Step("admit", "CREATE", false, time.Millisecond)
	m.Admission.Webhook("w", "admit", "CREATE", true, 200, time.Millisecond)
	if m.Workqueues != nil {
		m.Workqueues.NewDepthMetric("q").Inc()
		m.Workqueues.NewLatencyMetric("q").Observe(1)
	}
}

func TestMetricsOfTheContractAreThere(t *testing.T) {
	m := metrics.New()
	observe(m)
	page := get(t, m.Handler(), "/metrics")
	for _, want := range []string{
		`apiserver_request_total{code="200",component="apiserver",dry_run="",group="",resource="configmaps",scope="resource",subresource="",verb="GET",version="v1"} 1`,
		`apiserver_request_duration_seconds_bucket{component="apiserver",dry_run="",group="",resource="configmaps",scope="resource",subresource="",verb="GET",version="v1",le="0.005"} 1`,
		`apiserver_request_sli_duration_seconds_bucket{component="apiserver",group="",resource="configmaps",scope="resource",subresource="",verb="GET",version="v1",le="0.05"} 1`,
		`apiserver_response_sizes_bucket{component="apiserver",group="",resource="configmaps",scope="resource",subresource="",verb="GET",version="v1",le="1e+09"} 1`,
		`apiserver_request_body_size_bytes_bucket{group="",resource="configmaps",verb="POST",le="3.05e+06"} 1`,
		`apiserver_request_terminations_total{code="429",component="apiserver",`,
		`apiserver_request_terminations_total{code="503",component="aggregator",group="g",`,
		`apiserver_current_inflight_requests{request_kind="mutating"} 0`,
		`apiserver_current_inflight_requests{request_kind="readOnly"} 1`,
		`apiserver_request_filter_duration_seconds_bucket{filter="authentication",le="0.0001"} 1`,
		`apiserver_watch_events_total{group="",resource="configmaps",version="v1"} 1`,
		`apiserver_tls_handshake_errors_total 1`,
		`etcd_request_duration_seconds_count{group="",operation="get",resource="configmaps"} 1`,
		`etcd_request_errors_total{group="",operation="get",resource="configmaps"} 1`,
		`apiserver_resource_objects{group="",resource="configmaps"} 3`,
		`apiserver_storage_objects{resource="configmaps"} 3`,
		`apiserver_watch_cache_resource_version{group="",resource="configmaps"} 7`,
		`aggregator_unavailable_apiservice{name="v1.g"} 1`,
		`aggregator_unavailable_apiservice_total{name="v1.g",reason="MissingEndpoints"} 1`,
		`authenticated_user_requests{username="system:apiserver"} 1`,
		`apiserver_requested_deprecated_apis{group="",removed_release="1.40",resource="configmaps",subresource="",version="v1"} 1`,
		`aggregator_openapi_v2_regeneration_count{apiservice="k8s_internal_local_delegation_chain",reason="update"} 1`,
		`aggregator_openapi_v2_regeneration_duration{reason="update"} 1`,
		`apiserver_kube_aggregator_x509_missing_san_total 0`, `apiserver_kube_aggregator_x509_insecure_sha1_total 0`,
		`apiserver_webhooks_x509_missing_san_total 0`, `apiserver_webhooks_x509_insecure_sha1_total 0`,
		`apiserver_init_events_total{group="",resource="configmaps"} 4`,
		`authorization_attempts_total{result="allowed"} 1`,
		`apiserver_client_certificate_expiration_seconds_bucket{le="3600"} 1`,
		`apiserver_watch_list_duration_seconds_bucket{group="",resource="configmaps",scope="cluster",version="v1",le="0.05"} 0`,
		`apiserver_impersonation_attempts_total{decision="denied",mode="legacy"} 1`,
		`apiserver_storage_list_fetched_objects_total{group="",resource="configmaps"} 5`,
		`apiserver_storage_list_returned_objects_total{group="",resource="configmaps"} 3`,
		`authentication_token_cache_request_total{status="hit"} 1`,
		`authentication_token_cache_fetch_total{status="error"} 1`,
		`authentication_token_cache_request_duration_seconds_count{status="miss"} 1`,
		`portico_unit_requests_total{code="200",unit="core"} 1`,
		`portico_certificate_expiration_timestamp_seconds{certificate="serving"} 1e+09`,
		`workqueue_depth{name="q"} 1`,
		`workqueue_queue_duration_seconds_sum{name="q"} 1`,
		`kubernetes_build_info{`,
		`go_goroutines `, `process_cpu_seconds_total `, `process_start_time_seconds `, `process_resident_memory_bytes `,
	} {
		if !strings.Contains(page, want) {
			t.Errorf("/metrics lacks %s", want)
		}
	}
	if strings.Contains(page, "kubernetes_healthcheck") {
		t.Error("/metrics shows health checks, which belong on /metrics/slis")
	}
	slis := get(t, m.SLIHandler(), "/metrics/slis")
	for _, want := range []string{`kubernetes_healthcheck{name="etcd",type="readyz"} 1`, `kubernetes_healthchecks_total{name="etcd",status="success",type="readyz"} 1`, "process_start_time_seconds "} {
		if !strings.Contains(slis, want) {
			t.Errorf("/metrics/slis lacks %s", want)
		}
	}
}

func TestEveryHelpTextTellsItsStability(t *testing.T) {
	m := metrics.New()
	observe(m)
	families, err := m.Gatherer().Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if name := f.GetName(); strings.HasPrefix(name, "go_") || strings.HasPrefix(name, "process_") {
			continue
		}
		if help := f.GetHelp(); !strings.HasPrefix(help, "[ALPHA] ") && !strings.HasPrefix(help, "[BETA] ") && !strings.HasPrefix(help, "[STABLE] ") {
			t.Errorf("%s: help %q tells no stability", f.GetName(), help)
		}
	}
}

func TestMetricsPassTheLinterButForInheritedNames(t *testing.T) {
	m := metrics.New()
	observe(m)
	problems, err := testutil.GatherAndLint(m.Gatherer())
	if err != nil {
		t.Fatal(err)
	}
	// Alerts and dashboards know these names; they stay.
	inherited := map[string]bool{"authenticated_user_requests": true, "authentication_attempts": true, "apiserver_storage_objects": true, "aggregator_openapi_v2_regeneration_count": true, "apiserver_admission_step_admission_duration_seconds_summary": true}
	for _, p := range problems {
		if !inherited[p.Metric] {
			t.Error(problem(p))
		}
	}
}

func problem(p promlint.Problem) string { return p.Metric + ": " + p.Text }

func TestInstrumentsMayBeNil(t *testing.T) {
	observe(&metrics.Metrics{})
	(&metrics.Metrics{}).Aggregator.SetUnavailable("x", "", false)
	(&metrics.Metrics{}).Aggregator.Forget("x")
}

func TestEveryMethodIsSafeOnNil(t *testing.T) {
	for _, nobody := range []any{(*metrics.Requests)(nil), (*metrics.Storage)(nil), (*metrics.Aggregator)(nil), (*metrics.Authentication)(nil), (*metrics.Authorization)(nil), (*metrics.Health)(nil), (*metrics.OpenAPI)(nil), (*metrics.Peers)(nil)} {
		v := reflect.ValueOf(nobody)
		for i := range v.NumMethod() {
			method := v.Method(i)
			args := make([]reflect.Value, method.Type().NumIn())
			for j := range args {
				args[j] = reflect.Zero(method.Type().In(j))
			}
			method.Call(args)
		}
	}
}

func TestTwoServersHaveTheirOwnMetrics(t *testing.T) {
	a, b := metrics.New(), metrics.New()
	a.Requests.TLSHandshakeError()
	if page := get(t, b.Handler(), "/metrics"); !strings.Contains(page, "apiserver_tls_handshake_errors_total 0") {
		t.Error("what one server counts is shown by another")
	}
}

func TestUnknownResourcesShareSeries(t *testing.T) {
	m := metrics.New()
	for i := range 100 {
		m.Requests.Done(metrics.Call{Verb: metrics.Get, Group: fmt.Sprint(i), Resource: fmt.Sprint(i)}, metrics.Outcome{Code: 404})
	}
	page := get(t, m.Handler(), "/metrics")
	if got := strings.Count(page, "apiserver_request_total{"); got != 1 {
		t.Errorf("100 unknown resources have %d series, want 1", got)
	}
	m.Requests.Done(metrics.Call{Verb: metrics.Get, Group: "g", Resource: "r", Known: true}, metrics.Outcome{Code: 200})
	m.Requests.Done(metrics.Call{Verb: metrics.Get, Group: "g", Resource: "r"}, metrics.Outcome{Code: 403})
	if page := get(t, m.Handler(), "/metrics"); !strings.Contains(page, `code="403",component="apiserver",dry_run="",group="g"`) {
		t.Error("a refusal is not counted for a resource that is known")
	}
}

func TestUserNamesAreBounded(t *testing.T) {
	m := metrics.New()
	for i := range 1000 {
		for _, name := range []string{"user%d", "jane%d@example.com", "system:custom%d", "system:serviceaccount:ns:robot%d", "system:node:n%d"} {
			m.Authentication.User(fmt.Sprintf(name, i))
		}
	}
	if got := strings.Count(get(t, m.Handler(), "/metrics"), "authenticated_user_requests{"); got > 66 {
		t.Errorf("5000 users have %d series", got)
	}
}

func TestCodesOfWebhooksAreBounded(t *testing.T) {
	m := metrics.New()
	for code := -5000; code < 5000; code++ {
		m.Admission.Webhook("w", "admit", "CREATE", true, code, 0)
	}
	// 0 for one that was not reached, 500 codes of HTTP, one for those below, and one for those above.
	if got := strings.Count(get(t, m.Handler(), "/metrics"), "apiserver_admission_webhook_request_total{"); got > 503 {
		t.Errorf("a webhook that invents codes has %d series", got)
	}
}

func TestForgottenAPIServicesDisappear(t *testing.T) {
	m := metrics.New()
	m.Aggregator.SetUnavailable("v1.g", "FailedDiscoveryCheck", true)
	m.Aggregator.Forget("v1.g")
	if page := get(t, m.Handler(), "/metrics"); strings.Contains(page, `"v1.g"`) {
		t.Error("an APIService that is no more still has series")
	}
}

func TestOpenMetricsAndCompression(t *testing.T) {
	r := httptest.NewRequest(http.MethodGet, "/metrics", nil)
	r.Header.Set("Accept", "application/openmetrics-text;version=1.0.0")
	r.Header.Set("Accept-Encoding", "gzip")
	w := httptest.NewRecorder()
	metrics.New().Handler().ServeHTTP(w, r)
	if ct := w.Header().Get("Content-Type"); !strings.HasPrefix(ct, "application/openmetrics-text") || w.Header().Get("Content-Encoding") != "gzip" {
		t.Errorf("got %s %s, want compressed OpenMetrics", ct, w.Header().Get("Content-Encoding"))
	}
}

func TestTracedRequestsAreExemplarsInOpenMetricsOnly(t *testing.T) {
	m := metrics.New()
	m.Requests.Done(metrics.Call{Verb: metrics.Get, Version: "v1", Resource: "configmaps", Known: true}, metrics.Outcome{Code: 200, Took: time.Millisecond, TraceID: "0af7651916cd43dd8448eb211c80319c"})
	m.Requests.Done(metrics.Call{Verb: metrics.Get, Version: "v1", Resource: "secrets", Known: true}, metrics.Outcome{Code: 200, Took: time.Millisecond})
	r := httptest.NewRequest(http.MethodGet, "/metrics", nil)
	r.Header.Set("Accept", "application/openmetrics-text;version=1.0.0")
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, r)
	var with []string
	for line := range strings.Lines(w.Body.String()) {
		if strings.Contains(line, `# {trace_id="0af7651916cd43dd8448eb211c80319c"}`) {
			name, _, _ := strings.Cut(line, "{")
			with = append(with, name)
			if !strings.Contains(line, `resource="configmaps"`) {
				t.Errorf("an exemplar of a request that was not traced: %s", line)
			}
		}
	}
	slices.Sort(with)
	if want := []string{"apiserver_request_duration_seconds_bucket", "apiserver_request_sli_duration_seconds_bucket"}; !slices.Equal(with, want) {
		t.Errorf("exemplars of %q, want of %q", with, want)
	}
	if page := get(t, m.Handler(), "/metrics"); strings.Contains(page, "trace_id") {
		t.Error("text that is no OpenMetrics has exemplars")
	}
}

func TestObserversMayRace(t *testing.T) {
	m := metrics.New()
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			for j := range 200 {
				m.Requests.Done(metrics.Call{Verb: metrics.Get, Resource: fmt.Sprint("r", j%10), Known: true}, metrics.Outcome{Code: 200 + i})
				m.Requests.Enter(metrics.Mutating, time.Now())
				m.Requests.Leave(metrics.Mutating)
			}
		})
	}
	group.Wait()
	page := get(t, m.Handler(), "/metrics")
	if !strings.Contains(page, `apiserver_request_total{code="200",component="apiserver",dry_run="",group="",resource="r0",scope="",subresource="",verb="GET",version=""} 20`) {
		t.Error("racing observers lost a request")
	}
}

func get(t *testing.T, h http.Handler, path string) string {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
	if w.Code != 200 {
		t.Fatalf("GET %s = %d %s", path, w.Code, w.Body)
	}
	return w.Body.String()
}
