package e2e

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// runs runs portico with a command and returns what it says.
func (p *portico) runs(args ...string) (string, error) {
	out, err := exec.Command(porticoBinary, append(args, "--kubeconfig", p.kubeconfig)...).CombinedOutput()
	return string(out), err
}

// An unmodified server is put behind the front door with one command, moved with the same, and taken away with another.
func TestAServerIsRegisteredWithOneCommand(t *testing.T) {
	p := startPortico(t)
	const group = "wardle.example.com/v1alpha1"
	p.kubectl(t, "apply", "-f", "../../deploy/examples/wardle/rbac.yaml")
	sample := startSampleAPIServer(t, p.kubeconfigFor(t, "wardle-apiserver"))
	backend := fmt.Sprintf("https://127.0.0.1:%d", sample.port)

	if out, err := p.runs("register", group, "--backend", "https://127.0.0.1:1", "--insecure-skip-tls-verify", "--wait", "2s"); err == nil ||
		!strings.Contains(out, "v1alpha1.wardle.example.com is not available yet: FailedDiscoveryCheck: ") || !strings.Contains(out, "was not available within 2s") ||
		!strings.Contains(out, "portico unregister "+group+" takes it away") {
		t.Errorf("a wrong port: %v %s", err, out)
	}
	// Another manager's word that certificates need not be verified does not outlive a registration that verifies them.
	p.kubectl(t, "patch", "apiservice", "v1alpha1.wardle.example.com", "--type=merge", "-p", `{"metadata":{"labels":{"a":"b"}},"spec":{"insecureSkipTLSVerify":true}}`)
	if out, err := p.runs("register", group, "--backend", backend, "--wait", "0s"); err != nil {
		t.Fatalf("registering with verification: %v %s", err, out)
	}
	if got := p.kubectl(t, "get", "apiservice", "v1alpha1.wardle.example.com", "-o", "jsonpath={.spec.insecureSkipTLSVerify}"); got != "" && got != "false" {
		t.Errorf("certificates are not verified: %s", got)
	}
	out, err := p.runs("register", group, "--backend", backend, "--insecure-skip-tls-verify", "--wait", "60s")
	if err != nil || !strings.HasSuffix(out, "v1alpha1.wardle.example.com is available.\n") {
		t.Fatalf("registering: %v %s", err, out)
	}
	if got := p.kubectl(t, "get", "endpointslices", "-l", "kubernetes.io/service-name=wardle", "-o", "jsonpath={.items[*].ports[0].port}"); got != fmt.Sprint(sample.port) {
		t.Errorf("the slices are for ports %s", got)
	}
	p.kubectl(t, "create", "-n", "default", "-f", "../../deploy/examples/flunder.yaml")
	p.untilKubectl(t, "my-first-flunder", "get", "flunders", "-n", "default")
	// The condition from before does not speak for what is registered now.
	if out, err := p.runs("register", group, "--backend", backend, "--ca-file", p.pki("ca.crt"), "--wait", "2s"); err == nil || !strings.Contains(out, "was not available within 2s") {
		t.Errorf("with another server's authority: %v %s", err, out)
	}

	// Somebody has it point elsewhere before it is taken away.
	p.kubectl(t, "patch", "apiservice", "v1alpha1.wardle.example.com", "--type=merge", "-p", `{"spec":{"service":{"namespace":"wardle","name":"api"}}}`)
	if out, err := p.runs("unregister", group); err != nil {
		t.Fatalf("unregistering: %v %s", err, out)
	}
	for _, kind := range []string{"apiservice/v1alpha1.wardle.example.com", "service/wardle"} {
		if _, errs, err := p.tryKubectl(t, "", "get", kind); err == nil || !strings.Contains(errs, "NotFound") {
			t.Errorf("%s is still there: %v %s", kind, err, errs)
		}
	}
	if got := p.kubectl(t, "get", "endpointslices", "-n", "default", "-o", "name"); strings.Contains(got, "wardle") {
		t.Errorf("left: %s", got)
	}
	if out, err := p.runs("unregister", group); err == nil || !strings.Contains(out, "not found") {
		t.Errorf("unregistering again: %v %s", err, out)
	}
}

func TestARegistrationThatCannotBeSaysWhy(t *testing.T) {
	p := startPortico(t)
	p.kubectl(t, "apply", "-f", "../../deploy/examples/crontab/definition.yaml")
	p.untilKubectl(t, "v1.stable.example.com", "get", "apiservices")
	for _, c := range []struct {
		args string
		want string
	}{
		{"register", "takes one GROUP/VERSION"},
		{"register x --backend https://h", `"x" is no GROUP/VERSION`},
		{"register a.example/v1", "--backend https://HOST:PORT"},
		{"register a.example/v1 --backend http://h", `--backend "http://h" is no https://HOST:PORT`},
		{"register a.example/v1 --backend https://h:0", "is no https://HOST:PORT"},
		{"register a.example/v1 --backend https://h --backend https://127.0.0.1", "a name stands for all replicas"},
		{"register a.example/v1 --backend https://127.0.0.1 --server-name h.example", "is not of the form NAME.NAMESPACE.svc"},
		{"register a.example/v1 --backend https://127.0.0.1 --ca-file /nowhere", "--ca-file"},
		{"register 1.example/v1 --backend https://127.0.0.1", "cannot be the name of a Service"},
		{"register a.example/v1 --backend https://127.0.0.1 --server-name a.nowhere.svc", "create the namespace nowhere first"},
		{"register a.example/v1 --backend https://127.0.0.1 --ca-file ../../README.md", "../../README.md: there is no PEM certificate"},
		{"register rbac.authorization.k8s.io/v1 --backend https://127.0.0.1", "it is served by this server itself"},
		{"register stable.example.com/v1 --backend https://127.0.0.1", "it is served by this server itself"},
		{"unregister stable.example.com/v1", "it is served by this server itself"},
		{"unregister v1", `"v1" is no GROUP/VERSION`},
	} {
		begin := time.Now()
		out, err := p.runs(strings.Fields(c.args)...)
		if err == nil || !strings.Contains(out, c.want) || strings.Count(strings.TrimSpace(out), "\n") > 0 {
			t.Errorf("portico %s: %v %s\nwant one line with %s", c.args, err, out, c.want)
		}
		if took := time.Since(begin); took > 20*time.Second {
			t.Errorf("portico %s took %s", c.args, took)
		}
	}
}
