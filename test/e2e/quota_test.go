package e2e

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// used is what a quota says is used of one thing.
func (g *garden) used(t *testing.T, quota, name string) string {
	t.Helper()
	q, err := g.client.CoreV1().ResourceQuotas(g.namespace).Get(t.Context(), quota, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	n, ok := q.Status.Used[corev1.ResourceName(name)]
	if !ok {
		return ""
	}
	return n.String()
}

func TestANamespaceHoldsWhatItsQuotaAllows(t *testing.T) {
	p := startPortico(t)
	g := newGarden(t, p)
	g.kubectl(t, "-n", g.namespace, "create", "quota", "bounds", "--hard=configmaps=3,count/secrets=1,services.nodeports=1,count/roles.rbac.authorization.k8s.io=0")
	counted := func(name, want string) {
		t.Helper()
		eventually(t, name+" are counted to be "+want, func() bool { return g.used(t, "bounds", name) == want })
	}
	counted("configmaps", "1") // kube-root-ca.crt
	g.plant(t, "one")
	if got := g.used(t, "bounds", "configmaps"); got != "2" {
		t.Errorf("after a create %s are used, want 2 at once", got)
	}
	_, _, err := g.tryKubectl(t, "", "-n", g.namespace, "create", "configmap", "dry", "--dry-run=server")
	if got := g.used(t, "bounds", "configmaps"); err != nil || got != "2" {
		t.Errorf("after a dry run %s are used: %v", got, err)
	}
	g.plant(t, "two")
	for kind, c := range map[string]struct {
		args []string
		want string
	}{
		"a config map": {[]string{"configmap", "three"}, `configmaps "three" is forbidden: exceeded quota: bounds, requested: configmaps=1, used: configmaps=3, limited: configmaps=3`},
		"a role":       {[]string{"role", "r", "--verb=get", "--resource=configmaps"}, `exceeded quota: bounds, requested: count/roles.rbac.authorization.k8s.io=1`},
	} {
		if _, errs, err := g.tryKubectl(t, "", append([]string{"-n", g.namespace, "create"}, c.args...)...); err == nil || !strings.Contains(errs, c.want) {
			t.Errorf("%s: got %v %s, want %q", kind, err, errs, c.want)
		}
	}
	g.kubectl(t, "-n", g.namespace, "create", "secret", "generic", "only")
	if _, _, err := g.tryKubectl(t, "", "-n", g.namespace, "create", "secret", "generic", "more"); err == nil {
		t.Error("a second secret was let in")
	}

	g.kubectl(t, "-n", g.namespace, "delete", "configmap", "one")
	counted("configmaps", "2")
	g.plant(t, "three")

	// A service that becomes one with a node port is charged then.
	g.kubectl(t, "-n", g.namespace, "create", "service", "nodeport", "first", "--tcp=80")
	g.kubectl(t, "-n", g.namespace, "create", "service", "externalname", "second", "--external-name=example.com")
	if _, errs, err := g.tryKubectl(t, "", "-n", g.namespace, "patch", "service", "second", "-p", `{"spec":{"type":"NodePort","externalName":null,"ports":[{"port":80}]}}`); err == nil || !strings.Contains(errs, "services.nodeports=1") {
		t.Errorf("a second node port: %v %s", err, errs)
	}

	g.kubectl(t, "-n", g.namespace, "patch", "quota", "bounds", "--type=merge", "-p", `{"spec":{"hard":{"configmaps":"9"}}}`)
	eventually(t, "the new bound holds", func() bool {
		_, _, err := g.tryKubectl(t, "", "-n", g.namespace, "create", "configmap", "four")
		return err == nil
	})
	if got := g.kubectl(t, "-n", g.namespace, "describe", "quota", "bounds"); !strings.Contains(got, "configmaps") || !strings.Contains(got, "9") {
		t.Errorf("kubectl describe quota shows %s", got)
	}
	if _, errs, err := g.tryKubectl(t, "", "-n", g.namespace, "create", "quota", "bad", "--hard=configmaps=-1,oranges=2"); err == nil ||
		!strings.Contains(errs, "spec.hard[configmaps]: Invalid value") || !strings.Contains(errs, "spec.hard[oranges]: Invalid value") {
		t.Errorf("a quota that is none: %v %s", err, errs)
	}
	g.kubectl(t, "-n", g.namespace, "delete", "quota", "bounds")
	g.kubectl(t, "-n", g.namespace, "create", "secret", "generic", "more")
}

// However many create at the same time, no more come in than may.
func TestManyAtOnceDoNotExceedAQuota(t *testing.T) {
	p := startPortico(t)
	g := newGarden(t, p)
	g.kubectl(t, "-n", g.namespace, "create", "quota", "bounds", "--hard=count/configmaps=11")
	eventually(t, "it is counted", func() bool { return g.used(t, "bounds", "count/configmaps") == "1" })
	var created, refused atomic.Int32
	var running sync.WaitGroup
	for i := range 64 {
		running.Go(func() {
			_, err := g.client.CoreV1().ConfigMaps(g.namespace).Create(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprint("m", i)}}, metav1.CreateOptions{})
			switch {
			case err == nil:
				created.Add(1)
			case apierrors.IsForbidden(err):
				refused.Add(1)
			default:
				t.Error(err)
			}
		})
	}
	running.Wait()
	if created.Load() != 10 || refused.Load() != 54 {
		t.Errorf("%d were created and %d refused, want 10 and 54", created.Load(), refused.Load())
	}
	if list, err := g.client.CoreV1().ConfigMaps(g.namespace).List(t.Context(), metav1.ListOptions{}); err != nil || len(list.Items) != 11 {
		t.Errorf("there are %d config maps, %v", len(list.Items), err)
	}
}
