package test

import (
	"net/http"
	"os"
	"strings"
	"testing"
)

// People deploy with kubectl what a cluster would run; here it is kept as they wrote it, and as they would read it there.
func TestKubectlDeploysWhatNobodyRuns(t *testing.T) {
	p := startPortico(t, "--workload-apis")
	manifest, err := os.ReadFile("testdata/workload.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if out := p.kubectlIn(t, string(manifest), "apply", "-f", "-"); strings.Count(out, "created") != 9 {
		t.Errorf("apply has made\n%s", out)
	}
	p.kubectl(t, "create", "deployment", "web", "--image=nginx:1")
	p.kubectl(t, "scale", "deployment/web", "--replicas=5")
	p.kubectl(t, "set", "image", "deployment/web", "nginx=nginx:2")
	p.kubectl(t, "run", "one", "--image=nginx:1")
	for _, c := range []struct {
		args string
		want []string
	}{
		{"get deploy web -o jsonpath={.spec.replicas}/{.metadata.generation}/{.spec.template.spec.containers[0].image}", []string{"5/3/nginx:2"}},
		{"get all -o wide", []string{"deployment.apps/shop", "0/3", "registry.example/shop:1.4", "horizontalpodautoscaler.autoscaling/shop", "cpu: <unknown>/70%", "cronjob.batch/sweep", "pod/one", "service/shop"}},
		{"get pods --field-selector status.phase=Pending -o name", []string{"pod/one"}},
		{"get pod one -o jsonpath={.spec.serviceAccountName}/{.spec.volumes[0].projected.sources[0].serviceAccountToken.path}", []string{"default/token"}},
		{"describe deployment shop", []string{"3 desired", "25% max unavailable"}},
		{"describe ingress shop", []string{"shop.example"}},
		{"explain deployment.spec.strategy", []string{"<DeploymentStrategy>"}},
		{"get sc,pvc,netpol,pdb", []string{"slow", "Pending", "app=shop", "50%"}},
		{"apply --server-side --force-conflicts --field-manager=other -f testdata/workload.yaml", []string{"deployment.apps/shop serverside-applied"}},
	} {
		out := p.kubectl(t, strings.Fields(c.args)...)
		for _, want := range c.want {
			if !strings.Contains(out, want) {
				t.Errorf("kubectl %s does not show %q:\n%s", c.args, want, out)
			}
		}
	}
	if _, stderr, err := p.tryKubectl(t, "", "logs", "one"); err == nil || !strings.Contains(stderr, "NotImplemented") {
		t.Errorf("logs of a pod that does not run: %v %s", err, stderr)
	}
	p.bindAndEvict(t)
	p.kubectl(t, "delete", "deploy,svc,ing,hpa,pdb,cj,netpol,pvc,pods", "--all")
	if out := p.kubectl(t, "get", "deploy,hpa,cj,pods", "-o", "name"); strings.TrimSpace(out) != "" {
		t.Errorf("left: %s", out)
	}
}

// bindAndEvict does with a pod what schedulers and drains do.
func (p *portico) bindAndEvict(t *testing.T) {
	t.Helper()
	const pod = "/api/v1/namespaces/default/pods/one"
	post := func(path, body string) int {
		answer, err := p.client(t).Post(p.url+path, "application/json", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		return answer.StatusCode
	}
	bind := `{"apiVersion":"v1","kind":"Binding","metadata":{"name":"one"},"target":{"kind":"Node","name":"n1"}}`
	if code := post(pod+"/binding", bind); code != http.StatusCreated {
		t.Errorf("the binding got %d", code)
	}
	if code := post(pod+"/binding", bind); code != http.StatusConflict {
		t.Errorf("a second binding got %d", code)
	}
	if out := p.kubectl(t, "get", "pods", "--field-selector", "spec.nodeName=n1", "-o", "name"); !strings.Contains(out, "pod/one") {
		t.Errorf("on the node: %q", out)
	}
	if code := post(pod+"/eviction", `{"apiVersion":"policy/v1","kind":"Eviction","metadata":{"name":"one"}}`); code != http.StatusCreated {
		t.Errorf("the eviction got %d", code)
	}
	if code, _ := p.get(t, pod); code != http.StatusNotFound {
		t.Errorf("the evicted pod answers %d", code)
	}
}

func TestWorkloadsAreNotServedUnlessAskedFor(t *testing.T) {
	p := startPortico(t)
	for _, path := range []string{"/apis/apps/v1", "/api/v1/pods", "/api/v1/nodes"} {
		if code, body := p.get(t, path); code != http.StatusNotFound {
			t.Errorf("%s: got %d %s", path, code, body)
		}
	}
}
