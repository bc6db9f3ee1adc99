package e2e

import (
	"encoding/base64"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"k8s.io/client-go/util/cert"
)

const gardenerHooks = `apiVersion: v1
kind: Service
metadata: {name: gardener}
spec: {ports: [{port: 443, targetPort: PORT}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: gardener, labels: {kubernetes.io/service-name: gardener}}
addressType: IPv4
ports: [{port: PORT}]
endpoints: [{addresses: [127.0.0.1], conditions: {ready: true}}]
---
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingWebhookConfiguration
metadata: {name: gardener}
webhooks:
- name: complete.gardener.example.com
  admissionReviewVersions: [v1]
  sideEffects: None
  clientConfig: {service: {namespace: NAMESPACE, name: gardener, path: /mutate--v1-configmap}, caBundle: BUNDLE}
  objectSelector: {matchLabels: {garden: bed}}
  rules: [{apiGroups: [""], apiVersions: [v1], operations: [CREATE, UPDATE], resources: [configmaps]}]
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {name: gardener}
webhooks:
- name: judge.gardener.example.com
  admissionReviewVersions: [v1]
  sideEffects: None
  timeoutSeconds: 5
  clientConfig: {service: {namespace: NAMESPACE, name: gardener, path: /validate--v1-configmap}, caBundle: BUNDLE}
  matchConditions: [{name: not-by-the-server, expression: "request.userInfo.username != 'system:apiserver'"}]
  objectSelector: {matchLabels: {garden: bed}}
  rules: [{apiGroups: [""], apiVersions: [v1], operations: ["*"], resources: [configmaps]}]
`

// The webhooks of an operator made with controller-runtime, behind a service, complete and judge what kubectl writes; when the
// operator is gone, what they guard cannot be written, and everything else can.
func TestTheWebhooksOfAnOperatorAreAsked(t *testing.T) {
	p := startPortico(t)
	g := newGarden(t, p)
	in := func(args ...string) string {
		t.Helper()
		return g.kubectl(t, append([]string{"-n", g.namespace}, args...)...)
	}
	refused := func(want string, args ...string) {
		t.Helper()
		if _, errs, err := g.tryKubectl(t, "", append([]string{"-n", g.namespace}, args...)...); err == nil || !strings.Contains(errs, want) {
			t.Errorf("kubectl %v: got %v %s\nwant %s", args, err, errs, want)
		}
	}

	port, folder := strconv.Itoa(freePort(t)), t.TempDir()
	bundle, key, err := cert.GenerateSelfSignedCertKey("gardener."+g.namespace+".svc", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{"tls.crt": bundle, "tls.key": key} {
		if err := os.WriteFile(filepath.Join(folder, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	operator := startWith(t, []string{"KUBECONFIG=" + p.kubeconfig, "HOME=" + t.TempDir()}, operatorBinary(t), g.namespace, "one", port, folder)
	manifests := strings.NewReplacer("PORT", port, "NAMESPACE", g.namespace, "BUNDLE", base64.StdEncoding.EncodeToString(bundle)).Replace(gardenerHooks)
	g.kubectlIn(t, manifests, "-n", g.namespace, "apply", "-f", "-")

	bed := func(name, flower string) string {
		return "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: " + name + ", labels: {garden: bed}}\ndata: {flower: " + flower + "}\n"
	}
	plant := func(name, flower string, args ...string) (string, error) {
		_, errs, err := g.tryKubectl(t, bed(name, flower), append([]string{"-n", g.namespace, "apply", "-f", "-"}, args...)...)
		return errs, err
	}
	var last string
	eventually(t, "the webhooks answer", func() bool {
		var err error
		last, err = plant("probe", "rose", "--dry-run=server")
		return err == nil
	})
	if errs, err := plant("first", "rose", "--server-side"); err != nil {
		t.Fatalf("%v %s (before: %s)", err, errs, last)
	}
	if got := in("get", "configmap", "first", "-o", "jsonpath={.data}"); got != `{"earth":"from one","flower":"rose"}` {
		t.Errorf("the bed has %s", got)
	}
	if errs, err := plant("second", "weed"); err != nil || !strings.Contains(errs, "Warning: weeds grow fast") {
		t.Errorf("got %v %s, want a warning", err, errs)
	}
	if errs, err := plant("third", "stone"); err == nil || !strings.Contains(errs, `admission webhook "judge.gardener.example.com" denied the request: stones do not flower`) {
		t.Errorf("got %v %s, want a refusal", err, errs)
	}
	refused("stones do not flower", "patch", "configmap", "first", "-p", `{"data":{"flower":"stone"}}`)
	in("patch", "configmap", "first", "-p", `{"data":{"flower":"oak"}}`)
	refused("oaks stay", "delete", "configmap", "first")

	operator.kill()
	refused(`failed calling webhook "complete.gardener.example.com": failed to call webhook: Post "https://gardener.`+g.namespace+`.svc:443/mutate--v1-configmap?timeout=10s"`,
		"patch", "configmap", "first", "-p", `{"data":{"flower":"rose"}}`)
	in("create", "configmap", "unlabelled")
	in("delete", "mutatingwebhookconfiguration,validatingwebhookconfiguration", "gardener")
	eventually(t, "the bed can be written again", func() bool {
		_, _, err := g.tryKubectl(t, "", "-n", g.namespace, "patch", "configmap", "first", "-p", `{"data":{"flower":"lily"}}`)
		return err == nil
	})
	metrics := g.kubectl(t, "get", "--raw", "/metrics")
	for _, want := range []string{
		`apiserver_admission_webhook_rejection_count{error_type="no_error",name="judge.gardener.example.com",operation="CREATE",rejection_code="403",type="validating"} 1`,
		`apiserver_admission_webhook_rejection_count{error_type="calling_webhook_error",name="complete.gardener.example.com",operation="UPDATE",rejection_code="503",type="admit"}`,
		`apiserver_admission_webhook_request_total{code="200",name="complete.gardener.example.com",operation="CREATE",rejected="false",type="admit"}`,
		`apiserver_admission_controller_admission_duration_seconds_bucket{name="MutatingAdmissionWebhook",operation="CREATE",rejected="false",type="admit",le="+Inf"}`,
		`apiserver_admission_step_admission_duration_seconds_count{operation="DELETE",rejected="true",type="validate"} 1`,
	} {
		if !strings.Contains(metrics, want) {
			t.Errorf("/metrics lacks %s", want)
		}
	}
}
