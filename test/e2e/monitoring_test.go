package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/yaml"
)

// blindWebhooks are two that cannot be reached: one must be asked, the other should.
const blindWebhooks = `
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {name: blind}
webhooks:
- name: must.example.com
  admissionReviewVersions: [v1]
  sideEffects: None
  failurePolicy: Fail
  clientConfig: {url: "https://%[1]s/"}
  objectSelector: {matchLabels: {must: be-seen}}
  rules: [{apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [configmaps]}]
- name: should.example.com
  admissionReviewVersions: [v1]
  sideEffects: None
  failurePolicy: Ignore
  clientConfig: {url: "https://%[1]s/"}
  objectSelector: {matchLabels: {should: be-seen}}
  rules: [{apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [configmaps]}]
`

const wardleService = "v1alpha1.wardle.example.com"

// The third way people use Portico is to scrape it, with what they have for kube-apiserver.
func TestARealPrometheusWatchesTheHouse(t *testing.T) {
	t.Parallel()
	program(t, "prometheus")
	p := startPortico(t)
	sample := startSampleAPIServer(t, p.kubeconfig)
	p.kubectl(t, "apply", "-f", wardleManifests(t, sample.port))
	p.kubectl(t, "wait", "--for=condition=Available", "--timeout=60s", "apiservice/"+wardleService)
	token := p.monitoringToken(t)
	dir := monitoringOf(t, p, "prometheus.yml")
	if err := os.WriteFile(filepath.Join(dir, "prometheus.token"), []byte(token), 0o600); err != nil {
		t.Fatal(err)
	}
	q := startPrometheus(t, dir)
	p.kubectlIn(t, fmt.Sprintf(blindWebhooks, loopback(freePort(t))), "apply", "-f", "-")
	watch := start(t, t.TempDir(), kubectlBinary, "--kubeconfig", p.kubeconfig, "get", "configmaps", "-A", "-w")

	promtoolChecksTheMetrics(t, p)
	aDeadBackendRaisesAnAlert(t, p, q, sample)
	everyRuleEvaluates(t, q)
	queriesFindSomething(t, p, q)
	watch.kill()
}

// traffic is a little of everything that people do.
func traffic(t *testing.T, p *portico, round int) {
	t.Helper()
	name := fmt.Sprint("c", round)
	p.kubectl(t, "create", "configmap", name)
	p.kubectl(t, "label", "configmap", name, "a=b")
	p.kubectl(t, "get", "configmaps", "-A")
	p.kubectl(t, "get", "configmaps")
	p.kubectl(t, "get", "configmap", name)
	p.kubectl(t, "delete", "configmap", name)
	p.kubectlIn(t, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: seen, labels: {should: be-seen}}", "apply", "-f", "-")
	p.kubectl(t, "delete", "configmap", "seen")
	if _, _, err := p.tryKubectl(t, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: unseen, labels: {must: be-seen}}", "apply", "-f", "-"); err == nil {
		t.Error("a webhook that must be asked was not")
	}
	p.get(t, "/apis/wardle.example.com/v1alpha1/namespaces/default/flunders")
	p.get(t, "/readyz")
}

func promtoolChecksTheMetrics(t *testing.T, p *portico) {
	t.Helper()
	for _, path := range []string{"/metrics", "/metrics/slis"} {
		_, page := p.get(t, path)
		check := exec.Command(program(t, "promtool"), "check", "metrics")
		check.Stdin = strings.NewReader(page)
		out, err := check.CombinedOutput()
		if _, problems := err.(*exec.ExitError); err != nil && !problems {
			t.Fatal(err)
		}
		// Names that dashboards know; they stay.
		inherited := []string{"aggregator_openapi_v2_regeneration_count", "apiserver_admission_step_admission_duration_seconds_summary", "authenticated_user_requests", "authentication_attempts"}
		for line := range strings.Lines(string(out)) {
			if name, _, _ := strings.Cut(line, " "); !slices.Contains(inherited, name) {
				t.Errorf("promtool check metrics on %s: %s", path, line)
			}
		}
	}
}

// aDeadBackendRaisesAnAlert kills a backend until somebody is told, and starts it again until nobody is any more.
func aDeadBackendRaisesAnAlert(t *testing.T, p *portico, q *prometheus, sample *sampleAPIServer) {
	t.Helper()
	for round := range 2 {
		traffic(t, p, round)
	}
	if state := q.alert(t, "PorticoBackendDown", "name", wardleService); state != "" {
		t.Errorf("the alert for a backend that is up is %s", state)
	}
	sample.kill()
	round := 10
	eventually(t, "the alert for the dead backend fires", func() bool {
		traffic(t, p, round)
		round++
		return q.alert(t, "PorticoBackendDown", "name", wardleService) == "firing"
	})
	sample.start(t)
	eventually(t, "the alert is over", func() bool { return q.alert(t, "PorticoBackendDown", "name", wardleService) == "" })
}

func everyRuleEvaluates(t *testing.T, q *prometheus) {
	t.Helper()
	var answer struct {
		Groups []struct {
			Name  string
			Rules []struct{ Name, Health, LastError string }
		}
	}
	eventually(t, "every rule was evaluated", func() bool {
		if err := q.ask("rules", nil, &answer); err != nil {
			t.Fatal(err)
		}
		for _, group := range answer.Groups {
			for _, rule := range group.Rules {
				if rule.Health == "unknown" {
					return false
				}
			}
		}
		return len(answer.Groups) > 1
	})
	for _, group := range answer.Groups {
		for _, rule := range group.Rules {
			if rule.Health != "ok" {
				t.Errorf("rule %s of %s is %s: %s", rule.Name, group.Name, rule.Health, rule.LastError)
			}
		}
	}
}

