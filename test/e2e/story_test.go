package e2e

import (
	"bufio"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// The README's story from the first start to a served extension API, told by the real programs.
func TestAStrangerRegistersAnExtensionAPI(t *testing.T) {
	p := startPortico(t)
	p.kubectl(t, "create", "namespace", "demo")
	sample := startSampleAPIServer(t, p.kubeconfig)
	p.kubectl(t, "apply", "-f", wardleManifests(t, sample.port))
	p.kubectl(t, "wait", "--for=condition=Available", "--timeout=60s", "apiservice/v1alpha1.wardle.example.com")

	services := p.kubectl(t, "get", "apiservices")
	for _, want := range []string{"v1alpha1.wardle.example.com", "wardle/api", "v1.rbac.authorization.k8s.io", "Local"} {
		if !strings.Contains(services, want) {
			t.Errorf("kubectl get apiservices lacks %q:\n%s", want, services)
		}
	}

	watch := startWatch(t, p, "get", "flunders", "-A", "-w")
	p.untilKubectl(t, "wardle.example.com/v1alpha1", "api-resources")
	p.kubectl(t, "-n", "demo", "create", "-f", "../../deploy/examples/flunder.yaml")
	watch.expect(t, "my-first-flunder")

	if got := p.kubectl(t, "-n", "demo", "get", "flunder", "my-first-flunder", "-o", "jsonpath={.metadata.labels.sample-label}"); got != "true" {
		t.Errorf("the flunder's label: got %q, want true", got)
	}
	if out := p.kubectl(t, "explain", "flunders"); !strings.Contains(out, "Flunder") {
		t.Errorf("kubectl explain flunders:\n%s", out)
	}
	if _, body := p.get(t, "/metrics"); !strings.Contains(body, "apiserver_request_total{") || !strings.Contains(body, "aggregator_unavailable_apiservice{") {
		t.Errorf("/metrics lacks the requests or the aggregator's state:\n%s", tail(body, 2000))
	}

	p.kubectl(t, "-n", "demo", "delete", "flunder", "my-first-flunder")
	p.kubectl(t, "delete", "--ignore-not-found", "-f", wardleManifests(t, sample.port)) // the namespace takes its content with it
	_, errs, err := p.tryKubectl(t, "", "get", "--raw", "/apis/wardle.example.com/v1alpha1/flunders")
	if err == nil || !strings.Contains(errs, "NotFound") && !strings.Contains(errs, "not find") {
		t.Errorf("the group is still served after its APIService is gone: %v %s", err, errs)
	}
}

// The sample-apiserver sees the real user: what it may not do itself, it does not do for others,
// and its authorization is asked of the front door.
func TestTheBackendSeesTheRealUser(t *testing.T) {
	p := startPortico(t)
	p.kubectlIn(t, "", "apply", "-f", "../../deploy/examples/wardle/namespace.yaml", "-f", "../../deploy/examples/wardle/rbac.yaml")
	// It runs with the rights of the example and no more.
	sample := startSampleAPIServer(t, p.kubeconfigFor(t, "wardle-apiserver"))
	p.kubectl(t, "apply", "-f", wardleManifests(t, sample.port))
	p.kubectl(t, "wait", "--for=condition=Available", "--timeout=60s", "apiservice/v1alpha1.wardle.example.com")
	p.kubectl(t, "create", "namespace", "demo")
	p.kubectl(t, "create", "clusterrole", "flunder-reader", "--verb=get,list", "--resource=flunders.wardle.example.com")
	p.kubectl(t, "-n", "demo", "create", "rolebinding", "alice-reads", "--clusterrole=flunder-reader", "--user=alice")

	alice := p.as(t, "alice")
	alice.untilKubectl(t, "", "-n", "demo", "get", "flunders")
	for _, denied := range [][]string{
		{"-n", "default", "get", "flunders"},
		{"-n", "demo", "create", "-f", "../../deploy/examples/flunder.yaml"},
	} {
		_, errs, err := alice.tryKubectl(t, "", denied...)
		if err == nil || !strings.Contains(errs, `User "alice" cannot`) {
			t.Errorf("alice ran kubectl %v: %v %s", denied, err, errs)
		}
	}
	// The front door lets nobody else pass as a proxy: the header is dropped and alice stays alice.
	request, _ := http.NewRequest("GET", p.url+"/apis/wardle.example.com/v1alpha1/namespaces/default/flunders", nil)
	for name, value := range map[string]string{"X-Remote-User": "admin", "X-Remote-Group": "system:masters", "X_Remote_Group": "system:masters"} {
		request.Header[name] = []string{value}
	}
	response, err := p.clientAs(t, "alice").Do(request)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != http.StatusForbidden {
		t.Errorf("alice with the headers of a proxy: got %d, want 403", response.StatusCode)
	}
}

func TestKubectlFindsItsWay(t *testing.T) {
	p := startPortico(t)
	for _, c := range []struct {
		args []string
		want []string
	}{
		{[]string{"version"}, []string{"Server Version: v1."}},
		{[]string{"api-resources"}, []string{"configmaps", "apiservices", "clusterroles", "endpointslices", "leases"}},
		{[]string{"api-versions"}, []string{"v1\n", "apiextensions.k8s.io/v1", "apiregistration.k8s.io/v1", "rbac.authorization.k8s.io/v1"}},
		{[]string{"explain", "apiservice"}, []string{"KIND:", "APIService", "spec"}},
		{[]string{"explain", "configmap.data"}, []string{"map[string]string"}},
		{[]string{"get", "--raw", "/"}, []string{`"/apis/apiregistration.k8s.io/v1"`, `"/healthz/etcd"`, `"/readyz/shutdown"`}},
		{[]string{"get", "--raw", "/readyz?verbose"}, []string{"[+]poststarthook/rbac/bootstrap-roles ok", "readyz check passed"}},
		{[]string{"auth", "whoami"}, []string{"portico-admin", "system:masters"}},
		{[]string{"auth", "can-i", "--list"}, []string{"*.*", "[*]"}},
		{[]string{"auth", "can-i", "create", "pods"}, []string{"yes"}},
		{[]string{"get", "namespaces"}, []string{"default", "kube-system", "kube-public", "Active"}},
		{[]string{"-n", "kube-system", "get", "configmap", "extension-apiserver-authentication", "-o", "yaml"}, []string{"requestheader-client-ca-file", `["X-Remote-User"]`}},
		{[]string{"get", "clusterroles"}, []string{"cluster-admin", "system:auth-delegator", "view"}},
	} {
		out := p.kubectl(t, c.args...)
		for _, want := range c.want {
			if !strings.Contains(out, want) {
				t.Errorf("kubectl %s lacks %q:\n%s", strings.Join(c.args, " "), want, tail(out, 4000))
			}
		}
	}
}

func TestKubectlKeepsObjects(t *testing.T) {
	p := startPortico(t)
	p.kubectl(t, "create", "namespace", "demo")
	p.kubectl(t, "-n", "demo", "create", "configmap", "settings", "--from-literal=color=blue")
	p.kubectl(t, "-n", "demo", "patch", "configmap", "settings", "-p", `{"data":{"size":"L"}}`)
	p.kubectl(t, "-n", "demo", "patch", "configmap", "settings", "--type=json", "-p", `[{"op":"replace","path":"/data/color","value":"red"}]`)
	p.kubectl(t, "-n", "demo", "patch", "configmap", "settings", "--type=merge", "-p", `{"data":{"extra":"yes"}}`)
	p.kubectl(t, "-n", "demo", "label", "configmap", "settings", "tier=front")
	got := p.kubectl(t, "-n", "demo", "get", "configmap", "-l", "tier=front", "-o", "jsonpath={.items[*].data}")
	if want := `{"color":"red","extra":"yes","size":"L"}`; got != want {
		t.Errorf("after three patches: got %s, want %s", got, want)
	}
	p.kubectlIn(t, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: applied, namespace: demo}\ndata: {a: b}\n", "apply", "-f", "-")
	p.kubectlIn(t, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: applied, namespace: demo}\ndata: {c: d}\n", "apply", "-f", "-")
	if got := p.kubectl(t, "-n", "demo", "get", "configmap", "applied", "-o", "jsonpath={.data}"); got != `{"c":"d"}` {
		t.Errorf("after two applies: got %s, want only the second's data", got)
	}
	p.kubectl(t, "delete", "namespace", "demo", "--timeout=60s")
	if _, errs, err := p.tryKubectl(t, "", "-n", "demo", "get", "configmap", "applied"); err == nil || !strings.Contains(errs, "NotFound") {
		t.Errorf("a deleted namespace keeps its objects: %v %s", err, errs)
	}
}

// startWatch runs kubectl until the test ends and collects its lines.
func startWatch(t *testing.T, p *portico, args ...string) *watching {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), kubectlBinary, args...)
	cmd.Env = append(os.Environ(), "KUBECONFIG="+p.kubeconfig, "HOME="+p.home)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w := &watching{lines: make(chan string, 1000)}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for scanner := bufio.NewScanner(out); scanner.Scan(); {
			w.lines <- scanner.Text()
		}
		cmd.Wait()
	}()
	t.Cleanup(func() {
		cmd.Process.Kill()
		<-ended
	})
	return w
}

// watching is a kubectl get -w that runs.
type watching struct{ lines chan string }

// expect waits for a line that holds want.
func (w *watching) expect(t *testing.T, want string) {
	t.Helper()
	timeout := time.After(patience)
	for {
		select {
		case line := <-w.lines:
			if strings.Contains(line, want) {
				return
			}
		case <-timeout:
			t.Fatalf("the watch never showed %q", want)
		}
	}
}
