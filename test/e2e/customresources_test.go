package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const cronTabs = `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: crontabs.stable.example.com}
spec:
  group: stable.example.com
  scope: Namespaced
  names: {plural: crontabs, singular: crontab, kind: CronTab, shortNames: [ct], categories: [all]}
  versions:
  - name: v1
    served: true
    storage: true
    subresources:
      status: {}
      scale: {specReplicasPath: .spec.replicas, statusReplicasPath: .status.replicas, labelSelectorPath: .status.selector}
    selectableFields: [{jsonPath: .spec.image}]
    additionalPrinterColumns:
    - {name: Spec, type: string, jsonPath: .spec.cronSpec}
    - {name: Replicas, type: integer, jsonPath: .spec.replicas}
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec:
            type: object
            description: What runs, and when.
            required: [cronSpec]
            x-kubernetes-validations: [{rule: "self.replicas <= 10", message: "too many"}]
            properties:
              cronSpec: {type: string, description: When it runs.}
              image: {type: string}
              replicas: {type: integer, minimum: 1, default: 1}
          status:
            type: object
            properties: {replicas: {type: integer}, selector: {type: string}}
  - name: v1beta1
    served: true
    storage: false
    deprecated: true
    schema: {openAPIV3Schema: {type: object, properties: {spec: {type: object, x-kubernetes-preserve-unknown-fields: true}}}}
`

const cronTab = `
apiVersion: stable.example.com/v1
kind: CronTab
metadata: {name: my}
spec: {cronSpec: "* * * * *", image: awesome}
`

