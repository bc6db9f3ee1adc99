package e2e

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A definition of boats that differs in some words.
const boats = `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: boats.GROUP, annotations: {api-approved.kubernetes.io: "unapproved, it is a test"}}
spec:
  group: GROUP
  scope: SCOPE
  names: {plural: boats, kind: Boat}
  versions:
  - name: VERSION
    served: true
    storage: true
    schema:
      openAPIV3Schema:
        type: object
        properties: {spec: {type: object, properties: {sails: {type: integer, maximum: 9}, crew: {type: array, items: {type: string}}}}}
`

func boatsOf(group, version, scope string) string {
	return strings.NewReplacer("GROUP", group, "VERSION", version, "SCOPE", scope).Replace(boats)
}

func boat(group, version, name string) string {
	return "apiVersion: " + group + "/" + version + "\nkind: Boat\nmetadata: {name: " + name + "}\nspec: {sails: 2, crew: [ann, ben]}\n"
}

// defines applies a definition of boats and waits until it is served.
func defines(t *testing.T, p *portico, group, version, scope string) {
	t.Helper()
	p.kubectlIn(t, boatsOf(group, version, scope), "apply", "-f", "-")
	p.kubectl(t, "wait", "--for=condition=Established", "crd/boats."+group, "--timeout=60s")
}

// People look at custom resources in columns of their own, watch them, and edit them, and are told by the editor what they did wrong.
func TestKubectlWatchesAndEditsCustomResources(t *testing.T) {
	t.Parallel()
	p := startPortico(t)
	defines(t, p, "sea.example.com", "v1", "Namespaced")
	watcher := startWatch(t, p, "get", "boats", "-w", "-o", "custom-columns=IS:.metadata.name,SAILS:.spec.sails,FIRST:.spec.crew[0]")
	p.kubectlIn(t, boat("sea.example.com", "v1", "anna"), "create", "-f", "-")
	watcher.expect(t, "anna")
	says(t, p, "NAME SAILS CREW anna 2 ann,ben", "get", "boats", "-o", "custom-columns=NAME:.metadata.name,SAILS:.spec.sails,CREW:.spec.crew[*]")
	says(t, p, "anna 2", "get", "boats", "-o", `go-template={{range .items}}{{.metadata.name}} {{.spec.sails}}{{end}}`)
	says(t, p, "anna", "get", "boats", "--sort-by=.spec.sails", "--no-headers")

	edit := func(script string) (string, string, error) {
		t.Helper()
		file := filepath.Join(t.TempDir(), "editor")
		if err := os.WriteFile(file, []byte("#!/bin/sh\n"+script+"\n"), 0o700); err != nil {
			t.Fatal(err)
		}
		return run(t, []string{"KUBECONFIG=" + p.kubeconfig, "HOME=" + p.home, "KUBE_EDITOR=" + file}, "", kubectlBinary, "edit", "boat", "anna")
	}
	if out, errs, err := edit(`sed -i 's/sails: 2/sails: 3/' "$1"`); err != nil || !strings.Contains(out, "boat.sea.example.com/anna edited") {
		t.Errorf("edit: %v %s%s", err, out, errs)
	}
	watcher.expect(t, "3")
	// What is not valid is opened again with what is wrong, and a second look mends it.
	mended := `if grep -q 'less than or equal to 9' "$1"; then sed -i 's/sails: 30/sails: 8/' "$1"; else sed -i 's/sails: 3$/sails: 30/' "$1"; fi`
	if out, errs, err := edit(mended); err != nil || !strings.Contains(out, "edited") {
		t.Errorf("edit after a mistake: %v %s%s", err, out, errs)
	}
	says(t, p, "8", "get", "boat", "anna", "-o", "jsonpath={.spec.sails}")
}

