package e2e

import (
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"
)

// ask sends a request without a client certificate, with a bearer token if there is one.
func (p *portico) ask(t *testing.T, method, path, token, body string, header ...string) (code int, answer string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, p.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	response, err := p.clientWith(t, nil).Do(r)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	return response.StatusCode, string(text)
}

// monitoringToken is the token of a service account that may look at the server as Prometheus does.
func (p *portico) monitoringToken(t *testing.T) string {
	t.Helper()
	p.kubectl(t, "-n", "kube-system", "create", "serviceaccount", "prometheus")
	p.kubectl(t, "create", "clusterrolebinding", "prometheus", "--clusterrole=system:monitoring", "--serviceaccount=kube-system:prometheus")
	return strings.TrimSpace(p.kubectl(t, "-n", "kube-system", "create", "token", "prometheus"))
}

func TestWhoMayLookInside(t *testing.T) {
	p := startPortico(t)
	monitor := p.monitoringToken(t)
	p.kubectl(t, "create", "serviceaccount", "nobody")
	nobody := strings.TrimSpace(p.kubectl(t, "create", "token", "nobody"))
	for _, c := range []struct {
		path                        string
		anonymous, account, monitor int
	}{
		{"/healthz", 200, 200, 200},
		{"/livez", 200, 200, 200},
		{"/readyz?verbose", 200, 200, 200},
		{"/readyz/etcd", 401, 403, 200},
		{"/metrics", 401, 403, 200},
		{"/metrics/slis", 401, 403, 200},
		{"/statusz", 401, 403, 200},
		{"/flagz", 401, 403, 200},
		{"/debug/pprof/", 401, 403, 403},
		{"/debug/pprof/goroutine?debug=1", 401, 403, 403},
		{"/debug/flags/v", 401, 403, 403},
	} {
		for who, want := range map[string]struct {
			token string
			code  int
		}{"anonymous": {"", c.anonymous}, "a service account": {nobody, c.account}, "system:monitoring": {monitor, c.monitor}} {
			if code, body := p.ask(t, "GET", c.path, want.token, ""); code != want.code {
				t.Errorf("GET %s by %s: got %d, want %d: %.200s", c.path, who, code, want.code, body)
			}
		}
		if code, _ := p.get(t, c.path); code != 200 && c.path != "/debug/flags/v" {
			t.Errorf("GET %s by the administrator: got %d", c.path, code)
		}
	}
	// A profile lasts as long as was asked for.
	if code, _ := p.get(t, "/debug/pprof/profile?seconds=1"); code != 200 {
		t.Errorf("a profile: got %d", code)
	}
	if _, slis := p.ask(t, "GET", "/metrics/slis", monitor, ""); !strings.Contains(slis, `kubernetes_healthcheck{name="etcd",type="readyz"} 1`) {
		t.Errorf("/metrics/slis has no outcome of etcd: %s", slis)
	}
}

func TestTheLogLevelChangesWhileTheServerRuns(t *testing.T) {
	p := startPortico(t, "--logging-format=json")
	p.kubectl(t, "get", "--raw", "/version?before")
	put := func(level string) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPut, p.url+"/debug/flags/v", strings.NewReader(level))
		if err != nil {
			t.Fatal(err)
		}
		response, err := p.client(t).Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		if response.StatusCode != http.StatusOK {
			t.Fatalf("setting the log level to %q: got %d", level, response.StatusCode)
		}
	}
	put("3")
	p.kubectl(t, "get", "--raw", "/version?during")
	put("0")
	p.kubectl(t, "get", "--raw", "/version?after")
	eventually(t, "the request is logged", func() bool { return strings.Contains(p.output.String(), "?during") })
	for line := range strings.Lines(p.output.String()) {
		if !strings.HasPrefix(line, "{") {
			continue // what the start says to a person
		}
		var entry struct {
			Msg, Caller, URI string
			AuditID          string `json:"audit-ID"`
			Resp             int
		}
		if err := json.Unmarshal([]byte(line), &entry); err != nil || entry.Msg == "" || entry.Caller == "" {
			t.Errorf("no log entry (%v): %s", err, line)
		}
		if strings.Contains(entry.URI, "version") && (!strings.HasPrefix(entry.URI, "/version?during") || entry.AuditID == "" || entry.Resp != 200) {
			t.Errorf("want only the request during the level, with its audit ID and code: %s", line)
		}
	}
}

// ownWork are series that come with what the server does by itself meanwhile, such as renewing its lease; and users, of whom there may be some.
var ownWork = regexp.MustCompile(`^(etcd_|workqueue_|apiserver_watch_cache_|apiserver_storage_|apiserver_resource_|authenticated_user_requests)`)

