package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// prometheus is a real one that scrapes a front door as deploy/prometheus says.
type prometheus struct {
	*process
	url    string
	client http.Client
}

// program is a program of a package that may not be installed. Where everything must run, that is a failure.
func program(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if errors.Is(err, exec.ErrNotFound) && os.Getenv("PORTICO_NO_SKIP") == "" {
		t.Skipf("%s is not installed", name)
	}
	if err != nil {
		t.Fatal(err)
	}
	return path
}

var waiting = regexp.MustCompile(`(?m)^(\s+for:) .*$`)

// monitoringOf copies deploy/prometheus for a front door, with credentials. What takes minutes there takes seconds here.
func monitoringOf(t *testing.T, p *portico, config string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	const from = "../../deploy/prometheus"
	ca, err := os.ReadFile(p.pki("ca.crt"))
	if err != nil {
		t.Fatal(err)
	}
	scrape, err := os.ReadFile(filepath.Join(from, config))
	if err != nil {
		t.Fatal(err)
	}
	text := strings.NewReplacer("127.0.0.1:6443", strings.TrimPrefix(p.url, "https://"), "15s", "1s").Replace(string(scrape))
	files := map[string]string{"ca.crt": string(ca), "prometheus.yml": text}
	rules, err := filepath.Glob(filepath.Join(from, "rules", "*.yml"))
	if err != nil || len(rules) == 0 {
		t.Fatalf("no rules: %v", err)
	}
	for _, file := range rules {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		files[filepath.Join("rules", filepath.Base(file))] = waiting.ReplaceAllString(string(data), "$1 1s")
	}
	if err := os.Mkdir(filepath.Join(dir, "rules"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// startPrometheus starts it in a folder that monitoringOf has made and waits until it has scraped everything.
func startPrometheus(t *testing.T, dir string) *prometheus {
	t.Helper()
	address := loopback(freePort(t))
	q := &prometheus{url: "http://" + address}
	q.process = start(t, dir, program(t, "prometheus"), "--config.file", filepath.Join(dir, "prometheus.yml"), "--storage.tsdb.path", filepath.Join(dir, "data"),
		"--web.listen-address", address, "--log.level", "warn")
	var last string
	eventually(t, "every target is scraped", func() bool {
		if q.ended() {
			t.Fatalf("prometheus ended:\n%s", q.output)
		}
		var targets struct {
			ActiveTargets []struct{ Health, LastError, ScrapeURL string }
		}
		if err := q.ask("targets", nil, &targets); err != nil || len(targets.ActiveTargets) == 0 {
			return false
		}
		for _, target := range targets.ActiveTargets {
			if target.Health != "up" {
				if now := target.ScrapeURL + ": " + target.LastError; now != last {
					last = now
					t.Log(now)
				}
				return false
			}
		}
		return true
	})
	return q
}

// ask puts a question to its API.
func (q *prometheus) ask(what string, values url.Values, into any) error {
	response, err := q.client.Get(q.url + "/api/v1/" + what + "?" + values.Encode())
	if err != nil {
		return err
	}
	defer response.Body.Close()
	answer := struct {
		Status, Error string
		Data          any
	}{Data: into}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		return err
	}
	if answer.Status != "success" {
		return fmt.Errorf("%s: %s", answer.Status, answer.Error)
	}
	return nil
}

// sample is one series of an answer.
type sample struct {
	Metric map[string]string
	Value  [2]any
}

// query evaluates an expression now.
func (q *prometheus) query(t *testing.T, expr string) []sample {
	t.Helper()
	var answer struct{ Result []sample }
	if err := q.ask("query", url.Values{"query": {expr}}, &answer); err != nil {
		t.Fatalf("query %s: %v", expr, err)
	}
	return answer.Result
}

// alert is the state of an alert about what has the given label: "pending", "firing", or empty.
func (q *prometheus) alert(t *testing.T, name, label, value string) string {
	t.Helper()
	var answer struct {
		Alerts []struct {
			Labels map[string]string
			State  string
		}
	}
	if err := q.ask("alerts", nil, &answer); err != nil {
		t.Fatal(err)
	}
	for _, a := range answer.Alerts {
		if a.Labels["alertname"] == name && a.Labels[label] == value {
			return a.State
		}
	}
	return ""
}
