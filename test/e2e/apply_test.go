package e2e

import (
	"strings"
	"testing"
)

// What people do with kubectl apply --server-side, edit, label and diff, one after the other.
func TestKubectlAppliesOnTheServer(t *testing.T) {
	t.Parallel() // among the longest, and mostly waiting
	p := startPortico(t)
	const service = `apiVersion: v1
kind: Service
metadata: {name: web, labels: {app: web}}
spec:
  selector: {app: web}
  ports:
  - {name: http, port: 80}
  - {name: https, port: 443}
`
	serverSide := func(stdin string, args ...string) (string, string, error) {
		return p.tryKubectl(t, stdin, append([]string{"apply", "--server-side", "-f", "-"}, args...)...)
	}
	get := func(path string) string { return p.kubectl(t, "get", "service", "web", "-o", "jsonpath="+path) }

	if out, errs, err := serverSide(service); err != nil || !strings.Contains(out, "serverside-applied") {
		t.Fatalf("the first apply: %v\n%s%s", err, out, errs)
	}
	version := get("{.metadata.resourceVersion}")
	if out, errs, err := serverSide(service); err != nil || get("{.metadata.resourceVersion}") != version {
		t.Errorf("the same again makes a new version: %v\n%s%s", err, out, errs)
	}
	if out, _, err := p.tryKubectl(t, service, "diff", "--server-side", "-f", "-"); err != nil || out != "" {
		t.Errorf("there is a difference to what was applied: %v\n%s", err, out)
	}
	changed := strings.Replace(service, "port: 443", "port: 8443", 1)
	if out, _, err := p.tryKubectl(t, changed, "diff", "--server-side", "-f", "-"); err == nil || !strings.Contains(out, "8443") {
		t.Errorf("kubectl diff shows no difference: %v\n%s", err, out)
	}

	// Another manager adds a port, and the first one does not take it away.
	other := strings.Replace(service, "  - {name: http, port: 80}\n  - {name: https, port: 443}\n", "  - {name: metrics, port: 9090}\n", 1)
	if out, errs, err := serverSide(other, "--field-manager=other"); err != nil {
		t.Fatalf("apply by another manager: %v\n%s%s", err, out, errs)
	}
	if out, errs, err := serverSide(changed); err != nil {
		t.Fatalf("apply of another port: %v\n%s%s", err, out, errs)
	}
	if got := get("{.spec.ports[*].port}"); !strings.Contains(got, "80") || !strings.Contains(got, "8443") || !strings.Contains(got, "9090") || strings.Contains(got, " 443") {
		t.Errorf("got ports %s, want 80, 8443 and 9090", got)
	}

	// Who edits by other means gets what was applied into a conflict.
	p.kubectl(t, "label", "service", "web", "app=mine", "--overwrite")
	_, errs, err := serverSide(service)
	if err == nil || !strings.Contains(errs, "Apply failed with 1 conflict") || !strings.Contains(errs, `"kubectl-label"`) || !strings.Contains(errs, ".metadata.labels.app") {
		t.Errorf("apply over a changed label: %v\n%s", err, errs)
	}
	if out, errs, err := serverSide(service, "--force-conflicts"); err != nil || get("{.metadata.labels.app}") != "web" {
		t.Errorf("apply by force: %v\n%s%s", err, out, errs)
	}
	if _, errs, err := run(t, []string{"KUBECONFIG=" + p.kubeconfig, "HOME=" + p.home, "KUBE_EDITOR=sed -i s/9090/9091/"}, "", kubectlBinary, "edit", "service", "web"); err != nil {
		t.Errorf("kubectl edit: %v %s", err, errs)
	}
	if got := p.kubectl(t, "get", "service", "web", "-o", "yaml", "--show-managed-fields"); !strings.Contains(got, "manager: kubectl-edit") || !strings.Contains(got, "operation: Apply") {
		t.Errorf("the account after an edit:\n%s", got)
	}
	if _, errs, err := serverSide(service + "  wrong: field\n"); err == nil || !strings.Contains(errs, "wrong") {
		t.Errorf("apply of an unknown field: %v\n%s", err, errs)
	}
}

