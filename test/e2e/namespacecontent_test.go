package e2e

import (
	"strings"
	"testing"
)

// What an extension API server has in a namespace goes with it, and while that server is away so does
// everything else: nothing of a deleted namespace is ever seen in a new one of its name.
func TestANamespaceTakesTheObjectsOfExtensionServersWithIt(t *testing.T) {
	t.Parallel() // among the longest, and mostly waiting
	p := startPortico(t)
	sample := startSampleAPIServer(t, p.kubeconfig)
	p.kubectl(t, "apply", "-f", wardleManifests(t, sample.port))
	p.kubectl(t, "wait", "--for=condition=Available", "--timeout=60s", "apiservice/v1alpha1.wardle.example.com")
	p.untilKubectl(t, "wardle.example.com/v1alpha1", "api-resources")
	furnish := func() {
		t.Helper()
		p.kubectl(t, "create", "namespace", "demo")
		p.untilKubectl(t, "created", "-n", "demo", "create", "-f", "../../deploy/examples/flunder.yaml") // it must have heard of the namespace
		p.kubectl(t, "-n", "demo", "create", "configmap", "settings")
	}
	isEmpty := func() {
		t.Helper()
		p.kubectl(t, "create", "namespace", "demo")
		if got := p.kubectl(t, "-n", "demo", "get", "flunders", "-o", "name"); got != "" {
			t.Errorf("a new namespace has flunders of a deleted one: %s", got)
		}
		p.kubectl(t, "delete", "namespace", "demo", "--timeout=60s")
	}

	furnish()
	p.kubectl(t, "delete", "namespace", "demo", "--timeout=60s")
	isEmpty()

	furnish()
	sample.kill()
	p.kubectl(t, "delete", "namespace", "demo", "--wait=false")
	const failure = `jsonpath={.status.phase} {.status.conditions[?(@.type=="NamespaceDeletionDiscoveryFailure")]}`
	told := p.untilKubectl(t, "wardle.example.com/v1alpha1", "get", "namespace", "demo", "-o", failure)
	for _, want := range []string{"Terminating", `"status":"True"`, `"reason":"DiscoveryFailed"`} {
		if !strings.Contains(told, want) {
			t.Errorf("the namespace lacks %q: %s", want, told)
		}
	}
	if got := p.kubectl(t, "-n", "demo", "get", "configmaps", "-o", "name"); strings.Contains(got, "settings") {
		t.Errorf("what is stored here was not deleted: %s", got)
	}

	p.interrupt(t)
	p.wait(t)
	p = restartPortico(t, p.dataDir)
	if told := p.kubectl(t, "get", "namespace", "demo", "-o", failure); !strings.Contains(told, "wardle.example.com/v1alpha1") {
		t.Errorf("after a restart the namespace says %s", told)
	}
	sample.start(t)
	p.kubectl(t, "wait", "--for=delete", "namespace/demo", "--timeout=60s")
	p.kubectl(t, "wait", "--for=condition=Available", "--timeout=60s", "apiservice/v1alpha1.wardle.example.com")
	isEmpty()

	furnish()
	sample.kill()
	p.kubectl(t, "delete", "namespace", "demo", "--wait=false")
	p.untilKubectl(t, "wardle.example.com/v1alpha1", "get", "namespace", "demo", "-o", failure)
	p.kubectl(t, "delete", "apiservice", "v1alpha1.wardle.example.com", "v1beta1.wardle.example.com", "--ignore-not-found")
	p.kubectl(t, "wait", "--for=delete", "namespace/demo", "--timeout=60s")
}
