package e2e

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
		{"get horizontalpodautoscalers.v1.autoscaling shop -o jsonpath={.apiVersion}/{.spec.targetCPUUtilizationPercentage}", []string{"autoscaling/v1/70"}},
		{"patch horizontalpodautoscalers.v1.autoscaling shop --subresource=status --type=merge -p {\"status\":{\"currentReplicas\":2,\"desiredReplicas\":3,\"currentCPUUtilizationPercentage\":42}}", []string{"patched"}},
		{"get hpa shop", []string{"cpu: 42%/70%"}},
		{"apply --server-side --field-manager=old -f testdata/autoscaler-v1.yaml", []string{"horizontalpodautoscaler.autoscaling/old serverside-applied"}},
		{"get hpa old -o jsonpath={.apiVersion}/{.spec.metrics[0].resource.target.averageUtilization}/{.spec.metrics[1].pods.metric.name}/{.metadata.annotations}", []string{"autoscaling/v2/50/packets/"}},
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

const guardedPods = `apiVersion: v1
kind: Node
metadata: {name: n1}
---
apiVersion: v1
kind: LimitRange
metadata: {name: bounds}
spec: {limits: [{type: Container, max: {cpu: "2"}, default: {cpu: 500m}}]}
---
apiVersion: scheduling.k8s.io/v1
kind: PriorityClass
metadata: {name: usual}
value: 7
globalDefault: true
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {name: calm}
spec: {minAvailable: 1, selector: {matchLabels: {app: guarded}}}
`

// What kube-apiserver does to pods before they are stored is done here, and a drain waits for what budgets allow.
func TestPodsAreGuardedAsInACluster(t *testing.T) {
	p := startPortico(t, "--workload-apis")
	p.kubectlIn(t, guardedPods, "apply", "-f", "-")
	eventually(t, "the service account is there", func() bool {
		_, _, err := p.tryKubectl(t, "", "get", "serviceaccount", "default")
		return err == nil
	})
	p.kubectl(t, "run", "one", "--image=nginx:1", "--labels=app=guarded", `--overrides={"spec":{"nodeName":"n1"}}`)
	got := p.kubectl(t, "get", "pod", "one", "-o", "jsonpath={.spec.priority} {.spec.priorityClassName} {.spec.containers[0].resources.limits.cpu} {.spec.containers[0].resources.requests.cpu} {.metadata.annotations.kubernetes\\.io/limit-ranger}")
	if want := "7 usual 500m 500m LimitRanger plugin set: cpu request for container one; cpu limit for container one"; got != want {
		t.Errorf("the pod has %q, want %q", got, want)
	}
	_, errs, err := p.tryKubectl(t, "", "run", "two", "--image=nginx:1", `--overrides={"spec":{"containers":[{"name":"c","image":"i","resources":{"limits":{"cpu":"3"}}}]}}`)
	if want := `pods "two" is forbidden: [maximum cpu usage per Container is 2, but limit is 3`; err == nil || !strings.Contains(errs, strings.TrimPrefix(want, `pods "two" is forbidden: [`)) {
		t.Errorf("got %v %s, want %s", err, errs, want)
	}
	if got := p.kubectl(t, "get", "priorityclass", "-o", "jsonpath={.items[*].metadata.name}"); got != "system-cluster-critical system-node-critical usual" {
		t.Errorf("priority classes are %s", got)
	}

	p.kubectl(t, "patch", "pod", "one", "--subresource=status", "-p", `{"status":{"phase":"Running","conditions":[{"type":"Ready","status":"True"}]}}`)
	drain := func() (string, error) {
		_, errs, err := p.tryKubectl(t, "", "drain", "n1", "--force", "--timeout=2s")
		return errs, err
	}
	if errs, err := drain(); err == nil || !strings.Contains(errs, "Cannot evict pod as it would violate the pod's disruption budget.") {
		t.Errorf("got %v %s, want the drain to wait", err, errs)
	}
	p.kubectl(t, "patch", "pdb", "calm", "--subresource=status", "--type=merge", "-p", `{"status":{"observedGeneration":1,"disruptionsAllowed":1,"desiredHealthy":1,"currentHealthy":2,"expectedPods":2}}`)
	if errs, err := drain(); err != nil {
		t.Errorf("got %v %s", err, errs)
	}
	if got := p.kubectl(t, "get", "pdb", "calm", "-o", "jsonpath={.status.disruptionsAllowed} {.status.conditions[0].reason}"); got != "0 InsufficientPods" {
		t.Errorf("the budget has %q", got)
	}
}