// A person with kubectl defines a resource and uses it as if it were built in.
func TestKubectlUsesCustomResources(t *testing.T) {
	t.Parallel() // among the longest, and mostly waiting
	p := startPortico(t)
	write := func(name, text string) string {
		file := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	definition, object := write("crd.yaml", cronTabs), write("ct.yaml", cronTab)
	p.kubectl(t, "apply", "-f", definition)
	p.kubectl(t, "wait", "--for=condition=Established", "crd/crontabs.stable.example.com", "--timeout=20s")
	p.kubectl(t, "apply", "-f", object)

	says := func(want string, args ...string) {
		t.Helper()
		if out := p.kubectl(t, args...); !strings.Contains(strings.Join(strings.Fields(out), " "), want) {
			t.Errorf("kubectl %s: got %s, want in it %s", strings.Join(args, " "), out, want)
		}
	}
	refuses := func(want string, args ...string) {
		t.Helper()
		if _, errs, err := p.tryKubectl(t, "", args...); err == nil || !strings.Contains(errs, want) {
			t.Errorf("kubectl %s: got %v %s, want in it %s", strings.Join(args, " "), err, errs, want)
		}
	}
	says("NAME SPEC REPLICAS my * * * * * 1", "get", "ct")
	says("crontab.stable.example.com/my", "get", "all")
	says("When it runs.", "explain", "crontab.spec.cronSpec")
	says("Replicas: 1", "describe", "ct", "my")
	says("v1.stable.example.com Local True", "get", "apiservices")
	says("crontabs ct stable.example.com/v1 true CronTab", "api-resources", "--api-group=stable.example.com")
	says("scaled", "scale", "ct/my", "--replicas=3")
	says("3", "get", "ct", "my", "-o", "jsonpath={.spec.replicas}")
	says("my", "get", "ct", "--field-selector", "spec.image=awesome", "-o", "name")
	says("patched", "patch", "ct", "my", "--subresource=status", "--type=merge", "-p", `{"status":{"replicas":3}}`)
	says("condition met", "wait", "ct/my", "--for=jsonpath={.status.replicas}=3", "--timeout=20s")
	says("v1beta1", "get", "crontabs.v1beta1.stable.example.com", "my", "-o", "jsonpath={.apiVersion}")
	refuses("too many", "patch", "ct", "my", "--type=merge", "-p", `{"spec":{"replicas":30}}`)
	refuses(`unknown field "spec.nothing"`, "apply", "-f", write("bad.yaml", strings.Replace(cronTab, "image:", "nothing:", 1)))
	refuses("is not supported", "patch", "ct", "my", "--type=strategic", "-p", `{}`)
	says("serverside-applied", "apply", "--server-side", "--field-manager=other", "--force-conflicts", "-f", write("other.yaml", strings.Replace(cronTab, "awesome", "other", 1)))
	refuses(`conflict with "other": .spec.image`, "apply", "--server-side", "--field-manager=third", "-f", object)
	if _, _, err := p.tryKubectl(t, "", "diff", "-f", object); err == nil {
		t.Error("diff finds none")
	}
	editor := []string{"KUBECONFIG=" + p.kubeconfig, "HOME=" + p.home, "KUBE_EDITOR=sed -i s/other/edited/"}
	if out, errs, err := run(t, editor, "", kubectlBinary, "edit", "ct", "my"); err != nil || !strings.Contains(out, "edited") {
		t.Errorf("kubectl edit: %v %s%s", err, out, errs)
	}

	// Policies, garbage collection and namespaces treat it like everything else.
	p.kubectl(t, "apply", "-f", write("policy.yaml", `
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: no-red}
spec:
  matchConstraints: {resourceRules: [{apiGroups: [stable.example.com], apiVersions: ["*"], operations: [CREATE, UPDATE], resources: [crontabs]}]}
  validations: [{expression: "!has(object.spec.image) || object.spec.image != 'red'", message: "nothing red"}]
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: no-red}
spec: {policyName: no-red, validationActions: [Deny]}
`))
	eventually(t, "the policy is in force", func() bool {
		_, errs, err := p.tryKubectl(t, "", "patch", "ct", "my", "--type=merge", "-p", `{"spec":{"image":"red"}}`)
		return err != nil && strings.Contains(errs, "nothing red")
	})
	p.kubectl(t, "apply", "-f", write("params.yaml", `
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: by-param}
spec:
  paramKind: {apiVersion: stable.example.com/v1, kind: CronTab}
  matchConstraints: {resourceRules: [{apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [configmaps]}]}
  validations: [{expression: "object.metadata.name != params.spec.image", messageExpression: "'named like ' + params.metadata.name"}]
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: by-param}
spec: {policyName: by-param, validationActions: [Deny], paramRef: {name: my, namespace: default, parameterNotFoundAction: Allow}}
---
apiVersion: v1
kind: ResourceQuota
metadata: {name: tabs, namespace: default}
spec: {hard: {count/crontabs.stable.example.com: "1"}}
`))
	eventually(t, "its parameters are looked at", func() bool {
		_, errs, err := p.tryKubectl(t, "", "create", "configmap", "edited", "--dry-run=server")
		return err != nil && strings.Contains(errs, "named like my")
	})
	p.untilKubectl(t, "1", "get", "quota", "tabs", "-o", "jsonpath={.status.used.*}")
	if _, errs, err := p.tryKubectl(t, strings.Replace(cronTab, "name: my", "name: second", 1), "create", "-f", "-"); err == nil || !strings.Contains(errs, "exceeded quota: tabs") {
		t.Errorf("a second one: %v %s", err, errs)
	}
	uid := p.kubectl(t, "get", "ct", "my", "-o", "jsonpath={.metadata.uid}")
	p.kubectl(t, "apply", "-f", write("owned.yaml", fmt.Sprintf(
		"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: owned, ownerReferences: [{apiVersion: stable.example.com/v1, kind: CronTab, name: my, uid: %s}]}\n", uid)))
	p.kubectl(t, "delete", "ct", "my")
	eventually(t, "what it owned goes", func() bool {
		_, _, err := p.tryKubectl(t, "", "get", "configmap", "owned")
		return err != nil
	})
	p.kubectl(t, "create", "namespace", "short")
	p.kubectl(t, "-n", "short", "apply", "-f", object)
	p.kubectl(t, "delete", "namespace", "short", "--timeout=60s")
	if out := p.kubectl(t, "get", "ct", "-A", "-o", "name"); out != "" {
		t.Errorf("left: %s", out)
	}

	p.kubectl(t, "apply", "-f", object)
	p.interrupt(t)
	p.wait(t)
	p = restartPortico(t, p.dataDir)
	says("my", "get", "ct", "-o", "name")
	p.kubectl(t, "delete", "crd", "crontabs.stable.example.com", "--timeout=60s")
	if out, _, err := p.tryKubectl(t, "", "get", "--raw", "/apis/stable.example.com/v1/crontabs"); err == nil {
		t.Errorf("it is still served: %s", out)
	}
}
