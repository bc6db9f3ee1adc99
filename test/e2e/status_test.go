package e2e

import (
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// status runs portico status as administrator.
func (p *portico) status(t *testing.T, args ...string) string {
	t.Helper()
	out, errs, err := run(t, nil, "", porticoBinary, append([]string{"status", "--data-dir", p.dataDir, "--during", "200ms"}, args...)...)
	if err != nil {
		t.Fatalf("portico status: %v\n%s%s", err, out, errs)
	}
	return out
}

// shownService is an APIService as portico status tells of it.
type shownService struct {
	Name, Service, Reason, Message string
	Available                      bool
	Requests                       struct{ Total int }
	Endpoints                      []struct {
		Address, State string
		Requests       struct{ Total int }
	}
}

func TestStatusShowsTheHouseAndWhoIsDown(t *testing.T) {
	t.Parallel()
	p := startPortico(t)
	sample := startSampleAPIServer(t, p.kubeconfig)
	p.kubectl(t, "apply", "-f", wardleManifests(t, sample.port), "-f", "../../deploy/examples/crontab/definition.yaml")
	p.kubectl(t, "wait", "--for=condition=Available", "--timeout=60s", "apiservice/"+wardleService)
	p.untilKubectl(t, "crontabs", "api-resources")
	p.kubectl(t, "get", "flunders", "-A")

	table := p.status(t)
	for _, want := range []string{
		p.url + ", v1.36", ", ready\n", "kube-aggregator 1 ", "apiextensions-apiserver 1 and 2 custom ",
		wardleService + " wardle/api 1 of 1 True ", loopback(sample.port) + " " + wardleService + " ready ", "v1. Local - True ", "serving 20",
	} {
		if !strings.Contains(squeezed(table), want) {
			t.Errorf("%q is not in\n%s", want, table)
		}
	}

	sample.kill()
	var r struct {
		Server       struct{ Ready bool }
		Requests     struct{ Total int }
		APIServices  []shownService
		Store        struct{ Objects int }
		Certificates []struct{ Name, Expires string }
	}
	eventually(t, "the dead backend is shown", func() bool {
		if err := json.Unmarshal([]byte(p.status(t, "-o", "json")), &r); err != nil {
			t.Fatal(err)
		}
		return slices.ContainsFunc(r.APIServices, func(a shownService) bool {
			return a.Name == wardleService && !a.Available && a.Reason == "FailedDiscoveryCheck" && a.Requests.Total > 0 &&
				len(a.Endpoints) == 1 && a.Endpoints[0].Address == loopback(sample.port) && a.Endpoints[0].Requests.Total > 0
		})
	})
	if !r.Server.Ready || r.Requests.Total == 0 || r.Store.Objects == 0 || len(r.Certificates) != 4 {
		t.Errorf("got %+v", r)
	}

	// Who may not look is told so, whatever the command.
	nobody := p.kubeconfigFor(t, "jane")
	for _, args := range [][]string{{"status"}, {"apiservices"}, {"backup", filepath.Join(t.TempDir(), "backup")}} {
		out, errs, err := run(t, nil, "", porticoBinary, append(args, "--kubeconfig", nobody)...)
		if err == nil || !strings.HasPrefix(errs, "portico: ") || !strings.Contains(errs, `: forbidden: User "jane" cannot get path "/`) || strings.Count(errs, "\n") != 1 {
			t.Errorf("portico %v of who may not: %v %s%s", args, err, out, errs)
		}
	}

	// What the chain is made of is for administrators.
	if code, _ := p.ask(t, "GET", "/debug/portico/chain", p.monitoringToken(t), ""); code != 403 {
		t.Errorf("the chain for who may only look at metrics: got %d, want 403", code)
	}
}

// squeezed is text with single spaces instead of the columns.
func squeezed(table string) string {
	var out strings.Builder
	for line := range strings.Lines(table) {
		out.WriteString(strings.Join(strings.Fields(line), " ") + "\n")
	}
	return out.String()
}
