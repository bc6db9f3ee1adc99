package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const crontabDefinition = `apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: crontabs.stable.example.com}
spec:
  group: stable.example.com
  scope: Namespaced
  names: {plural: crontabs, singular: crontab, kind: CronTab}
  versions:
  - name: v1
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object, properties: {spec: {type: object, properties: {replicas: {type: integer, minimum: 1}}}}}}
`

// A front door is configured from a folder, whatever the order of what is in it, and follows the folder at each start.
func TestAFolderOfManifestsIsAppliedAtTheStart(t *testing.T) {
	t.Parallel()
	dir, data := t.TempDir(), filepath.Join(t.TempDir(), "data")
	write := func(file, text string) {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("10-first.yaml", "apiVersion: stable.example.com/v1\nkind: CronTab\nmetadata: {name: nightly, namespace: shop}\nspec: {replicas: 2}\n")
	write("20-definition.yaml", crontabDefinition)
	write("30-rest.yml", `apiVersion: v1
kind: List
items:
- {apiVersion: v1, kind: Namespace, metadata: {name: shop}}
- {apiVersion: v1, kind: ConfigMap, metadata: {name: settings}, data: {color: red}}
- apiVersion: rbac.authorization.k8s.io/v1
  kind: ClusterRole
  metadata: {name: crontab-reader}
  rules: [{apiGroups: [stable.example.com], resources: [crontabs], verbs: [get, list, watch]}]
`)
	p := restartPortico(t, data, "--manifests-dir", dir)
	if got := p.kubectl(t, "get", "crontab", "nightly", "-n", "shop", "-o", "jsonpath={.spec.replicas}"); got != "2" {
		t.Errorf("got %s replicas", got)
	}
	p.kubectl(t, "get", "clusterrole", "crontab-reader")
	p.kubectl(t, "patch", "configmap", "settings", "--type=merge", "-p", `{"data":{"color":"blue","size":"big"}}`)
	p.interrupt(t)
	p.wait(t)

	write("10-first.yaml", "apiVersion: stable.example.com/v1\nkind: CronTab\nmetadata: {name: nightly, namespace: shop}\nspec: {replicas: 3}\n")
	p = restartPortico(t, data, "--manifests-dir", dir)
	if got := p.kubectl(t, "get", "crontab", "nightly", "-n", "shop", "-o", "jsonpath={.spec.replicas}"); got != "3" {
		t.Errorf("after a change of the file: got %s replicas", got)
	}
	if got := p.kubectl(t, "get", "configmap", "settings", "-o", "jsonpath={.data.color} {.data.size}"); got != "red big" {
		t.Errorf("what another has changed: got %q, want what the folder says of it, and the rest", got)
	}
	p.interrupt(t)
	p.wait(t)

	// What is refused is told of with its file and field, and keeps nothing else from being served: it may be the doing of others.
	write("10-first.yaml", "apiVersion: stable.example.com/v1\nkind: CronTab\nmetadata: {name: nightly, namespace: shop}\nspec: {replicas: 0}\n")
	write("40-more.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: more}\n")
	p = restartPortico(t, data, "--manifests-dir", dir)
	p.kubectl(t, "get", "configmap", "more")
	for _, want := range []string{"A manifest is refused", "10-first.yaml, document 1", "spec.replicas", "Ready without 1 of "} {
		if !strings.Contains(p.output.String(), want) {
			t.Errorf("nothing tells %q:\n%s", want, p.output)
		}
	}
	p.interrupt(t)
	if code := p.wait(t); code != 0 {
		t.Errorf("it ended with %d", code)
	}

	// What cannot be read stops the start.
	write("10-first.yaml", "apiVersion: v1\nkind: ConfigMap\n")
	refused := start(t, t.TempDir(), porticoBinary, "serve", "--data-dir", data, "--secure-port", "0", "--manifests-dir", dir)
	if code := refused.wait(t); code == 0 || !strings.Contains(refused.output.String(), "10-first.yaml, document 1: metadata.name is missing") {
		t.Errorf("it ended with %d and\n%s", code, refused.output)
	}
}

// What manifests wait for must not keep everything else from being served.
func TestManifestsThatWaitDoNotKeepTheServerFromServing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "a.yaml"), []byte("apiVersion: stable.example.com/v1\nkind: CronTab\nmetadata: {name: late}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p := startPortico(t, "--manifests-dir", dir)
	if !strings.Contains(p.output.String(), "A manifest waits") {
		t.Errorf("nothing tells of what is missing:\n%s", p.output)
	}
	p.kubectlIn(t, crontabDefinition, "apply", "-f", "-")
	p.untilKubectl(t, "late", "get", "crontab", "late", "-o", "name")
}
