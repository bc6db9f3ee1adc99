package e2e

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

// startKubelet serves what metrics-server asks a node for: half a processor is used by the node, a quarter by one container.
func startKubelet(t *testing.T) (port string) {
	t.Helper()
	begin := time.Now().Add(-time.Hour)
	kubelet := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/metrics/resource" {
			http.NotFound(w, r)
			return
		}
		seconds, at := time.Since(begin).Seconds(), time.Now().UnixMilli()
		const container = `container="web",namespace="default",pod="web"`
		fmt.Fprintf(w, "node_cpu_usage_seconds_total %f %d\nnode_memory_working_set_bytes 1073741824 %d\n", seconds/2, at, at)
		fmt.Fprintf(w, "container_cpu_usage_seconds_total{%s} %f %d\ncontainer_memory_working_set_bytes{%s} 134217728 %d\ncontainer_start_time_seconds{%s} %d\n",
			container, seconds/4, at, container, at, container, begin.Unix())
	}))
	t.Cleanup(kubelet.Close)
	_, port, err := net.SplitHostPort(kubelet.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// startMetricsServer starts an unmodified metrics-server as a user of its own and registers it.
func startMetricsServer(t *testing.T, p *portico) (port int) {
	t.Helper()
	port = freePort(t)
	manifests, err := os.ReadFile("testdata/metrics-server.yaml")
	if err != nil {
		t.Fatal(err)
	}
	p.kubectlIn(t, strings.ReplaceAll(string(manifests), "PORT", strconv.Itoa(port)), "apply", "-f", "-")
	kubeconfig := p.kubeconfigFor(t, "metrics-server")
	start(t, t.TempDir(), metricsServerBinary(t), "--kubeconfig", kubeconfig, "--authentication-kubeconfig", kubeconfig, "--authorization-kubeconfig", kubeconfig,
		"--bind-address", "127.0.0.1", "--secure-port", strconv.Itoa(port), "--cert-dir", t.TempDir(),
		"--kubelet-insecure-tls", "--kubelet-use-node-status-port", "--metric-resolution", "10s", "--kubelet-request-timeout", "5s")
	return port
}

// metrics-server starts because there are nodes and pods to be asked for, even if there are none, and is reached through the front door.
func TestMetricsServerIsServed(t *testing.T) {
	p := startPortico(t, "--workload-apis")
	startMetricsServer(t, p)
	p.kubectl(t, "wait", "--for=condition=Available", "apiservice/v1beta1.metrics.k8s.io", "--timeout=60s")
	if out := p.kubectl(t, "api-resources", "--api-group=metrics.k8s.io"); !strings.Contains(out, "NodeMetrics") || !strings.Contains(out, "PodMetrics") {
		t.Errorf("its resources: %s", out)
	}
	for _, kind := range []string{"nodes", "pods"} {
		if code, body := p.get(t, "/apis/metrics.k8s.io/v1beta1/"+kind); code != http.StatusOK || !strings.Contains(body, `"items":[]`) {
			t.Errorf("%s: got %d %s", kind, code, body)
		}
	}
}

// With a node that answers it has something to tell: what runs elsewhere is measured, and told here.
func TestKubectlTopShowsWhatIsMeasured(t *testing.T) {
	t.Parallel() // among the longest, and mostly waiting
	p := startPortico(t, "--workload-apis")
	kubelet := startKubelet(t)
	p.kubectlIn(t, "apiVersion: v1\nkind: Node\nmetadata: {name: one}\n", "create", "-f", "-")
	p.kubectl(t, "patch", "node", "one", "--subresource=status", "-p", `{"status":{"addresses":[{"type":"InternalIP","address":"127.0.0.1"}],`+
		`"daemonEndpoints":{"kubeletEndpoint":{"Port":`+kubelet+`}},"allocatable":{"cpu":"2","memory":"4Gi"},"conditions":[{"type":"Ready","status":"True"}]}}`)
	p.kubectlIn(t, "apiVersion: v1\nkind: Pod\nmetadata: {name: web}\nspec: {nodeName: one, containers: [{name: web, image: registry.example/web:1}]}\n", "create", "-f", "-")
	p.kubectl(t, "patch", "pod", "web", "--subresource=status", "-p", `{"status":{"phase":"Running"}}`)
	port := startMetricsServer(t, p)

	direct := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	t.Cleanup(direct.CloseIdleConnections)
	eventually(t, "metrics-server is ready", func() bool {
		answer, err := direct.Get("https://" + loopback(port) + "/readyz")
		if err != nil {
			return false
		}
		answer.Body.Close()
		return answer.StatusCode == http.StatusOK
	})
	p.untilKubectl(t, "NodeMetrics", "api-resources", "--api-group=metrics.k8s.io")
	if out := p.kubectl(t, "top", "nodes"); !strings.Contains(out, "one") || !strings.Contains(out, "1024Mi") || !strings.Contains(out, "25%") {
		t.Errorf("kubectl top nodes shows\n%s", out)
	}
	if out := p.kubectl(t, "top", "pods", "--containers"); !strings.Contains(out, "web") || !strings.Contains(out, "128Mi") {
		t.Errorf("kubectl top pods shows\n%s", out)
	}
}
