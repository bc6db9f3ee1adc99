package e2e

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	admissionv1 "k8s.io/api/admission/v1"
	auditv1 "k8s.io/apiserver/pkg/apis/audit/v1"
)

const auditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
omitManagedFields: true
rules:
- {level: None, users: ["system:apiserver", "system:kube-aggregator"]}
- {level: None, nonResourceURLs: ["/healthz*", "/livez*", "/readyz*", "/openapi/*", "/api*"]}
- {level: Metadata, resources: [{resources: [secrets, "serviceaccounts/token"]}]}
- {level: RequestResponse, resources: [{resources: [configmaps]}, {group: stable.example.com}, {group: wardle.example.com}]}
- {level: Request, verbs: [create, delete]}
- {level: Metadata}
`

// auditFiles are a policy, and a log that is not there yet.
func auditFiles(t *testing.T, policy string) (policyFile, logFile string) {
	t.Helper()
	dir := t.TempDir()
	policyFile = filepath.Join(dir, "policy.yaml")
	if err := os.WriteFile(policyFile, []byte(policy), 0o600); err != nil {
		t.Fatal(err)
	}
	return policyFile, filepath.Join(dir, "logs", "audit.log")
}

// readAudit reads the events of a log, of which each must be one.
func readAudit(t *testing.T, file string) (events []auditv1.Event) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for line := range bytes.Lines(data) {
		var e auditv1.Event
		d := json.NewDecoder(bytes.NewReader(line))
		d.DisallowUnknownFields()
		if err := d.Decode(&e); err != nil || !bytes.HasSuffix(line, []byte("\n")) {
			t.Fatalf("%v in %s", err, line)
		}
		events = append(events, e)
	}
	return events
}

// finish has the server stop and returns what it has written down.
func finish(t *testing.T, p *portico, logFile string) []auditv1.Event {
	t.Helper()
	p.interrupt(t)
	if code := p.wait(t); code != 0 {
		t.Fatalf("it ended with %d:\n%s", code, p.output)
	}
	return readAudit(t, logFile)
}

// eventsAbout finds the events with a verb of a resource, by the user who really asked and the name, in their order.
func eventsAbout(events []auditv1.Event, user, verb, resource, name string) (found []auditv1.Event) {
	for _, e := range events {
		if o := e.ObjectRef; o != nil && e.User.Username == user && e.Verb == verb && strings.Trim(o.Resource+"/"+o.Subresource, "/") == resource && o.Name == name {
			found = append(found, e)
		}
	}
	return found
}

// Who has events written to standard output reads nothing else there. The server is started by a terminal that is closed in the end.
func TestAuditEventsHaveStandardOutputForThemselves(t *testing.T) {
	policy, _ := auditFiles(t, "apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: Metadata, verbs: [GET]}, {level: Metadata}]\n")
	dir := t.TempDir()
	log := filepath.Join(dir, "out")
	p := start(t, dir, "/bin/sh", "-c", `exec "$0" "$@" >out`, porticoBinary, "serve", "--secure-port", "0", "--audit-policy-file", policy, "--audit-log-path", "-")
	eventually(t, "it is ready", func() bool {
		return p.ended() || addressLine.MatchString(p.output.String()) && strings.Contains(p.output.String(), `"Ready"`)
	})
	if _, errs, err := run(t, []string{"KUBECONFIG=" + filepath.Join(dir, ".portico", "admin.kubeconfig")}, "", kubectlBinary, "get", "namespaces"); err != nil {
		t.Fatal(err, errs)
	}
	p.signal(t, syscall.SIGHUP)
	p.signal(t, syscall.SIGHUP) // the shell's, and the system's
	if code := p.wait(t); code != 0 {
		t.Errorf("it ended with %d", code)
	}
	if events := readAudit(t, log); len(events) == 0 {
		t.Error("no event was written")
	}
	for _, want := range []string{"export KUBECONFIG=", "Stopping: ", `rules[0].verbs names "GET"`} {
		if !strings.Contains(p.output.String(), want) {
			t.Errorf("standard error has no %q", want)
		}
	}
}

// The audit trail of real clients, under a policy with several rules, read when the server has stopped.
func TestTheAuditTrailTellsWhatClientsDid(t *testing.T) {
	policy, log := auditFiles(t, auditPolicy)
	p := startPortico(t, "--audit-policy-file", policy, "--audit-log-path", log)
	p.kubectl(t, "create", "namespace", "demo")
	p.kubectl(t, "-n", "demo", "create", "configmap", "settings", "--from-literal=color=blue")
	watch := startWatch(t, p, "-n", "demo", "get", "configmaps", "-w")
	watch.expect(t, "settings")
	p.kubectl(t, "-n", "demo", "get", "configmap", "settings", "-o", "yaml")
	p.kubectlIn(t, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\ndata: {color: green}\n", "-n", "demo", "apply", "--server-side", "--force-conflicts", "-f", "-")
	p.kubectl(t, "-n", "demo", "delete", "configmap", "settings")
	p.kubectlIn(t, "apiVersion: v1\nkind: ConfigMap\nmetadata: {generateName: made-}\n", "-n", "demo", "create", "-f", "-")
	p.kubectl(t, "-n", "demo", "create", "secret", "generic", "safe", "--from-literal=password=hunter2")
	token := strings.TrimSpace(p.kubectl(t, "-n", "demo", "create", "token", "default"))
	for _, as := range [][]string{{"--as", "jane", "--as-group", "readers"}, nil} {
		who := p
		if as == nil {
			who = p.as(t, "alice", "people")
		}
		if _, errs, err := who.tryKubectl(t, "", append(as, "-n", "demo", "get", "secrets")...); err == nil || !strings.Contains(errs, "Forbidden") {
			t.Fatalf("%v got %v %s", as, err, errs)
		}
	}
	code, body := request(t, p.clientWith(t, nil), "GET", p.url+"/api/v1/namespaces/demo/secrets", "", "Authorization", "Bearer not-a-token")
	if code != http.StatusUnauthorized {
		t.Fatalf("a wrong token got %d %s", code, body)
	}
	if out, err := p.runs("trace", "/api/v1/namespaces/demo/secrets"); err != nil || !strings.Contains(out, "Metadata") || !strings.Contains(out, "every stage but [RequestReceived]") {
		t.Errorf("portico trace tells of no level: %v %s", err, out)
	}
	events := finish(t, p, log)

	one := func(user, verb, resource, name string) auditv1.Event {
		t.Helper()
		found := eventsAbout(events, user, verb, resource, name)
		if len(found) == 0 {
			t.Fatalf("no event of %s: %s %s %q", user, verb, resource, name)
		}
		return found[0]
	}
	const admin = "portico-admin"
	created := one(admin, "create", "configmaps", "settings")
	if created.Stage != auditv1.StageResponseComplete || created.ResponseStatus.Code != 201 || created.ObjectRef.Namespace != "demo" || created.ObjectRef.APIVersion != "v1" ||
		!strings.Contains(raw(created.RequestObject), `"color":"blue"`) || !strings.Contains(raw(created.ResponseObject), `"uid":"`+string(created.ObjectRef.UID)+`"`) ||
		created.Annotations["authorization.k8s.io/decision"] != "allow" || !strings.HasPrefix(created.UserAgent, "kubectl") || !slices.Contains(created.SourceIPs, "127.0.0.1") {
		t.Errorf("the create: %+v", created)
	}
	if got := one(admin, "get", "configmaps", "settings"); got.ResponseStatus.Code != 200 || got.RequestObject != nil || !strings.Contains(raw(got.ResponseObject), `"color":"blue"`) {
		t.Errorf("the read: %+v", got)
	}
	if got := one(admin, "patch", "configmaps", "settings"); !strings.Contains(raw(got.RequestObject), `"color":"green"`) || !strings.Contains(raw(got.ResponseObject), `"color":"green"`) {
		t.Errorf("the apply: %+v", got)
	}
	if got := one(admin, "delete", "configmaps", "settings"); got.ResponseStatus.Status != "Success" || !strings.Contains(raw(got.RequestObject), "DeleteOptions") || !strings.Contains(raw(got.ResponseObject), `"Status"`) {
		t.Errorf("the delete: %+v", got)
	}
	watched := eventsAbout(events, admin, "watch", "configmaps", "")
	if len(watched) < 2 || watched[0].Stage != auditv1.StageResponseStarted || watched[1].Stage != auditv1.StageResponseComplete || watched[0].AuditID != watched[1].AuditID || watched[1].ResponseObject != nil {
		t.Errorf("the watch: %+v", watched)
	}
	if !slices.ContainsFunc(events, func(e auditv1.Event) bool {
		return e.Verb == "create" && e.ObjectRef.Resource == "configmaps" && strings.HasPrefix(e.ObjectRef.Name, "made-") && e.ResponseStatus.Code == 201
	}) {
		t.Error("the name that the server has made is in no event")
	}
	if got := one(admin, "create", "namespaces", "demo"); got.Level != auditv1.LevelRequest || got.RequestObject == nil || got.ResponseObject != nil {
		t.Errorf("the namespace: %+v", got)
	}
	if got := one(admin, "create", "secrets", "safe"); got.Level != auditv1.LevelMetadata || got.RequestObject != nil || got.ResponseObject != nil {
		t.Errorf("the secret: %+v", got)
	}
	one(admin, "create", "serviceaccounts/token", "default")
	jane := one(admin, "list", "secrets", "")
	if i := jane.ImpersonatedUser; i == nil || i.Username != "jane" || !slices.Contains(i.Groups, "readers") || jane.ResponseStatus.Code != 403 || jane.Annotations["authorization.k8s.io/decision"] != "forbid" {
		t.Errorf("jane: %+v", jane)
	}
	if got := one("alice", "list", "secrets", ""); got.ResponseStatus.Reason != "Forbidden" || !slices.Contains(got.User.Groups, "people") || got.ImpersonatedUser != nil {
		t.Errorf("alice: %+v", got)
	}
	if got := one("", "list", "secrets", ""); got.Stage != auditv1.StageResponseStarted || got.ResponseStatus.Code != 401 || got.ResponseStatus.Message != "Authentication failed, attempted: bearer" {
		t.Errorf("the failed login: %+v", got)
	}
	data, _ := os.ReadFile(log)
	for _, secret := range []string{"hunter2", base64.StdEncoding.EncodeToString([]byte("hunter2")), token, "not-a-token", "managedFields", "/readyz"} {
		if bytes.Contains(data, []byte(secret)) {
			t.Errorf("the log holds %q", secret)
		}
	}
	if info, err := os.Stat(log); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the log has mode %v, %v", info.Mode(), err)
	}
	for _, e := range events {
		if e.Stage == auditv1.StageRequestReceived || e.User.Username == "system:apiserver" {
			t.Errorf("an event that the policy leaves out: %+v", e)
		}
	}
}

// raw is a body in an event.
func raw(body interface{ MarshalJSON() ([]byte, error) }) string {
	text, err := body.MarshalJSON()
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// request sends one request and reads the answer.
func request(t *testing.T, client *http.Client, method, url, body string, header ...string) (int, string) {
	t.Helper()
	r, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	response, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(answer)
}

const auditedAdmission = `apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: schedules}
spec:
  matchConstraints:
    resourceRules: [{apiGroups: [stable.example.com], apiVersions: ["*"], operations: [CREATE], resources: [crontabs]}]
  validations: [{expression: "object.spec.image == 'other'", message: not that image}]
  auditAnnotations: [{key: schedule, valueExpression: "'it runs ' + object.spec.cronSpec"}]
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: schedules}
spec: {policyName: schedules, validationActions: [Audit]}
---
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingWebhookConfiguration
metadata: {name: label}
webhooks:
- name: label.example.com
  clientConfig: {url: URL, caBundle: BUNDLE}
  rules: [{apiGroups: [stable.example.com], apiVersions: ["*"], operations: [CREATE], resources: [crontabs]}]
  sideEffects: None
  admissionReviewVersions: [v1]
