package conformance

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// kubectl runs the real kubectl as administrator and returns what it printed, errors included.
func (s *server) kubectl(t *testing.T, namespace, stdin string, args ...string) (string, error) {
	t.Helper()
	command := exec.CommandContext(within(t, patience), kubectlBinary, append([]string{"-n", namespace}, args...)...)
	command.Env = append(os.Environ(), "KUBECONFIG="+filepath.Join(s.dataDir, "admin.kubeconfig"), "HOME="+filepath.Join(s.dataDir, "home"), "KUBE_EDITOR=sed -i s/first/edited/")
	command.Stdin = strings.NewReader(stdin)
	var out bytes.Buffer
	command.Stdout, command.Stderr = &out, &out
	err := command.Run()
	return out.String(), err
}

// What people do with kubectl all day, in the order they do it, on each engine.
func TestKubectlDoesItsWork(t *testing.T) {
	onEachEngine(t, func(t *testing.T, s *server, namespace string) {
		const manifest = `apiVersion: v1
kind: ConfigMap
metadata: {name: one, labels: {app: web}}
data: {value: first}
---
apiVersion: v1
kind: Service
metadata: {name: web, labels: {app: web}}
spec: {selector: {app: web}, ports: [{name: http, port: 80}]}
`
		changed := strings.Replace(manifest, "port: 80", "port: 8080", 1)
		for _, step := range []struct {
			name, stdin string
			args        string
			want        string
			fails       bool
		}{
			{"dry run on the server", manifest, "apply --dry-run=server -f -", "configmap/one created (server dry run)", false},
			{"nothing came of it", "", "get configmap one", "NotFound", true},
			{"apply", manifest, "apply -f -", "service/web created", false},
			{"apply again", manifest, "apply -f -", "service/web unchanged", false},
			{"diff of nothing", manifest, "diff -f -", "", false},
			{"diff", changed, "diff -f -", "+    port: 8080", true},
			{"apply a change", changed, "apply -f -", "service/web configured", false},
			{"apply on the server", changed, "apply --server-side --force-conflicts -f -", "serverside-applied", false},
			{"a table", "", "get configmaps,services -l app=web", "service/web", false},
			{"more columns", "", "get services -o wide", "app=web", false},
			{"YAML", "", "get configmap one -o yaml", "value: first", false},
			{"a path", "", "get service web -o jsonpath={.spec.ports[0].port}", "8080", false},
			{"columns of one's own", "", "get configmaps -o custom-columns=N:.metadata.name,V:.data.value -l app=web", "one   first", false},
			{"sorted", "", "get configmaps --sort-by=.metadata.name --chunk-size=1", "kube-root-ca.crt", false},
			{"explain", "", "explain service.spec.ports.port", "The port that will be exposed", false},
			{"describe", "", "describe service web", "8080/TCP", false},
			{"label", "", "label configmap one tier=front", "configmap/one labeled", false},
			{"annotate", "", "annotate configmap one note=x", "configmap/one annotated", false},
			{"edit", "", "edit configmap one", "configmap/one edited", false},
			{"it was edited", "", "get configmap one -o jsonpath={.data.value}", "edited", false},
			{"a JSON patch", "", `patch configmap one --type=json -p [{"op":"add","path":"/data/json","value":"1"}]`, "patched", false},
			{"a merge patch", "", `patch configmap one --type=merge -p {"data":{"merge":"1"}}`, "patched", false},
			{"a strategic patch", "", `patch configmap one --type=strategic -p {"data":{"strategic":"1"}}`, "patched", false},
			{"all of them hold", "", "get configmap one -o jsonpath={.data}", `"json":"1","merge":"1","strategic":"1"`, false},
			{"replace", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: one}\ndata: {value: replaced}\n", "replace -f -", "configmap/one replaced", false},
			{"wait", "", "wait --for=jsonpath={.data.value}=replaced configmap/one --timeout=20s", "condition met", false},
			{"a status", "", "get namespace " + namespace + " --subresource=status -o jsonpath={.status.phase}", "Active", false},
			{"create of what is there", "", "create configmap one", "already exists", true},
			{"strict validation", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: two}\ncolour: red\n", "create -f -", `unknown field "colour"`, true},
			{"delete by label", "", "delete configmaps,services -l app=web", `service "web" deleted`, false},
			{"delete, in the foreground", "", "delete configmap one --cascade=foreground --timeout=20s", `configmap "one" deleted`, false},
			{"all is gone", "", "get configmap one", "NotFound", true},
		} {
			out, err := s.kubectl(t, namespace, step.stdin, strings.Fields(step.args)...)
			if (err != nil) != step.fails || !strings.Contains(out, step.want) {
				t.Errorf("%s: kubectl %s: %v\n%s\nwant %q", step.name, step.args, err, out, step.want)
			}
		}
	})
}
