package e2e

import (
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/util/cert"
)

// pottery is a front door with pots, and the potter who converts and judges them: an operator made with controller-runtime.
type pottery struct {
	*portico
	potter       *process
	port, folder string // of its webhooks, and of their certificate
	client       dynamic.Interface
}

func newPottery(t *testing.T) *pottery {
	t.Helper()
	p := &pottery{portico: startPortico(t), port: strconv.Itoa(freePort(t)), folder: t.TempDir()}
	bundle, key, err := cert.GenerateSelfSignedCertKey("potter.default.svc", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{"tls.crt": bundle, "tls.key": key} {
		if err := os.WriteFile(filepath.Join(p.folder, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	manifests, err := os.ReadFile("testdata/pottery.yaml")
	if err != nil {
		t.Fatal(err)
	}
	p.kubectlIn(t, strings.NewReplacer("PORT", p.port, "BUNDLE", base64.StdEncoding.EncodeToString(bundle)).Replace(string(manifests)), "create", "-f", "-")
	p.kubectl(t, "wait", "--for=condition=Established", "crd/pots.pottery.example.com", "--timeout=60s")
	config, err := clientcmd.BuildConfigFromFlags("", p.kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	config.QPS = -1
	if p.client, err = dynamic.NewForConfig(config); err != nil {
		t.Fatal(err)
	}
	p.startPotter(t)
	return p
}

// startPotter starts it, also again after it was killed, and waits until it converts and judges.
func (p *pottery) startPotter(t *testing.T) {
	t.Helper()
	p.potter = startWith(t, []string{"KUBECONFIG=" + p.kubeconfig, "HOME=" + t.TempDir()}, potterBinary(t), p.port, p.folder)
	eventually(t, "the potter answers", func() bool {
		if p.potter.ended() {
			t.Fatalf("the potter ended:\n%s", p.potter.output)
		}
		_, err := p.pots("v1").Create(t.Context(), pot("v1", "probe", map[string]any{"size": "1x1"}), metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		return err == nil
	})
}

func (p *pottery) of(version string) schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: "pottery.example.com", Version: version, Resource: "pots"}
}

func (p *pottery) pots(version string) dynamic.ResourceInterface {
	return p.client.Resource(p.of(version)).Namespace("default")
}

func pot(version, name string, spec map[string]any) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "pottery.example.com/" + version, "kind": "Pot", "metadata": map[string]any{"name": name}, "spec": spec,
	}}
}

func (p *pottery) makes(t *testing.T, version, name string, spec map[string]any) {
	t.Helper()
	if _, err := p.pots(version).Create(t.Context(), pot(version, name, spec), metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}

// has compares the spec of a pot in a version with what it is in JSON.
func (p *pottery) has(t *testing.T, version, name, want string) {
	t.Helper()
	got, err := p.pots(version).Get(t.Context(), name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	is(t, got, `"pottery.example.com/`+version+`"`, "apiVersion")
	is(t, got, want, "spec")
}

// in is a resource of kubectl in one version.
func in(version string) string { return "pots." + version + ".pottery.example.com" }

// An operator whose resource has two versions converts what is written in the one for those who read the other, is asked before anything is stored
// in either, and sees its objects through from order to shards. Then the version that is stored is changed, and the first one is dropped.
func TestAnOperatorConvertsItsResource(t *testing.T) {
	t.Parallel()
	p := newPottery(t)

	// Written in one version, read in the other and back; completed and judged in the second whatever it was written in.
	p.makes(t, "v1", "first", map[string]any{"size": "3x4"})
	p.makes(t, "v2", "second", map[string]any{"width": int64(5), "height": int64(6), "glaze": "blue"})
	p.has(t, "v1", "first", `{"size":"3x4"}`)
	p.has(t, "v2", "first", `{"glaze":"clear","height":4,"width":3}`)
	p.has(t, "v1", "second", `{"size":"5x6"}`)
	p.has(t, "v2", "second", `{"glaze":"blue","height":6,"width":5}`)
	p.kubectl(t, "patch", in("v1"), "second", "--type=merge", "-p", `{"spec":{"size":"7x6"}}`)
	p.has(t, "v2", "second", `{"glaze":"blue","height":6,"width":7}`)
	p.kubectlIn(t, `{"apiVersion":"pottery.example.com/v2","kind":"Pot","metadata":{"name":"third"},"spec":{"width":1,"height":2}}`, "apply", "--server-side", "-f", "-")
	p.kubectlIn(t, `{"apiVersion":"pottery.example.com/v1","kind":"Pot","metadata":{"name":"third","labels":{"a":"b"}}}`, "apply", "--server-side", "--field-manager=label", "-f", "-")
	p.has(t, "v2", "third", `{"glaze":"clear","height":2,"width":1}`)
	says(t, p.portico, "NAME SIZE first 3x4 second 7x6 third 1x2", "get", in("v1"))
	says(t, p.portico, "NAME WIDTH GLAZE first 3 clear second 7 blue third 1 clear", "get", "pots")
	refuses(t, p.portico, `admission webhook "judge.pottery.example.com" denied the request: lead is poison`, "",
		"patch", in("v2"), "first", "--type=merge", "-p", `{"spec":{"glaze":"lead"}}`)
	refuses(t, p.portico, "lead is poison", "", "annotate", in("v1"), "first", "--overwrite", "pottery.example.com/glaze=lead")
	refuses(t, p.portico, `conversion webhook for pottery.example.com/v1, Kind=Pot failed: the size "large" is not like 3x4`, "",
		"patch", in("v1"), "first", "--type=merge", "-p", `{"spec":{"size":"large"}}`)
	refuses(t, p.portico, "spec.width in body should be greater than or equal to 1", "", "patch", in("v2"), "first", "--type=merge", "-p", `{"spec":{"width":0}}`)
	if _, errs, err := p.tryKubectl(t, "", "patch", in("v1"), "third", "--type=merge", "-p", `{"spec":{"size":"1x9"}}`); err != nil || !strings.Contains(errs, "Warning: it will fall over") {
		t.Errorf("no warning: %v %s", err, errs)
	}

	// The operator works in one version, and those who watch the other see it.
	for _, version := range []string{"v1", "v2"} {
		p.kubectl(t, "wait", in(version), "--all", "--for=jsonpath={.status.phase}=Fired", "--timeout=60s")
	}
	p.watched(t, "v1", func() { p.makes(t, "v2", "fourth", map[string]any{"width": int64(2), "height": int64(2)}) }, `{"size":"2x2"}`)
	p.watched(t, "v2", func() { p.makes(t, "v1", "fifth", map[string]any{"size": "9x9"}) }, `{"glaze":"clear","height":9,"width":9}`)
	p.kubectl(t, "delete", in("v1"), "second", "--timeout=60s")
	says(t, p.portico, `"second":"blue"`, "get", "configmap", "shards", "-o", "jsonpath={.data}")

	p.migrates(t)
}

// watched checks that a watcher of a version sees a pot arrive in it, be fired, and go.
func (p *pottery) watched(t *testing.T, version string, make func(), want string) {
	t.Helper()
	list, err := p.pots(version).List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	w, err := p.pots(version).Watch(t.Context(), metav1.ListOptions{ResourceVersion: list.GetResourceVersion()})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Stop()
	make()
	seen := map[watch.EventType]bool{}
	fired := false
	for event := range w.ResultChan() {
		pot, ok := event.Object.(*unstructured.Unstructured)
		if !ok {
			t.Fatalf("got %v %v", event.Type, event.Object)
		}
		is(t, pot, `"pottery.example.com/`+version+`"`, "apiVersion")
		is(t, pot, want, "spec")
		seen[event.Type] = true
		if phase, _, _ := unstructured.NestedString(pot.Object, "status", "phase"); phase == "Fired" && !fired {
			fired = true
			p.kubectl(t, "delete", "pot", pot.GetName(), "--wait=false")
		}
		if event.Type == watch.Deleted {
			break
		}
	}
	if !fired || !seen[watch.Added] || !seen[watch.Modified] || !seen[watch.Deleted] {
		t.Errorf("a watcher of %s saw %v, fired %v", version, seen, fired)
	}
}

// migrates stores all pots in the second version, as people do it with kubectl, and drops the first.
func (p *pottery) migrates(t *testing.T) {
	t.Helper()
	before := p.kubectl(t, "get", in("v2"), "-o", "jsonpath={range .items[*]}{.metadata.uid}{.spec}{.status}{end}")
	p.kubectl(t, "patch", "crd", "pots.pottery.example.com", "--type=json", "-p",
		`[{"op":"replace","path":"/spec/versions/0/storage","value":false},{"op":"replace","path":"/spec/versions/1/storage","value":true}]`)
	p.untilKubectl(t, `["v1","v2"]`, "get", "crd", "pots.pottery.example.com", "-o", "jsonpath={.status.storedVersions}")
	const drop = `[{"op":"remove","path":"/spec/versions/0"},{"op":"replace","path":"/spec/conversion","value":{"strategy":"None"}}]`
	refuses(t, p.portico, `status.storedVersions[0]: Invalid value: "v1"`, "", "patch", "crd", "pots.pottery.example.com", "--type=json", "-p", drop)

	var list metav1.PartialObjectMetadataList
	if err := json.Unmarshal([]byte(p.kubectl(t, "get", in("v2"), "-o", "json")), &list); err != nil {
		t.Fatal(err)
	}
	p.kubectlIn(t, p.kubectl(t, "get", in("v2"), "-o", "json"), "replace", "-f", "-")
	for _, item := range list.Items {
		now, err := p.pots("v2").Get(t.Context(), item.Name, metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if now.GetResourceVersion() == item.ResourceVersion {
			t.Errorf("%s has not been stored anew", item.Name)
		}
	}
	p.kubectl(t, "patch", "crd", "pots.pottery.example.com", "--subresource=status", "--type=merge", "-p", `{"status":{"storedVersions":["v2"]}}`)
	p.potter.kill()
	// Nothing has to be converted any more.
	read := func(what string) {
		t.Helper()
		if after := p.kubectl(t, "get", in("v2"), "-o", "jsonpath={range .items[*]}{.metadata.uid}{.spec}{.status}{end}"); after != before {
			t.Errorf("%s: got %s, had %s", what, after, before)
		}
	}
	read("without the webhook")
	p.kubectl(t, "patch", "crd", "pots.pottery.example.com", "--type=json", "-p", drop)
	eventually(t, "the first version is not served any more", func() bool {
		code, _ := p.get(t, "/apis/pottery.example.com/v1/namespaces/default/pots")
		return code == 404
	})
	read("without the first version")
	p.interrupt(t)
	p.wait(t)
	p.portico = restartPortico(t, p.dataDir)
	read("after a restart")
}
