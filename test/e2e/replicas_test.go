package e2e

import (
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

var leads = regexp.MustCompile(`(?m)^leader_election_master_status\{name="controllers"\} 1$`)

func (p *portico) leads(t *testing.T) bool {
	t.Helper()
	_, body := p.get(t, "/metrics")
	return leads.MatchString(body)
}

// Two replicas on one etcd: each serves, and one of them does what must not be done twice, until it ends or is killed.
func TestOneOfTheReplicasRunsTheControllers(t *testing.T) {
	etcd := startEtcd(t)
	replica := func(name string) *portico {
		t.Helper()
		return restartPortico(t, filepath.Join(t.TempDir(), name), "--etcd-servers", etcd)
	}
	one := replica("one")
	eventually(t, "the first one leads", func() bool { return one.leads(t) })
	two := replica("two")
	if two.leads(t) {
		t.Fatal("both lead")
	}

	// Work that only the leader does gets done, whichever replica it was asked of.
	works := func(asked *portico, name string) {
		t.Helper()
		g := newGarden(t, asked)
		root := g.plant(t, "root")
		g.plant(t, "child", ownedBy(root, false))
		g.delete(t, "root", "background")
		g.goes(t, "child")
		g.kubectl(t, "delete", "namespace", g.namespace, "--timeout=60s")
	}
	works(two, "while the other leads")

	one.interrupt(t)
	one.wait(t)
	begin := time.Now()
	eventually(t, "the second one leads", func() bool { return two.leads(t) })
	if took := time.Since(begin); took > 5*time.Second {
		t.Errorf("it took %v after a farewell", took)
	}
	works(two, "alone")

	three := replica("three")
	g := newGarden(t, three)
	root := g.plant(t, "root")
	for i := range 50 {
		g.plant(t, fmt.Sprint("child-", i), ownedBy(root, true))
	}
	g.kubectl(t, "-n", g.namespace, "delete", "configmap", "root", "--cascade=foreground", "--wait=false")
	two.kill()
	eventually(t, "the third one leads", func() bool { return three.leads(t) })
	eventually(t, "what was begun is finished", func() bool {
		_, err := g.client.CoreV1().ConfigMaps(g.namespace).Get(t.Context(), "root", metav1.GetOptions{})
		return apierrors.IsNotFound(err)
	})
	if out := three.kubectl(t, "-n", g.namespace, "get", "configmaps", "-o", "name"); strings.Contains(out, "child") {
		t.Errorf("children are left: %s", out)
	}
}