// Objects that were applied by the client are taken over by the server without a conflict.
func TestKubectlGoesFromClientSideToServerSideApply(t *testing.T) {
	p := startPortico(t)
	const before = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\ndata: {a: \"1\", b: \"1\"}\n"
	p.kubectlIn(t, before, "apply", "-f", "-")
	p.kubectlIn(t, strings.Replace(before, `a: "1"`, `a: "2"`, 1), "apply", "-f", "-")

	after := "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\ndata: {a: \"3\"}\n"
	p.kubectlIn(t, after, "apply", "--server-side", "-f", "-")
	if got := p.kubectl(t, "get", "configmap", "settings", "-o", "jsonpath={.data}"); got != `{"a":"3"}` {
		t.Errorf("got %s, want a alone: b went with the configuration", got)
	}
	if got := p.kubectl(t, "get", "configmap", "settings", "-o", "jsonpath={.metadata.managedFields[*].manager}"); strings.Contains(got, "client-side") {
		t.Errorf("the client's account is still there: %s", got)
	}
	if got := p.kubectl(t, "get", "configmap", "settings", "-o", `jsonpath={.metadata.annotations.kubectl\.kubernetes\.io/last-applied-configuration}`); !strings.Contains(got, `"a":"3"`) {
		t.Errorf("the annotation of the client's applies is %s", got)
	}
	p.kubectlIn(t, after, "apply", "-f", "-") // and back
}

// The flow control of an extension API server applies the status of each flow schema.
func TestAnExtensionServerAppliesTheStatusOfFlowSchemas(t *testing.T) {
	p := startPortico(t)
	p.kubectlIn(t, `apiVersion: flowcontrol.apiserver.k8s.io/v1
kind: FlowSchema
metadata: {name: dangling}
spec: {priorityLevelConfiguration: {name: none}, matchingPrecedence: 100}
`, "apply", "--server-side", "-f", "-")
	sample := startSampleAPIServer(t, p.kubeconfig)
	p.untilKubectl(t, "True", "get", "flowschema", "dangling", "-o", `jsonpath={.status.conditions[?(@.type=="Dangling")].status}`)
	if got := p.kubectl(t, "get", "flowschema", "dangling", "-o", "jsonpath={.metadata.managedFields[*].subresource}"); got != "status" {
		t.Errorf("the managers of subresources: %q, want one of status", got)
	}
	for line := range strings.SplitSeq(sample.output.String(), "\n") {
		if strings.HasPrefix(line, "E") && strings.Contains(strings.ToLower(line), "flowschema") {
			t.Errorf("the sample-apiserver complains: %s", line)
		}
	}
}

// To apply what does not exist is to create it, and grants nothing that the writer does not hold.
func TestAnApplyNeedsTheRightsOfWhatItDoes(t *testing.T) {
	p := startPortico(t)
	p.kubectl(t, "create", "configmap", "there", "--from-literal=a=0")
	p.kubectl(t, "create", "clusterrole", "patcher", "--verb=get,patch", "--resource=configmaps")
	p.kubectl(t, "create", "clusterrole", "maker", "--verb=get,patch,create", "--resource=configmaps,clusterroles.rbac.authorization.k8s.io")
	p.kubectl(t, "create", "clusterrolebinding", "patcher", "--clusterrole=patcher", "--user=alice")
	p.kubectl(t, "create", "clusterrolebinding", "maker", "--clusterrole=maker", "--user=bob")
	alice, bob := p.as(t, "alice"), p.as(t, "bob")
	alice.untilKubectl(t, "there", "get", "configmap", "there")
	bob.untilKubectl(t, "there", "get", "configmap", "there")

	configMap := func(name string) string {
		return "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: " + name + "}\ndata: {b: \"1\"}\n"
	}
	role := func(name, verb string) string {
		return "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: " + name + "}\n" +
			"rules: [{apiGroups: [\"\"], resources: [configmaps], verbs: [" + verb + "]}]\n"
	}
	for _, test := range []struct {
		name, body, want string // want is part of the refusal; "" is none
		who              *portico
	}{
		{"what is there, by who may patch", configMap("there"), "", alice},
		{"what is not there, by who may patch", configMap("missing"), "creating it is not allowed", alice},
		{"what is not there, by who may create, too", configMap("missing"), "", bob},
		{"a role that the writer holds", role("held", "get"), "", bob},
		{"a role that the writer does not hold", role("wanted", "delete"), "attempting to grant RBAC permissions not currently held", bob},
		{"more rules for a role", role("held", "delete"), "attempting to grant RBAC permissions not currently held", bob},
	} {
		_, errs, err := test.who.tryKubectl(t, test.body, "apply", "--server-side", "-f", "-")
		if test.want == "" && err != nil || test.want != "" && (err == nil || !strings.Contains(errs, test.want)) {
			t.Errorf("apply of %s: %v %s, want %q", test.name, err, errs, test.want)
		}
	}
}
