package e2e

import (
	"encoding/json"
	"strings"
	"testing"
)

// helm runs the real helm as administrator.
func (g *garden) helm(t *testing.T, args ...string) (string, error) {
	t.Helper()
	out, errs, err := run(t, []string{"KUBECONFIG=" + g.kubeconfig, "HOME=" + g.home}, "", helmBinary(t), append([]string{"-n", g.namespace}, args...)...)
	return out + errs, err
}

func (g *garden) mustHelm(t *testing.T, args ...string) string {
	t.Helper()
	out, err := g.helm(t, args...)
	if err != nil {
		t.Fatalf("helm %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

// data is one value of the chart's config map.
func (g *garden) data(t *testing.T, object, key string) string {
	t.Helper()
	return g.kubectl(t, "-n", g.namespace, "get", "configmap", object, "-o", "jsonpath={.data."+key+"}")
}

// A release lives its whole life: installed, upgraded, failed, rolled back, uninstalled.
func TestHelmReleasesAChart(t *testing.T) {
	p := startPortico(t)
	g := newGarden(t, p)
	const chart = "testdata/chart"

	g.mustHelm(t, "install", "spring", chart, "--wait")
	if got := g.data(t, "spring-config", "colour"); got != "red" {
		t.Errorf("installed, the colour is %q", got)
	}
	robot := "system:serviceaccount:" + g.namespace + ":spring"
	if out := g.kubectl(t, "-n", g.namespace, "auth", "can-i", "list", "configmaps", "--as", robot); strings.TrimSpace(out) != "yes" {
		t.Errorf("what the chart's role allows: %s", out)
	}
	if g.has(t, "spring-passing") || !g.has(t, "spring-before") {
		t.Error("the hooks did not run, or were not cleared away")
	}
	if out := g.mustHelm(t, "status", "spring"); !strings.Contains(out, "STATUS: deployed") {
		t.Errorf("helm status: %s", out)
	}

	g.mustHelm(t, "upgrade", "spring", chart, "--set", "colour=blue", "--wait")
	if got := g.data(t, "spring-config", "colour"); got != "blue" {
		t.Errorf("upgraded, the colour is %q", got)
	}
	if out, err := g.helm(t, "upgrade", "spring", chart, "--set", "colour=green,broken=true"); err == nil || !strings.Contains(out, "Not_A_Name") {
		t.Errorf("a broken upgrade: %v %s", err, out)
	}
	g.mustHelm(t, "rollback", "spring", "1", "--wait")
	if got := g.data(t, "spring-config", "colour"); got != "red" {
		t.Errorf("rolled back, the colour is %q", got)
	}
	if out, err := g.helm(t, "upgrade", "spring", chart, "--set", "broken=true", "--atomic"); err == nil || !strings.Contains(out, "has been rolled back") {
		t.Errorf("an upgrade that is all or nothing: %v %s", err, out)
	}

	var history []struct {
		Revision int
		Status   string
	}
	if err := json.Unmarshal([]byte(g.mustHelm(t, "history", "spring", "-o", "json")), &history); err != nil {
		t.Fatal(err)
	}
	var states []string
	for _, h := range history {
		states = append(states, h.Status)
	}
	if got := strings.Join(states, " "); got != "superseded superseded failed superseded failed deployed" {
		t.Errorf("the history is %q", got)
	}
	if out := g.mustHelm(t, "list", "-q"); strings.TrimSpace(out) != "spring" {
		t.Errorf("helm list: %s", out)
	}

	template := g.mustHelm(t, "template", "autumn", chart, "--no-hooks")
	if out := g.kubectlIn(t, template, "-n", g.namespace, "apply", "--server-side", "-f", "-"); !strings.Contains(out, "configmap/autumn-config serverside-applied") {
		t.Errorf("applying a template: %s", out)
	}

	g.mustHelm(t, "uninstall", "spring", "--wait")
	if left := g.kubectl(t, "-n", g.namespace, "get", "configmaps,secrets,services,serviceaccounts,roles,rolebindings", "-o", "name"); strings.Contains(left, "spring-config") ||
		strings.Contains(left, "spring-secret") || strings.Contains(left, "role.rbac.authorization.k8s.io/spring") {
		t.Errorf("uninstalled, there is left\n%s", left)
	}
}
