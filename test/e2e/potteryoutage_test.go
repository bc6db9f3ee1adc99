package e2e

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic/dynamicinformer"
	"k8s.io/client-go/tools/cache"
)

const conversionFailed = "conversion webhook for pottery.example.com/v1, Kind=Pot failed: "

// While the webhook that converts is gone, what needs it fails with its name, everything else goes on, and nothing that is stored is lost; when it
// comes back, so does everything, also for those who watched.
func TestAConversionWebhookThatIsGoneLosesNothing(t *testing.T) {
	t.Parallel()
	p := newPottery(t)
	p.makes(t, "v1", "first", map[string]any{"size": "3x4"})
	p.makes(t, "v2", "second", map[string]any{"width": int64(5), "height": int64(6), "glaze": "blue"})
	p.kubectl(t, "wait", "pots", "--all", "--for=jsonpath={.status.phase}=Fired", "--timeout=60s")
	before := p.kubectl(t, "get", in("v2"), "-o", "yaml")
	watcher := p.informs(t, "v2")

	managers := p.kubectl(t, "get", in("v1"), "first", "--show-managed-fields", "-o", "jsonpath={.metadata.managedFields}")
	p.potter.kill()
	says(t, p.portico, "first 3 clear second 5 blue", "get", in("v2"), "--no-headers") // what has been converted already is remembered
	p.kubectl(t, "patch", in("v1"), "first", "--subresource=status", "--type=merge", "-p", `{"status":{"phase":"Cracked"}}`)
	refuses(t, p.portico, conversionFailed+`Post "https://potter.default.svc:443/convert?timeout=30s"`, "", "get", in("v2"), "first")
	refuses(t, p.portico, conversionFailed, "", "get", in("v2"))
	_, err := p.pots("v2").Get(t.Context(), "first", metav1.GetOptions{})
	if !apierrors.IsInternalError(err) {
		t.Errorf("it is not told as an internal error: %v", err)
	}
	refuses(t, p.portico, `failed calling webhook "complete.pottery.example.com"`, `{"apiVersion":"pottery.example.com/v2","kind":"Pot","metadata":{"name":"third"},"spec":{"width":1,"height":2}}`, "create", "-f", "-")
	refuses(t, p.portico, conversionFailed, "", "patch", in("v1"), "first", "--type=merge", "-p", `{"spec":{"size":"1x1"}}`) // as those are asked in v2
	// The stored version, what is not judged, discovery, documents and other resources.
	says(t, p.portico, "first 3x4 second 5x6", "get", in("v1"), "--no-headers")
	says(t, p.portico, "Cracked", "get", in("v1"), "first", "-o", "jsonpath={.status.phase}")
	if now := p.kubectl(t, "get", in("v1"), "first", "--show-managed-fields", "-o", "jsonpath={.metadata.managedFields}"); now != managers {
		t.Errorf("who manages what was\n%s\nand is\n%s", managers, now)
	}
	says(t, p.portico, "size <string> -required-", "explain", "pot.spec", "--api-version=pottery.example.com/v1")
	p.kubectl(t, "create", "configmap", "other")
	p.kubectl(t, "create", "namespace", "short")
	p.kubectl(t, "delete", "namespace", "short", "--timeout=60s")

	p.restart(t)
	refuses(t, p.portico, conversionFailed, "", "get", in("v2"), "first")
	p.startPotter(t)
	eventually(t, "the potter fires the pot anew, and who watches it sees that", func() bool {
		stored, exists, err := watcher.GetByKey("default/first")
		if err != nil || !exists {
			return false
		}
		pot := stored.(*unstructured.Unstructured)
		phase, _, _ := unstructured.NestedString(pot.Object, "status", "phase")
		return phase == "Fired" && !strings.Contains(before, `resourceVersion: "`+pot.GetResourceVersion()+`"`)
	})
	after := p.kubectl(t, "get", in("v2"), "-o", "yaml")
	if a, b := versionless(before), versionless(after); a != b {
		t.Errorf("pots were\n%s\nand are\n%s", a, b)
	}
}

