package e2e

import (
	"net/http"
	"path/filepath"
	"strings"
	"testing"
)

const fencePolicies = `apiVersion: v1
kind: ConfigMap
metadata: {name: fence, namespace: NAMESPACE}
data: {most: "3"}
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: fence}
spec:
  paramKind: {apiVersion: v1, kind: ConfigMap}
  matchConstraints:
    resourceRules: [{apiGroups: [""], apiVersions: [v1], operations: [CREATE, UPDATE], resources: [secrets]}]
  variables: [{name: keys, expression: "has(object.data) ? size(object.data) : 0"}]
  validations:
  - expression: variables.keys <= int(params.data.most)
    messageExpression: "'a secret of ' + string(variables.keys) + ' keys is more than ' + params.data.most"
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: fence}
spec:
  policyName: fence
  paramRef: {name: fence, parameterNotFoundAction: Allow}
  validationActions: [Deny]
  matchResources: {namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: NAMESPACE}}}
---
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingAdmissionPolicy
metadata: {name: paint}
spec:
  matchConstraints:
    namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: NAMESPACE}}
    resourceRules: [{apiGroups: [apps], apiVersions: [v1], operations: [CREATE], resources: [deployments]}]
  reinvocationPolicy: IfNeeded
  mutations:
  - patchType: ApplyConfiguration
    applyConfiguration:
      expression: >-
        Object{spec: Object.spec{template: Object.spec.template{spec: Object.spec.template.spec{
          containers: object.spec.template.spec.containers.filter(c, !has(c.env)).map(c, Object.spec.template.spec.containers{
            name: c.name, env: [Object.spec.template.spec.containers.env{name: "PAINTED", value: "yes"}]})}}}}
  - patchType: JSONPatch
    jsonPatch:
      expression: >-
        has(object.metadata.annotations) ? [] : [JSONPatch{op: "add", path: "/metadata/annotations", value: {"painted": "yes"}}]
---
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingAdmissionPolicyBinding
metadata: {name: paint}
spec: {policyName: paint}
`

// Policies come into force as they are applied, with parameters that may change, and are gone when they are deleted.
func TestPoliciesAreEvaluated(t *testing.T) {
	t.Parallel() // among the longest, and mostly waiting
	p := startPortico(t, "--workload-apis")
	g := newGarden(t, p)
	try := func(args ...string) (string, error) {
		_, errs, err := g.tryKubectl(t, "", append([]string{"-n", g.namespace}, args...)...)
		return errs, err
	}
	g.kubectlIn(t, strings.ReplaceAll(fencePolicies, "NAMESPACE", g.namespace), "apply", "-f", "-")
	five := []string{"create", "secret", "generic", "five", "--from-literal=a=1", "--from-literal=b=1", "--from-literal=c=1", "--from-literal=d=1", "--from-literal=e=1"}
	var errs string
	eventually(t, "the secret is refused", func() bool {
		var err error
		errs, err = try(append(five, "--dry-run=server")...)
		return err != nil
	})
	if want := "ValidatingAdmissionPolicy 'fence' with binding 'fence' denied request: a secret of 5 keys is more than 3"; !strings.Contains(errs, want) {
		t.Errorf("got %s, want %s", errs, want)
	}
	g.kubectl(t, "-n", g.namespace, "patch", "configmap", "fence", "-p", `{"data":{"most":"9"}}`)
	eventually(t, "the secret is let in by the new parameter", func() bool { _, err := try(five...); return err == nil })

	g.kubectl(t, "-n", g.namespace, "create", "deployment", "shed", "--image=shed")
	if got := g.kubectl(t, "-n", g.namespace, "get", "deployment", "shed", "-o", "jsonpath={.spec.template.spec.containers[0].env[0].name} {.metadata.annotations.painted}"); got != "PAINTED yes" {
		t.Errorf("the deployment has %q", got)
	}
	bad := strings.Replace(strings.ReplaceAll(fencePolicies, "NAMESPACE", g.namespace), "variables.keys <=", "variables.nothing <=", 1)
	if _, errs, err := g.tryKubectl(t, bad, "apply", "-f", "-"); err == nil || !strings.Contains(errs, "spec.validations[0].expression: Invalid value") || !strings.Contains(errs, "undefined field 'nothing'") {
		t.Errorf("got %v %s, want the expression to be refused", err, errs)
	}
	g.kubectl(t, "delete", "validatingadmissionpolicybinding", "fence")
	g.kubectl(t, "-n", g.namespace, "patch", "configmap", "fence", "-p", `{"data":{"most":"0"}}`)
	eventually(t, "nothing is refused any more", func() bool {
		_, err := try("create", "secret", "generic", "one", "--from-literal=a=1", "--dry-run=server")
		return err == nil
	})
}

const noStones = `apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: stones}
spec:
  matchConstraints: {resourceRules: [{apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [configmaps]}]}
  validations: [{expression: "object.metadata.name != 'stone'", message: no stones}]
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: stones}
spec: {policyName: stones, validationActions: [Deny]}
`

// A policy is in force at every replica, and from the first request that one answers after it was killed.
func TestPoliciesAreInForceAtEveryReplica(t *testing.T) {
	etcd, dir := startEtcd(t), t.TempDir()
	one := restartPortico(t, filepath.Join(dir, "one"), "--etcd-servers", etcd)
	two := restartPortico(t, filepath.Join(dir, "two"), "--etcd-servers", etcd)
	one.kubectlIn(t, noStones, "apply", "-f", "-")
	create := func(p *portico) int {
		answer, err := p.client(t).Post(p.url+"/api/v1/namespaces/default/configmaps?dryRun=All", "application/json", strings.NewReader(`{"metadata":{"name":"stone"}}`))
		if err != nil {
			return 0
		}
		answer.Body.Close()
		return answer.StatusCode
	}
	for _, p := range []*portico{one, two} {
		eventually(t, "stones are refused", func() bool { return create(p) == http.StatusUnprocessableEntity })
	}
	one.kill()
	again := restartPortico(t, one.dataDir, "--etcd-servers", etcd)
	if code := create(again); code != http.StatusUnprocessableEntity {
		t.Errorf("after a restart a stone got %d", code)
	}
	two.kubectl(t, "delete", "validatingadmissionpolicy", "stones")
	for _, p := range []*portico{again, two} {
		eventually(t, "stones are let in", func() bool { return create(p) == http.StatusCreated })
	}
}
