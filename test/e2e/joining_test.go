package e2e

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// bootstrapToken is a secret as kubeadm makes it.
func bootstrapToken(id, secret string, expires time.Time) string {
	return "apiVersion: v1\nkind: Secret\nmetadata: {name: bootstrap-token-" + id + ", namespace: kube-system}\ntype: bootstrap.kubernetes.io/token\nstringData:\n" +
		"  token-id: " + id + "\n  token-secret: " + secret + "\n  usage-bootstrap-authentication: \"true\"\n" +
		"  auth-extra-groups: system:bootstrappers:machines\n  expiration: " + expires.UTC().Format(time.RFC3339) + "\n"
}

// withToken asks as the bearer of a token.
func (p *portico) withToken(t *testing.T, token string, args ...string) (string, string, error) {
	t.Helper()
	home := t.TempDir()
	return run(t, []string{"HOME=" + home, "KUBECONFIG=" + filepath.Join(home, "none")}, "", kubectlBinary,
		append([]string{"--server", p.url, "--certificate-authority", p.pki("ca.crt"), "--token", token}, args...)...)
}

// A machine joins as it would a cluster: with a token it asks for its node's certificate, has it without being asked, and renews it.
func TestAMachineJoins(t *testing.T) {
	t.Parallel() // among the longest, and mostly waiting
	p := startPortico(t, "--enable-bootstrap-token-auth")
	const token = "abcdef.0123456789abcdef"
	p.kubectlIn(t, bootstrapToken("abcdef", "0123456789abcdef", time.Now().Add(time.Hour)), "create", "-f", "-")
	if out, errs, err := p.withToken(t, token, "auth", "whoami"); err != nil || !strings.Contains(out, "system:bootstrap:abcdef") || !strings.Contains(out, "system:bootstrappers system:bootstrappers:machines system:authenticated") {
		t.Fatalf("whoami: %v %s%s", err, out, errs)
	}
	if _, errs, err := p.withToken(t, "abcdef.0000000000000000", "auth", "whoami"); err == nil || !strings.Contains(errs, "Unauthorized") && !strings.Contains(errs, "logged in") {
		t.Errorf("another secret: %v %s", err, errs)
	}

	p.kubectl(t, "create", "clusterrolebinding", "ask", "--clusterrole=system:node-bootstrapper", "--group=system:bootstrappers")
	machine := newApplicant(t, "system:node:one", "system:nodes")
	machine.name = "join"
	ask := func(manifest string) {
		t.Helper()
		file := filepath.Join(t.TempDir(), "csr.yaml")
		if err := os.WriteFile(file, []byte(manifest), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, errs, err := p.withToken(t, token, "create", "-f", file); err != nil {
			t.Fatalf("asking: %v %s", err, errs)
		}
	}
	const signer, usages = "kubernetes.io/kube-apiserver-client-kubelet", "digital signature, client auth"
	ask(machine.manifest(signer, usages))
	if got := p.kubectl(t, "get", "csr", "join"); !strings.Contains(got, "Pending") {
		t.Errorf("nobody allowed it: %s", got)
	}
	// Allowed later, what waits is approved, too.
	p.kubectl(t, "create", "clusterrolebinding", "join", "--clusterrole=system:certificates.k8s.io:certificatesigningrequests:nodeclient", "--group=system:bootstrappers:machines")
	p.untilKubectl(t, "Approved,Issued", "get", "csr", "join")
	if got := p.kubectl(t, "get", "csr", "join", "-o", "jsonpath={.status.conditions[0].reason}"); got != "AutoApproved" {
		t.Errorf("approved because of %q", got)
	}
	user := newApplicant(t, "carol")
	user.name = "user"
	ask(user.manifest(clientSigner, usages))
	odd := newApplicant(t, "carol", "system:nodes")
	odd.name = "odd"
	ask(odd.manifest(signer, usages))

	// A node renews by its own right.
	p.kubectl(t, "create", "clusterrolebinding", "renew", "--clusterrole=system:certificates.k8s.io:certificatesigningrequests:selfnodeclient", "--group=system:nodes")
	p.kubectl(t, "create", "clusterrolebinding", "ask-again", "--clusterrole=system:node-bootstrapper", "--group=system:nodes")
	renewal := newApplicant(t, "system:node:one", "system:nodes")
	renewal.name = "renewal"
	node := p.as(t, "system:node:one", "system:nodes")
	node.kubectlIn(t, renewal.manifest(signer, usages), "create", "-f", "-")
	p.untilKubectl(t, "Approved,Issued", "get", "csr", "renewal")
	if got := p.kubectl(t, "get", "csr", "user", "odd", "-o", "jsonpath={.items[*].status}"); strings.Contains(got, "Approved") {
		t.Errorf("what is no node's was approved: %s", got)
	}

	// A token that ends is deleted and lets nobody in.
	p.kubectlIn(t, bootstrapToken("ghijkl", "0123456789abcdef", time.Now().Add(3*time.Second)), "create", "-f", "-")
	eventually(t, "the token is deleted", func() bool {
		code, _ := p.get(t, "/api/v1/namespaces/kube-system/secrets/bootstrap-token-ghijkl")
		return code == http.StatusNotFound
	})
	if _, _, err := p.withToken(t, "ghijkl.0123456789abcdef", "auth", "whoami"); err == nil {
		t.Error("a token that has ended lets in")
	}
	if _, _, err := p.withToken(t, token, "auth", "whoami"); err != nil {
		t.Errorf("the other one: %v", err)
	}
}

func TestNobodyJoinsUnlessAskedFor(t *testing.T) {
	p := startPortico(t)
	p.kubectlIn(t, bootstrapToken("abcdef", "0123456789abcdef", time.Now().Add(-time.Hour)), "create", "-f", "-")
	if _, _, err := p.withToken(t, "abcdef.0123456789abcdef", "auth", "whoami"); err == nil {
		t.Error("the token lets in")
	}
	p.kubectl(t, "get", "secret", "-n", "kube-system", "bootstrap-token-abcdef") // nor is it deleted
}

// Each server tells by a lease that it lives.
func TestEachServerHasALease(t *testing.T) {
	t.Parallel() // among the longest, and mostly waiting
	etcd := startEtcd(t)
	dir := t.TempDir()
	one := restartPortico(t, filepath.Join(dir, "one"), "--etcd-servers", etcd)
	two := restartPortico(t, filepath.Join(dir, "two"), "--etcd-servers", etcd)
	args := []string{"-n", "kube-system", "get", "leases", "-l", "apiserver.kubernetes.io/identity=kube-apiserver", "-o", "name"}
	eventually(t, "there are two leases", func() bool {
		return strings.Count(one.kubectl(t, args...), "lease.coordination.k8s.io/apiserver-") == 2
	})
	renewed := func() string {
		return two.kubectl(t, "-n", "kube-system", "get", "leases", "-l", "apiserver.kubernetes.io/identity=kube-apiserver", "-o", "jsonpath={.items[*].spec.renewTime}")
	}
	begin := strings.Fields(renewed())
	eventually(t, "both are renewed", func() bool {
		now := strings.Fields(renewed())
		return len(now) == 2 && now[0] != begin[0] && now[1] != begin[1]
	})
}