// A selector has braces in all our queries, so that a name is known by them.
var selector = regexp.MustCompile(`([a-zA-Z_:][a-zA-Z0-9_:]*)\{`)

func queriesFindSomething(t *testing.T, p *portico, q *prometheus) {
	t.Helper()
	var names []string
	if err := q.ask("label/__name__/values", nil, &names); err != nil {
		t.Fatal(err)
	}
	queries := slices.Concat(dashboardQueries(t), ruleQueries(t), wellKnownQueries(t))
	if len(queries) < 100 {
		t.Errorf("only %d queries are tested", len(queries))
	}
	var unmet []namedQuery
	for _, query := range queries {
		found := selector.FindAllStringSubmatch(query.expr, -1)
		if len(found) == 0 && !strings.Contains(query.expr, ":") {
			t.Errorf("%s: no metric in %s", query.of, query.expr)
		}
		for _, name := range found {
			if !slices.Contains(names, name[1]) {
				t.Errorf("%s: nothing is called %s", query.of, name[1])
			}
		}
		if query.mustFind {
			unmet = append(unmet, query)
		}
	}
	for deadline, round := time.Now().Add(patience), 0; len(unmet) > 0 && time.Now().Before(deadline); round++ {
		traffic(t, p, 100+round)
		unmet = slices.DeleteFunc(unmet, func(query namedQuery) bool { return len(q.query(t, query.expr)) > 0 })
	}
	for _, query := range unmet {
		t.Errorf("%s finds nothing: %s", query.of, query.expr)
	}
}

// namedQuery is an expression and who asks it.
type namedQuery struct {
	of, expr string
	mustFind bool
}

func dashboardQueries(t *testing.T) []namedQuery {
	t.Helper()
	data, err := os.ReadFile("../../deploy/grafana/portico.json")
	if err != nil {
		t.Fatal(err)
	}
	var board struct {
		Panels []struct {
			Title, Type string
			Targets     []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(data, &board); err != nil {
		t.Fatal(err)
	}
	var queries []namedQuery
	for _, panel := range board.Panels {
		if panel.Type != "row" && len(panel.Targets) == 0 {
			t.Errorf("the panel %q shows nothing", panel.Title)
		}
		for _, target := range panel.Targets {
			expr := strings.ReplaceAll(target.Expr, "$instance", ".*")
			// What is empty while all is well is looked for by name only.
			queries = append(queries, namedQuery{"panel " + panel.Title, expr, !strings.Contains(expr, "5..") && !strings.Contains(expr, "== 0")})
		}
	}
	return queries
}

func ruleQueries(t *testing.T) []namedQuery {
	t.Helper()
	var queries []namedQuery
	for _, file := range []string{"alerts.yml", "recording.yml"} {
		data, err := os.ReadFile(filepath.Join("../../deploy/prometheus/rules", file))
		if err != nil {
			t.Fatal(err)
		}
		var rules struct {
			Groups []struct {
				Rules []struct{ Alert, Record, Expr string }
			}
		}
		if err := yaml.Unmarshal(data, &rules); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		for _, group := range rules.Groups {
			for _, rule := range group.Rules {
				queries = append(queries, namedQuery{rule.Alert + rule.Record, rule.Expr, rule.Record != "" && !strings.Contains(rule.Record, "errors")})
			}
		}
	}
	return queries
}

func wellKnownQueries(t *testing.T) []namedQuery {
	t.Helper()
	data, err := os.ReadFile("testdata/queries/wellknown.txt")
	if err != nil {
		t.Fatal(err)
	}
	var queries []namedQuery
	for line := range strings.Lines(string(data)) {
		of, expr, ok := strings.Cut(strings.TrimSpace(line), ": ")
		if !ok || strings.HasPrefix(line, "#") {
			continue
		}
		queries = append(queries, namedQuery{of, expr, true})
	}
	return queries
}

// What the alerts say is tested without a server.
func TestTheAlertsSayWhatTheyShould(t *testing.T) {
	t.Parallel()
	promtool := program(t, "promtool")
	for _, args := range [][]string{
		{"test", "rules", "../../deploy/prometheus/tests/alerts.yml"},
		{"check", "rules", "../../deploy/prometheus/rules/alerts.yml", "../../deploy/prometheus/rules/recording.yml"},
		{"check", "config", "--syntax-only", "../../deploy/prometheus/prometheus.yml", "../../deploy/prometheus/prometheus-clientcert.yml"},
	} {
		if out, err := exec.Command(promtool, args...).CombinedOutput(); err != nil {
			t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
}

func TestEveryAlertIsTestedAndExplained(t *testing.T) {
	for _, file := range []string{"../../deploy/prometheus/tests/alerts.yml", "../../docs/monitoring.md"} {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, rule := range ruleQueries(t) {
			if strings.HasPrefix(rule.of, "Portico") && !regexp.MustCompile(`\b`+rule.of+`\b`).Match(text) {
				t.Errorf("%s says nothing of %s", file, rule.of)
			}
		}
	}
}
