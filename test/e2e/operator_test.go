package e2e

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const gardenerRights = `apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: gardener}
rules:
- {apiGroups: [""], resources: [configmaps, secrets], verbs: ["*"]}
- {apiGroups: [coordination.k8s.io], resources: [leases], verbs: [get, create, update]}
- {apiGroups: ["", events.k8s.io], resources: [events], verbs: [create, patch]}
`

// kubeconfigOf writes the kubeconfig of a program that shows a token.
func (p *portico) kubeconfigOf(t *testing.T, token string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "kubeconfig")
	for _, args := range [][]string{
		{"set-cluster", "c", "--server", p.url, "--certificate-authority", p.pki("ca.crt"), "--embed-certs"},
		{"set-credentials", "u", "--token", token},
		{"set-context", "x", "--cluster", "c", "--user", "u"},
		{"use-context", "x"},
	} {
		if out, err := exec.Command(kubectlBinary, append([]string{"config", "--kubeconfig", file}, args...)...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	return file
}

// An operator of two replicas, made with controller-runtime and let in by a token of its service account with what it needs and
// nothing more, does its work while its replicas are killed.
func TestAnOperatorDoesItsWork(t *testing.T) {
	p := startPortico(t)
	g := newGarden(t, p)
	in := func(args ...string) string {
		t.Helper()
		return g.kubectl(t, append([]string{"-n", g.namespace}, args...)...)
	}
	in("create", "serviceaccount", "gardener")
	g.kubectlIn(t, gardenerRights, "-n", g.namespace, "apply", "-f", "-")
	in("create", "rolebinding", "gardener", "--role=gardener", "--serviceaccount="+g.namespace+":gardener")
	kubeconfig := p.kubeconfigOf(t, strings.TrimSpace(in("create", "token", "gardener")))
	replica := func(name string) *process {
		t.Helper()
		return startWith(t, []string{"KUBECONFIG=" + kubeconfig, "HOME=" + t.TempDir()}, operatorBinary(t), g.namespace, name)
	}
	holder := func() string {
		lease, err := g.client.CoordinationV1().Leases(g.namespace).Get(t.Context(), "gardener.example.com", metav1.GetOptions{})
		if apierrors.IsNotFound(err) || err == nil && lease.Spec.HolderIdentity == nil {
			return ""
		}
		if err != nil {
			t.Fatal(err)
		}
		return *lease.Spec.HolderIdentity
	}
	grows := func(bed, by string) {
		t.Helper()
		in("create", "configmap", bed, "--from-literal=flower=rose")
		in("label", "configmap", bed, "garden=bed")
		eventually(t, by+" makes the secret", func() bool {
			secret, err := g.client.CoreV1().Secrets(g.namespace).Get(t.Context(), bed, metav1.GetOptions{})
			return err == nil && string(secret.Data["flower"]) == "rose" && secret.Annotations["by"] == by
		})
	}

	one := replica("one")
	grows("first", "one")
	leading := holder()
	two := replica("two")
	in("patch", "configmap", "first", "--type=merge", "-p", `{"data":{"flower":"tulip"}}`)
	eventually(t, "the change arrives", func() bool {
		secret, err := g.client.CoreV1().Secrets(g.namespace).Get(t.Context(), "first", metav1.GetOptions{})
		return err == nil && string(secret.Data["flower"]) == "tulip"
	})
	in("delete", "secret", "first")
	eventually(t, "the secret is made again", func() bool {
		_, err := g.client.CoreV1().Secrets(g.namespace).Get(t.Context(), "first", metav1.GetOptions{})
		return err == nil
	})
	g.untilKubectl(t, "Watered", "-n", g.namespace, "events", "--for", "configmap/first")

	one.kill()
	grows("second", "two")
	if now := holder(); now == leading || now == "" {
		t.Errorf("the lease is held by %q, as before", now)
	}
	in("delete", "configmap", "first", "--timeout=60s") // the finalizer lets it go when it is buried
	if got := g.data(t, "graves", "first"); got != "two" {
		t.Errorf("the grave says %q", got)
	}
	eventually(t, "what the bed owned is collected", func() bool {
		_, err := g.client.CoreV1().Secrets(g.namespace).Get(t.Context(), "first", metav1.GetOptions{})
		return apierrors.IsNotFound(err)
	})

	two.interrupt(t)
	two.wait(t)
	if now := holder(); now != "" {
		t.Errorf("after a farewell the lease is held by %q", now)
	}
	three := replica("three")
	grows("third", "three")
	in("delete", "serviceaccount", "gardener") // and with it all that it may do
	in("create", "configmap", "fourth")
	in("label", "configmap", "fourth", "garden=bed")
	eventually(t, "the operator ends when its token does", three.ended)
}
