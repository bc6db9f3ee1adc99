package admission_test

import (
	"net/http"
	"strings"
	"sync"
	"testing"

	admissionv1 "k8s.io/api/admission/v1"
	registrationv1 "k8s.io/api/admissionregistration/v1"
	auditapi "k8s.io/apiserver/pkg/apis/audit"

	"github.com/portico-api/portico/handler"
)

// notes keep the records of requests that send an Audit-Id which begins with a level and an underscore.
type notes struct{ records sync.Map }

func (n *notes) Begin(_ *http.Request, rq *handler.Request) *handler.Record {
	level, _, ok := strings.Cut(rq.AuditID, "_")
	if !ok {
		return nil
	}
	record := &handler.Record{Level: auditapi.Level(level)}
	n.records.Store(rq.AuditID, record)
	return record
}

func (*notes) Write(*handler.Request, auditapi.Stage) bool { return true }

func (*notes) Explain(*handler.Request) (decision, why string) { return "", "" }

// annotations are those of the request with an ID.
func (n *notes) annotations(t *testing.T, id string) map[string]string {
	t.Helper()
	found, ok := n.records.Load(id)
	if !ok {
		t.Fatalf("there is no record of %s", id)
	}
	all := map[string]string{}
	for _, a := range found.(*handler.Record).Kept().Annotations {
		all[a.Key] = a.Value
	}
	return all
}

func TestHooksHaveTheirSayInTheAuditTrail(t *testing.T) {
	ns := namespace(t)
	changing := answers(t, func(*admissionv1.AdmissionRequest) *admissionv1.AdmissionResponse {
		a := patched(`[{"op":"add","path":"/data","value":{"secret":"hunter2"}}]`)
		a.AuditAnnotations = map[string]string{"why": "because"}
		return a
	})
	refusing := answers(t, func(r *admissionv1.AdmissionRequest) *admissionv1.AdmissionResponse {
		return &admissionv1.AdmissionResponse{Allowed: r.Name != "refused", AuditAnnotations: map[string]string{"saw": r.Name}}
	})
	broken := httptestTLS(t, func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "broken", http.StatusInternalServerError) })
	mutatingHook(t, ns, "change", at(changing.Server), nil)
	mutatingHook(t, ns, "mayfail", at(broken), func(h *registrationv1.MutatingWebhook) { h.FailurePolicy = ptr(registrationv1.Ignore) })
	validatingHook(t, ns, "ask", at(refusing.Server), nil)
	validatingHook(t, ns, "mayfailtoo", at(broken), func(h *registrationv1.ValidatingWebhook) { h.FailurePolicy = ptr(registrationv1.Ignore) })
	enforced(t, ns, changing)
	enforced(t, ns, refusing)

	for id, code := range map[string]int{"Metadata_made": 201, "Request_made": 201, "Request_refused": 400} {
		level, name, _ := strings.Cut(id, "_")
		if a := do(t, http.MethodPost, maps(ns)+"?dryRun=All", configMap(name, nil), "Audit-Id", id); a.code != code {
			t.Fatalf("%s: got %d %s", id, a.code, a.message())
		}
		got := server.notes.annotations(t, id)
		for key, want := range map[string]string{
			"change.example.com/why":                                         "because",
			"ask.example.com/saw":                                            name,
			"mutation.webhook.admission.k8s.io/round_0_index_":               `"webhook":"change.example.com","mutated":true`,
			"failed-open.mutation.webhook.admission.k8s.io/round_0_index_":   "mayfail.example.com",
			"failed-open.validating.webhook.admission.k8s.io/round_0_index_": "mayfailtoo.example.com",
		} {
			if !has(got, key, want) {
				t.Errorf("%s: of %s=%s there is nothing in %v", id, key, want, got)
			}
		}
		if patch := has(got, "patch.webhook.admission.k8s.io/round_0_index_", "hunter2"); patch != (level == "Request") {
			t.Errorf("%s: the patch is in it: %v", id, patch)
		}
	}
}

// has tells whether there is an annotation with a key that begins like prefix and a value that holds want.
func has(annotations map[string]string, prefix, want string) bool {
	for key, value := range annotations {
		if strings.HasPrefix(key, prefix) && strings.Contains(value, want) {
			return true
		}
	}
	return false
}