`

// What admission has to say of a write, that a version is deprecated, and what extension API servers answer.
func TestTheAuditTrailTellsOfCustomAndProxiedResources(t *testing.T) {
	hook := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var review admissionv1.AdmissionReview
		if err := json.NewDecoder(r.Body).Decode(&review); err != nil {
			t.Error(err)
			return
		}
		patch := admissionv1.PatchTypeJSONPatch
		review.Response = &admissionv1.AdmissionResponse{UID: review.Request.UID, Allowed: true, PatchType: &patch,
			Patch: []byte(`[{"op":"add","path":"/metadata/labels","value":{"seen":"yes"}}]`), AuditAnnotations: map[string]string{"seen": "by the webhook"}}
		json.NewEncoder(w).Encode(review)
	}))
	defer hook.Close()
	policy, log := auditFiles(t, auditPolicy)
	p := startPortico(t, "--audit-policy-file", policy, "--audit-log-path", log, "--audit-log-mode", "batch")
	sample := startSampleAPIServer(t, p.kubeconfig)
	p.kubectl(t, "apply", "-f", wardleManifests(t, sample.port))
	p.kubectl(t, "wait", "--for=condition=Available", "--timeout=60s", "apiservice/v1alpha1.wardle.example.com")
	p.kubectl(t, "apply", "-f", "../../deploy/examples/crontab/definition.yaml")
	p.kubectl(t, "wait", "--for=condition=Established", "--timeout=60s", "crd/crontabs.stable.example.com")
	bundle := base64.StdEncoding.EncodeToString(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: hook.Certificate().Raw}))
	p.kubectlIn(t, strings.NewReplacer("URL", hook.URL, "BUNDLE", bundle).Replace(auditedAdmission), "apply", "-f", "-")
	p.untilKubectl(t, "seen", "create", "--dry-run=server", "-o", "yaml", "-f", "../../deploy/examples/crontab/crontab.yaml") // they are in force

	p.kubectl(t, "create", "-f", "../../deploy/examples/crontab/crontab.yaml")
	p.kubectl(t, "get", "crontabs.v1beta1.stable.example.com", "my")
	p.kubectl(t, "create", "namespace", "demo")
	p.untilKubectl(t, "created", "-n", "demo", "create", "-f", "../../deploy/examples/flunder.yaml") // it must have heard of the namespace
	p.kubectl(t, "-n", "demo", "get", "flunders")
	const admin = "portico-admin"
	ctx, hangUp := context.WithCancel(t.Context())
	defer hangUp()
	watch, err := http.NewRequestWithContext(ctx, "GET", p.url+"/apis/wardle.example.com/v1alpha1/flunders?watch=1", nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := p.client(t).Do(watch)
	if err != nil {
		t.Fatal(err)
	}
	hangUp()
	answer.Body.Close()
	eventually(t, "the end of the watch is written down", func() bool { return len(eventsAbout(readAudit(t, log), admin, "watch", "flunders", "")) == 2 })
	events := finish(t, p, log)

	made := eventsAbout(events, admin, "create", "crontabs", "my")
	if len(made) == 0 {
		t.Fatal("no event of the custom resource")
	}
	custom := made[len(made)-1]
	if custom.ResponseStatus.Code != 201 || strings.Contains(raw(custom.RequestObject), "seen") || !strings.Contains(raw(custom.ResponseObject), `"seen":"yes"`) || custom.ObjectRef.APIGroup != "stable.example.com" {
		t.Errorf("the custom resource: %+v", custom)
	}
	for key, want := range map[string]string{
		"schedules/schedule":                                    "it runs * * * * */5",
		"label.example.com/seen":                                "by the webhook",
		"mutation.webhook.admission.k8s.io/round_0_index_0":     `"mutated":true`,
		"patch.webhook.admission.k8s.io/round_0_index_0":        `"path":"/metadata/labels"`,
		"validation.policy.admission.k8s.io/validation_failure": `not that image`,
		"authorization.k8s.io/decision":                         "allow",
	} {
		if got := custom.Annotations[key]; !strings.Contains(got, want) {
			t.Errorf("the annotation %s is %q, want %q", key, got, want)
		}
	}
	old := eventsAbout(events, admin, "get", "crontabs", "my")
	if len(old) == 0 || old[0].Annotations["k8s.io/deprecated"] != "true" || old[0].ObjectRef.APIVersion != "v1beta1" {
		t.Errorf("of the deprecated version: %+v", old)
	}
	proxied := eventsAbout(events, admin, "create", "flunders", "")
	if len(proxied) == 0 || proxied[len(proxied)-1].ResponseStatus.Code != 201 || proxied[len(proxied)-1].ObjectRef.APIGroup != "wardle.example.com" {
		t.Errorf("of the proxied create: %+v", proxied)
	}
	if got := eventsAbout(events, admin, "list", "flunders", ""); len(got) == 0 || got[0].ResponseStatus.Code != 200 {
		t.Errorf("of the proxied list: %+v", got)
	}
	watched := eventsAbout(events, admin, "watch", "flunders", "")
	if end := watched[1]; end.Stage != auditv1.StageResponseComplete || end.ResponseStatus.Code != 200 || end.Annotations["portico/incomplete-answer"] != "" {
		t.Errorf("of the proxied watch that its client has left: %+v", end)
	}
}

// Every write that was acknowledged is in the log when the server has stopped, whatever was going on.
func TestNoAuditEventIsLostWhenTheServerStops(t *testing.T) {
	for _, mode := range [][]string{
		{"--audit-log-mode", "blocking"},
		{"--audit-log-mode", "batch", "--audit-log-batch-max-size", "10000", "--audit-log-batch-max-wait", "1h"},
	} {
		t.Run(mode[1], func(t *testing.T) {
			policy, log := auditFiles(t, "apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: RequestResponse, resources: [{resources: [configmaps]}]}]\n")
			p := startPortico(t, append(mode, "--audit-policy-file", policy, "--audit-log-path", log)...)
			client := p.client(t)
			var acknowledged sync.Map
			var writers sync.WaitGroup
			for writer := range 8 {
				writers.Go(func() {
					for i := 0; ; i++ {
						id := fmt.Sprintf("w%d-%d", writer, i)
						body := fmt.Sprintf(`{"metadata":{"name":%q},"data":{"x":%q}}`, id, strings.Repeat("x", 2000))
						r, _ := http.NewRequest("POST", p.url+"/api/v1/namespaces/default/configmaps", strings.NewReader(body))
						r.Header.Set("Audit-Id", id)
						response, err := client.Do(r)
						if err != nil {
							return
						}
						response.Body.Close()
						if response.StatusCode != http.StatusCreated {
							return
						}
						acknowledged.Store(id, true)
					}
				})
			}
			time.Sleep(2 * time.Second)
			p.interrupt(t)
			writers.Wait()
			p.wait(t)
			for _, e := range readAudit(t, log) {
				if e.Stage == auditv1.StageResponseComplete && e.ResponseStatus.Code == 201 && e.RequestObject != nil {
					acknowledged.Delete(string(e.AuditID))
				}
			}
			acknowledged.Range(func(id, _ any) bool {
				t.Errorf("the log lacks %v, which was acknowledged", id)
				return true
			})
			if n := len(readAudit(t, log)); n < 20 {
				t.Errorf("the log has %d events only", n)
			}
		})
	}
}

// A server by kubeconfig gets what has been collected, the last of it when the server stops, and it is tried again.
func TestAuditEventsReachAWebhook(t *testing.T) {
	var mu sync.Mutex
	got, asked := map[string]bool{}, 0
	receiver := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if asked++; asked == 1 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		var list auditv1.EventList
		if err := json.NewDecoder(r.Body).Decode(&list); err != nil || r.Header.Get("Authorization") != "Bearer the-token" {
			t.Errorf("%v, with %v", err, r.Header)
		}
		for _, e := range list.Items {
			got[string(e.AuditID)+" "+string(e.Stage)] = true
			if e.Annotations["audit.k8s.io/truncated"] != "" && e.RequestObject == nil {
				got["truncated"] = true
			}
		}
	}))
	defer receiver.Close()
	kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
	ca := base64.StdEncoding.EncodeToString(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: receiver.Certificate().Raw}))
	text := "apiVersion: v1\nkind: Config\ncurrent-context: x\ncontexts: [{name: x, context: {cluster: c, user: u}}]\nusers: [{name: u, user: {token: the-token}}]\n" +
		"clusters: [{name: c, cluster: {server: '" + receiver.URL + "', certificate-authority-data: " + ca + "}}]\n"
	if err := os.WriteFile(kubeconfig, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	policy, _ := auditFiles(t, "apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: RequestResponse, resources: [{resources: [configmaps]}]}]\n")
	p := startPortico(t, "--audit-policy-file", policy, "--audit-webhook-config-file", kubeconfig, "--audit-webhook-initial-backoff", "100ms",
		"--audit-webhook-batch-max-wait", "200ms", "--audit-webhook-truncate-enabled", "--audit-webhook-truncate-max-event-size", "20000")
	client := p.client(t)
	for i := range 20 {
		body := fmt.Sprintf(`{"metadata":{"name":"c%d"},"data":{"x":%q}}`, i, strings.Repeat("x", i*2000))
		if code, answer := request(t, client, "POST", p.url+"/api/v1/namespaces/default/configmaps", body, "Audit-Id", fmt.Sprint("id", i)); code != 201 {
			t.Fatalf("got %d %s", code, answer)
		}
	}
	eventually(t, "the first events arrive", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return got["id0 ResponseComplete"]
	})
	if code, _ := request(t, client, "GET", p.url+"/api/v1/namespaces/default/configmaps/c0", "", "Audit-Id", "the-last"); code != 200 {
		t.Fatal(code)
	}
	_, metrics := p.get(t, "/metrics")
	for _, want := range []string{"apiserver_audit_event_total ", `apiserver_audit_level_total{level="RequestResponse"}`, `apiserver_audit_level_total{level="None"}`,
		"apiserver_audit_requests_rejected_total 0", `apiserver_request_filter_duration_seconds_count{filter="audit"}`} {
		if !strings.Contains(metrics, want) {
			t.Errorf("the metrics lack %s", want)
		}
	}
	p.interrupt(t)
	p.wait(t)
	mu.Lock()
	defer mu.Unlock()
	for i := range 20 {
		if !got[fmt.Sprintf("id%d ResponseComplete", i)] {
			t.Errorf("the event of request %d did not arrive", i)
		}
	}
	if !got["the-last ResponseComplete"] || !got["truncated"] {
		t.Errorf("the last one arrived: %v; a large one without bodies: %v", got["the-last ResponseComplete"], got["truncated"])
	}
}