// restart starts the front door again where clients find it.
func (p *pottery) restart(t *testing.T) {
	t.Helper()
	p.interrupt(t)
	p.wait(t)
	p.portico = restartPortico(t, p.dataDir, "--secure-port", strings.TrimPrefix(p.url, "https://127.0.0.1:"))
}

// versionless is YAML without what every write changes.
func versionless(text string) string {
	var lines []string
	for line := range strings.Lines(text) {
		if !strings.Contains(line, "resourceVersion:") {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "")
}

// informs follows pots in a version as controllers do.
func (p *pottery) informs(t *testing.T, version string) cache.Indexer {
	t.Helper()
	factory := dynamicinformer.NewFilteredDynamicSharedInformerFactory(p.client, 0, "default", nil)
	informer := factory.ForResource(p.of(version)).Informer()
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(func() {
		cancel()
		factory.Shutdown()
	})
	factory.Start(ctx.Done())
	if !cache.WaitForCacheSync(ctx.Done(), informer.HasSynced) {
		t.Fatal("the informer has not synced")
	}
	return informer.GetIndexer()
}

// A webhook that takes connections and says nothing is waited for, no longer than the contract says, by those who need it, and by nobody else.
func TestAConversionWebhookThatHangsHoldsUpNobodyElse(t *testing.T) {
	t.Parallel()
	p := newPottery(t)
	p.makes(t, "v1", "first", map[string]any{"size": "3x4"})
	p.kubectl(t, "wait", "pots", "--all", "--for=jsonpath={.status.phase}=Fired", "--timeout=60s")
	p.makes(t, "v1", "second", map[string]any{"size": "1x1"})
	if err := p.potter.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	p.restart(t) // which forgets what has been converted

	var waiting sync.WaitGroup
	var answered atomic.Int32
	errs := make([]error, 24)
	begin := time.Now()
	for i := range errs {
		waiting.Go(func() {
			if i%2 == 0 {
				_, errs[i] = p.pots("v2").List(t.Context(), metav1.ListOptions{})
			} else {
				_, errs[i] = p.pots("v2").Get(t.Context(), "first", metav1.GetOptions{})
			}
			answered.Add(1)
		})
	}
	client := p.portico.client(t)
	for i := range 5 {
		p.reads(t, client, fmt.Sprintf("/api/v1/namespaces/default/configmaps?limit=%d", i+1))
		p.reads(t, client, "/apis/pottery.example.com/v1/namespaces/default/pots/first")
		p.reads(t, client, "/apis/pottery.example.com/v1/pots")
		p.reads(t, client, "/apis/apiextensions.k8s.io/v1/customresourcedefinitions")
		p.reads(t, client, "/openapi/v3/apis/pottery.example.com/v2")
		other := &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": fmt.Sprint("other-", i)}}}
		if _, err := p.client.Resource(corev1.SchemeGroupVersion.WithResource("configmaps")).Namespace("default").Create(t.Context(), other, metav1.CreateOptions{}); err != nil {
			t.Error(err)
		}
	}
	if n := answered.Load(); n > 0 {
		t.Errorf("%d requests that need the webhook were answered before the others", n)
	}
	p.kubectl(t, "create", "namespace", "short")
	p.kubectl(t, "delete", "namespace", "short", "--timeout=60s")
	waiting.Wait()
	for _, err := range errs {
		if !apierrors.IsInternalError(err) && !apierrors.IsTimeout(err) || !strings.Contains(err.Error(), conversionFailed) {
			t.Fatalf("after %v: got %v", time.Since(begin), err)
		}
	}

	if err := p.potter.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the webhook answers again", func() bool {
		pot, err := p.pots("v2").Get(t.Context(), "first", metav1.GetOptions{})
		return err == nil && pot.Object["spec"].(map[string]any)["width"] == int64(3)
	})
}

// reads reads a path that must be there.
func (p *pottery) reads(t *testing.T, client *http.Client, path string) {
	t.Helper()
	if code, body := fetch(t, client, p.url+path); code != http.StatusOK {
		t.Errorf("%s: %d %s", path, code, tail(body, 500))
	}
}