// A client may ask for whatever it likes: what it invents does not become series.
func TestAHostileClientCannotGrowTheMetrics(t *testing.T) {
	p := startPortico(t)
	p.kubectl(t, "apply", "-f", "../../deploy/examples/crontab/definition.yaml")
	p.untilKubectl(t, "True", "get", "crd", "crontabs.stable.example.com", "-o", `jsonpath={.status.conditions[?(@.type=="Established")].status}`)
	sample := startSampleAPIServer(t, p.kubeconfig)
	p.kubectl(t, "apply", "-f", wardleManifests(t, sample.port))
	p.kubectl(t, "wait", "--for=condition=Available", "--timeout=60s", "apiservice/"+wardleService)
	client := p.client(t)
	invent := func(i int) {
		for _, path := range []string{
			"/apis/invented%d.example.com/v1/things", "/apis/apps/v%d/deployments", "/api/v1/invented%d", "/api/v1/namespaces/n%d/configmaps/x/invented",
			"/api/v1/configmaps?fieldValidation=i%d", "/api/v1/namespaces/default/configmaps/x/sub%d", "/apis/stable.example.com/v1/namespaces/default/crontabs/x/sub%d",
			"/apis/stable.example.com/v%d/crontabs", "/apis/stable.example.com/v1/invented%d", "/invented/%d", "/healthz/invented%d",
			// What is behind the proxy, too: the server there decides, and what it does not know is nobody's.
			"/apis/wardle.example.com/v1alpha1/invented%d", "/apis/wardle.example.com/v1alpha1/namespaces/n%d/flunders/x:verb", "/apis/wardle.example.com/v1alpha1/namespaces/default/flunders/x/sub%d",
			"/apis/wardle.example.com/v1alpha1/namespaces/default/flunders/x:verb%d", "/apis/wardle.example.com/v1alpha1/flunders?watch=1&timeoutSeconds=0&resourceVersion=i%d", "/apis/wardle.example.com/v%d/flunders",
			"/apis/wardle.example.com/v1alpha1/flunders?dryRun=i%d", "/apis/wardle.example.com%%2fi%d/v1alpha1/flunders", "/apis/wardle.example.com/v1alpha1/../../i%d",
			"/api/v1/watch/invented%d", "/api/v1/proxy/invented%d", "/apis/apiregistration.k8s.io/v1/apiservices/v1.i%d",
		} {
			for _, method := range []string{"GET", "POST", "DELETE", fmt.Sprint("INVENT", i)} {
				r, err := http.NewRequestWithContext(t.Context(), method, p.url+fmt.Sprintf(path, i), nil)
				if err != nil {
					t.Fatal(err)
				}
				r.Header.Set("User-Agent", fmt.Sprint("agent", i))
				r.Header.Set("Audit-Id", fmt.Sprint("id", i))
				r.Header.Set("Impersonate-User", fmt.Sprintf("system:invented:%d", i))
				response, err := client.Do(r)
				if err != nil {
					t.Fatal(err)
				}
				io.Copy(io.Discard, response.Body)
				response.Body.Close()
			}
		}
	}
	series := func() map[string]bool {
		_, page := p.get(t, "/metrics")
		names := map[string]bool{}
		for line := range strings.Lines(page) {
			if name, _, ok := strings.Cut(line, "} "); ok && !strings.HasPrefix(line, "#") && !ownWork.MatchString(name) {
				names[name] = true
			}
		}
		return names
	}
	invent(0)
	eventually(t, "the garbage collector has read what there is of the definition", func() bool {
		_, page := p.get(t, "/metrics")
		return strings.Contains(page, `apiserver_init_events_total{group="stable.example.com"`)
	})
	series() // counts itself from the second time on
	before := series()
	for i := 1; i <= 40; i++ {
		invent(i)
	}
	if code, text := p.get(t, "/metrics"); code != 200 || strings.Count(text, "authenticated_user_requests{") > 66 {
		t.Errorf("/metrics has %d series of users", strings.Count(text, "authenticated_user_requests{"))
	}
	grown := 0
	for name := range series() {
		if !before[name] && !strings.Contains(name, "le=") {
			if grown++; grown <= 10 {
				t.Errorf("a client that invents things made the series %s}", name)
			}
		}
	}
}

func TestMetricsComeAsTheClientWantsThem(t *testing.T) {
	p := startPortico(t)
	monitor := p.monitoringToken(t)
	for _, path := range []string{"/metrics", "/metrics/slis"} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.url+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+monitor)
		r.Header.Set("Accept", "application/openmetrics-text;version=1.0.0")
		r.Header.Set("Accept-Encoding", "gzip")
		response, err := p.clientWith(t, nil).Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		if response.Header.Get("Content-Encoding") != "gzip" || !strings.HasPrefix(response.Header.Get("Content-Type"), "application/openmetrics-text") {
			t.Fatalf("GET %s: %v, want OpenMetrics, compressed", path, response.Header)
		}
		z, err := gzip.NewReader(response.Body)
		if err != nil {
			t.Fatalf("GET %s: %v", path, err)
		}
		page, err := io.ReadAll(z)
		if err != nil || !strings.HasSuffix(string(page), "\n# EOF\n") {
			t.Errorf("GET %s: %v, ends %q", path, err, page[max(0, len(page)-40):])
		}
	}

	const created = `verb="POST"`
	p.kubectl(t, "create", "configmap", "counted")
	if _, page := p.get(t, "/metrics"); !strings.Contains(page, created) {
		t.Errorf("a create is not counted:\n%s", page)
	}
	if code, _ := p.ask(t, "DELETE", "/metrics", monitor, ""); code != 403 {
		t.Errorf("who may read metrics resets them: got %d, want 403", code)
	}
	if got := p.kubectl(t, "delete", "--raw", "/metrics"); got != "metrics reset\n" {
		t.Errorf("DELETE /metrics: got %q", got)
	}
	if _, page := p.get(t, "/metrics"); strings.Contains(page, created) || !strings.Contains(page, "\napiserver_resource_objects{") {
		t.Errorf("after a reset want no writes of clients, and what there is:\n%s", page)
	}
}

func TestWithoutProfilingTheMetricsCannotBeReset(t *testing.T) {
	p := startPortico(t, "--profiling=false")
	p.kubectl(t, "create", "configmap", "counted")
	p.tryKubectl(t, "", "delete", "--raw", "/metrics")
	if _, page := p.get(t, "/metrics"); !strings.Contains(page, `verb="POST"`) {
		t.Error("the counters are gone")
	}
}