// A definition that is deleted and made anew may have another scope: clients find the new one, and nothing of the old.
func TestADefinitionChangesItsScope(t *testing.T) {
	t.Parallel()
	p := startPortico(t)
	defines(t, p, "sea.example.com", "v1", "Namespaced")
	p.kubectlIn(t, boat("sea.example.com", "v1", "anna"), "create", "-f", "-")
	refuses(t, p, "spec.scope: Invalid value", boatsOf("sea.example.com", "v1", "Cluster"), "apply", "-f", "-")
	p.kubectl(t, "delete", "crd", "boats.sea.example.com", "--timeout=60s")
	defines(t, p, "sea.example.com", "v1", "Cluster")
	p.untilKubectl(t, "false", "api-resources", "--api-group=sea.example.com", "--no-headers")
	if out := p.kubectl(t, "get", "boats", "-o", "name"); out != "" {
		t.Errorf("of the old definition: %s", out)
	}
	p.kubectlIn(t, boat("sea.example.com", "v1", "berta"), "create", "-f", "-")
	for path, want := range map[string]int{"boats/berta": http.StatusOK, "namespaces/default/boats/berta": http.StatusNotFound, "namespaces/default/boats": http.StatusNotFound} {
		if code, body := p.get(t, "/apis/sea.example.com/v1/"+path); code != want {
			t.Errorf("%s: %d %s", path, code, body)
		}
	}
}

// A group can belong to several: versions of it to an extension API server, another to a definition. Of one version, who was registered
// by a person has it. A version of a group that is built in can be defined, but the unit that has the group answers for it.
func TestADefinitionSharesItsGroup(t *testing.T) {
	t.Parallel()
	p := startPortico(t)
	const group = "wardle.example.com"
	sample := startSampleAPIServer(t, p.kubeconfig)
	p.kubectl(t, "apply", "-f", wardleManifests(t, sample.port))
	p.kubectl(t, "wait", "--for=condition=Available", "--timeout=60s", "apiservice/v1alpha1."+group)
	p.kubectl(t, "create", "-f", "../../deploy/examples/flunder.yaml")

	defines(t, p, group, "v1", "Namespaced")
	says(t, p, "v1."+group+" Local True", "get", "apiservice", "v1."+group)
	p.untilKubectl(t, "boats", "api-resources", "--api-group="+group)
	p.kubectlIn(t, boat(group, "v1", "anna"), "create", "-f", "-")
	says(t, p, "boat.wardle.example.com/anna flunder.wardle.example.com/my-first-flunder", "get", "boats,flunders", "-o", "name")
	for _, want := range []string{"boats wardle.example.com/v1 true Boat", "flunders wardle.example.com/v1alpha1 true Flunder"} {
		says(t, p, want, "api-resources", "--api-group="+group)
	}
	says(t, p, "sails <integer>", "explain", "boat.spec")
	says(t, p, "Flunder", "explain", "flunder")
	if _, body := p.get(t, "/apis/"+group); !strings.Contains(body, group+"/v1\"") || !strings.Contains(body, group+"/v1alpha1\"") {
		t.Errorf("the group: %s", body)
	}
	p.kubectl(t, "delete", "crd", "boats."+group, "--timeout=60s")
	says(t, p, "my-first-flunder", "get", "flunders", "-o", "name")

	// The version of the extension API server stays its own.
	defines(t, p, group, "v1alpha1", "Namespaced")
	if code, body := p.get(t, "/apis/"+group+"/v1alpha1/namespaces/default/boats"); code != http.StatusNotFound {
		t.Errorf("a definition took a version that is somebody's: %d %s", code, body)
	}
	says(t, p, "my-first-flunder", "get", "flunders", "-o", "name")
	says(t, p, "wardle/api True", "get", "apiservice", "v1alpha1."+group)
	// And is the definition's when that gives it up.
	p.kubectl(t, "delete", "apiservice", "v1alpha1."+group)
	eventually(t, "the definition is served", func() bool {
		code, _ := p.get(t, "/apis/"+group+"/v1alpha1/namespaces/default/boats")
		return code == http.StatusOK
	})
	p.kubectlIn(t, boat(group, "v1alpha1", "berta"), "create", "-f", "-")

	// The group coordination.k8s.io is built in.
	const builtIn = "coordination.k8s.io"
	for _, version := range []string{"v9", "v1"} {
		defines(t, p, builtIn, version, "Namespaced")
		if code, body := p.get(t, "/apis/"+builtIn+"/"+version+"/namespaces/default/boats"); code != http.StatusNotFound || !strings.Contains(body, "the server could not find the requested resource") {
			t.Errorf("%s: %d %s", version, code, body)
		}
		says(t, p, "apiserver-", "get", "leases", "-n", "kube-system", "-o", "name")
		p.kubectl(t, "delete", "crd", "boats."+builtIn, "--timeout=60s")
	}
	says(t, p, "Local True", "get", "apiservice", "v1."+builtIn)
}
