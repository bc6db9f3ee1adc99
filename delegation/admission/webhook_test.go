package admission_test

import (
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	admissionv1 "k8s.io/api/admission/v1"
	registrationv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// enforced waits until a hook is in force, which a dry run of a config map called probe shows.
func enforced(t *testing.T, namespace string, server *webhookServer) {
	t.Helper()
	eventually(t, "the hook to be in force", func() bool {
		do(t, http.MethodPost, maps(namespace)+"?dryRun=All", configMap("probe", nil))
		return len(server.asked()) > 0
	})
	server.forget()
}

func TestAMutatingWebhookChangesWhatIsStored(t *testing.T) {
	ns := namespace(t)
	hook := answers(t, func(r *admissionv1.AdmissionRequest) *admissionv1.AdmissionResponse {
		a := patched(`[{"op":"add","path":"/data","value":{"by":"` + string(r.Operation) + `"}}]`)
		a.Warnings = []string{"mind the hook"}
		return a
	})
	mutatingHook(t, ns, "change", at(hook.Server), nil)
	enforced(t, ns, hook)

	a := do(t, http.MethodPost, maps(ns)+"?fieldManager=me", configMap("x", nil))
	if a.code != http.StatusCreated || a.data()["by"] != "CREATE" {
		t.Fatalf("got %d %v", a.code, a.object.Object)
	}
	if !slices.ContainsFunc(a.warnings, func(w string) bool { return strings.Contains(w, "mind the hook") }) {
		t.Errorf("got warnings %q", a.warnings)
	}
	a = do(t, http.MethodPatch, maps(ns)+"/x", `{"metadata":{"labels":{"a":"b"}}}`)
	if a.code != http.StatusOK || a.data()["by"] != "UPDATE" || a.object.GetLabels()["a"] != "b" {
		t.Fatalf("got %d %v", a.code, a.object.Object)
	}

	asked := hook.asked()
	if len(asked) != 2 {
		t.Fatalf("asked %d times", len(asked))
	}
	first, second := asked[0], asked[1]
	if first.Name != "x" || first.Namespace != ns || first.Kind.Kind != "ConfigMap" || first.Resource.Resource != "configmaps" ||
		first.RequestKind == nil || first.RequestResource == nil || first.UserInfo.Username != "admin" || first.DryRun == nil || *first.DryRun {
		t.Errorf("asked %+v", first)
	}
	if !strings.Contains(string(first.Options.Raw), `"kind":"CreateOptions"`) || !strings.Contains(string(first.Options.Raw), `"fieldManager":"me"`) {
		t.Errorf("options are %s", first.Options.Raw)
	}
	if !strings.Contains(string(second.Options.Raw), `"kind":"UpdateOptions"`) || !strings.Contains(string(second.OldObject.Raw), `"by":"CREATE"`) {
		t.Errorf("asked %s of %s", second.Options.Raw, second.OldObject.Raw)
	}
	var object struct {
		metav1.TypeMeta
		metav1.ObjectMeta `json:"metadata"`
	}
	if err := json.Unmarshal(first.Object.Raw, &object); err != nil || object.Kind != "ConfigMap" || object.APIVersion != "v1" || object.Name != "x" {
		t.Errorf("the object is %s", first.Object.Raw)
	}
	if first.OldObject.Raw != nil && string(first.OldObject.Raw) != "null" {
		t.Errorf("the old object of a create is %s", first.OldObject.Raw)
	}
}

func TestAValidatingWebhookRefuses(t *testing.T) {
	ns := namespace(t)
	hook := answers(t, func(r *admissionv1.AdmissionRequest) *admissionv1.AdmissionResponse {
		switch r.Name {
		case "plain":
			return &admissionv1.AdmissionResponse{}
		case "why":
			return &admissionv1.AdmissionResponse{Result: &metav1.Status{Message: "not on a Friday", Code: http.StatusTeapot, Reason: "Tea"}}
		case "stays":
			return &admissionv1.AdmissionResponse{Allowed: r.Operation != admissionv1.Delete}
		}
		return allowed()
	})
	validatingHook(t, ns, "judge", at(hook.Server), nil)
	enforced(t, ns, hook)

	for _, test := range []struct {
		name    string
		code    int
		message string
	}{
		{"plain", 400, `admission webhook "judge.example.com" denied the request without explanation`},
		{"why", 418, `admission webhook "judge.example.com" denied the request: not on a Friday`},
		{"stays", 201, ""},
		{"good", 201, ""},
	} {
		if a := do(t, http.MethodPost, maps(ns), configMap(test.name, nil)); a.code != test.code || a.message() != test.message {
			t.Errorf("%s: got %d %q, want %d %q", test.name, a.code, a.message(), test.code, test.message)
		}
	}
	if a := do(t, http.MethodDelete, maps(ns)+"/stays", nil); a.code != 400 {
		t.Errorf("deleting got %d %s", a.code, a.message())
	}
	if a := do(t, http.MethodGet, maps(ns)+"/stays", nil); a.code != 200 {
		t.Errorf("what the webhook wants to stay is gone: %d", a.code)
	}
	if a := do(t, http.MethodDelete, maps(ns)+"/good", nil); a.code != 200 {
		t.Errorf("deleting got %d %s", a.code, a.message())
	}
	last := hook.asked()[len(hook.asked())-1]
	if last.Operation != admissionv1.Delete || !strings.Contains(string(last.OldObject.Raw), `"name":"good"`) || !strings.Contains(string(last.Options.Raw), "DeleteOptions") {
		t.Errorf("a deletion is asked as %+v", last)
	}
}

// What a program outside can do wrong ends with an error that names it, or does not matter if it says so.
func TestWebhooksThatFail(t *testing.T) {
	for name, test := range map[string]struct {
		handler http.HandlerFunc
		want    string
	}{
		"hangs": {func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			<-r.Context().Done()
		}, "context deadline exceeded"},
		"no JSON":   {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<html>")) }, "received invalid webhook response: it is not JSON as expected"},
		"no answer": {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("{}")) }, "webhook response was absent"},
		"another UID": {func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte(`{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","response":{"uid":"x","allowed":true}}`))
		}, "expected response.uid="},
		"another kind": {func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte(`{"apiVersion":"v1","kind":"Pod","response":{"uid":"x","allowed":true}}`))
		}, "expected webhook response of admission.k8s.io/v1, Kind=AdmissionReview"},
		"server error": {func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "broken", http.StatusInternalServerError) }, "an error on the server"},
		"not found":    {http.NotFound, "the server could not find the requested resource"},
		"redirects": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://127.0.0.1:1/", http.StatusTemporaryRedirect)
		}, "failed to call webhook"},
		"closes": {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "EOF"},
		"endless": {func(w http.ResponseWriter, _ *http.Request) {
			for range 10 {
				if _, err := w.Write(make([]byte, 1<<20)); err != nil {
					return
				}
			}
		}, "the answer is longer than"},
	} {
		t.Run(name, func(t *testing.T) {
			ns := namespace(t)
			broken := httptestTLS(t, test.handler)
			ready := answers(t, func(*admissionv1.AdmissionRequest) *admissionv1.AdmissionResponse { return allowed() })
			var timeout *int32 // who hangs is waited for; the others answer, however busy the machine is
			if name == "hangs" {
				timeout = ptr(int32(1))
			}
			validatingHook(t, ns, "broken", at(broken), func(h *registrationv1.ValidatingWebhook) {
				h.TimeoutSeconds = timeout
				h.ObjectSelector = &metav1.LabelSelector{MatchLabels: map[string]string{"strict": "yes"}}
			})
			validatingHook(t, ns, "lenient", at(broken), func(h *registrationv1.ValidatingWebhook) {
				h.TimeoutSeconds = timeout
				h.FailurePolicy = ptr(registrationv1.Ignore)
			})
			mutatingHook(t, ns, "alsolenient", at(broken), func(h *registrationv1.MutatingWebhook) {
				h.TimeoutSeconds = timeout
				h.FailurePolicy = ptr(registrationv1.Ignore)
			})
			validatingHook(t, ns, "ready", at(ready.Server), nil)
			enforced(t, ns, ready)

			strict := configMap("strict", nil)
			strict["metadata"].(map[string]any)["labels"] = map[string]string{"strict": "yes"}
			a := do(t, http.MethodPost, maps(ns), strict)
			if a.code != 500 || !strings.Contains(a.message(), `failed calling webhook "broken.example.com": `) || !strings.Contains(a.message(), test.want) {
				t.Errorf("got %d %q, want the failure %q", a.code, a.message(), test.want)
			}
			if a := do(t, http.MethodPost, maps(ns), configMap("lenient", nil)); a.code != 201 {
				t.Errorf("got %d %q, want a failure that does not matter", a.code, a.message())
			}
		})
	}
}

func TestWebhooksThatPatchIllegally(t *testing.T) {
	for name, test := range map[string]struct {
		patch, want string
	}{
		"no patch":          {`{"op":"add"}`, "received undecodable patch in webhook response"},
		"nowhere":           {`[{"op":"add","path":"/a/b/c","value":1}]`, "applying the patch of webhook"},
		"another type":      {`[{"op":"add","path":"/data","value":[1,2]}]`, "cannot unmarshal"},
		"no object":         {`[{"op":"replace","path":"","value":17}]`, "cannot unmarshal"},
		"another kind":      {`[{"op":"replace","path":"/kind","value":"Secret"}]`, "the kind of the object may not become"},
		"another namespace": {`[{"op":"replace","path":"/metadata/namespace","value":"default"}]`, "does not match the namespace sent on the request"},
		"an illegal name":   {`[{"op":"replace","path":"/metadata/name","value":"UPPER"}]`, `metadata.name: Invalid value: "UPPER"`},
		"an illegal key":    {`[{"op":"add","path":"/data","value":{"a/b":"c"}}]`, `data[a/b]: Invalid value`},
		"a bomb":            {`[{"op":"add","path":"/data","value":[0]}` + strings.Repeat(`,{"op":"copy","from":"/data","path":"/data/-"}`, 60) + `]`, "cannot be carried out"},
	} {
		t.Run(name, func(t *testing.T) {
			ns := namespace(t)
			hook := answers(t, func(r *admissionv1.AdmissionRequest) *admissionv1.AdmissionResponse {
				if r.Name == "probe" {
					return allowed()
				}
				return patched(test.patch)
			})
			mutatingHook(t, ns, "rogue", at(hook.Server), nil)
			enforced(t, ns, hook)
			a := do(t, http.MethodPost, maps(ns), configMap("x", nil))
			if a.code < 400 || !strings.Contains(a.message(), test.want) {
				t.Errorf("got %d %q, want %q", a.code, a.message(), test.want)
			}
			if a := do(t, http.MethodGet, maps(ns)+"/x", nil); a.code != 404 {
				t.Errorf("something was stored: %d", a.code)
			}
		})
	}
}

// What only the server may say of an object, it says whatever a webhook patches.
func TestAWebhookCannotForgeMetadata(t *testing.T) {
	ns := namespace(t)
	hook := answers(t, func(*admissionv1.AdmissionRequest) *admissionv1.AdmissionResponse {
		return patched(`[{"op":"replace","path":"/metadata/uid","value":"forged"},
			{"op":"replace","path":"/metadata/creationTimestamp","value":"2001-01-01T00:00:00Z"},
			{"op":"add","path":"/metadata/deletionTimestamp","value":"2001-01-01T00:00:00Z"},
			{"op":"add","path":"/metadata/generation","value":17},
			{"op":"add","path":"/metadata/resourceVersion","value":"1"},
			{"op":"add","path":"/metadata/managedFields","value":[{"manager":"x","operation":"Nonsense"}]},
			{"op":"add","path":"/metadata/labels","value":{"honest":"yes"}}]`)
	})
	mutatingHook(t, ns, "forger", at(hook.Server), nil)
	enforced(t, ns, hook)
	a := do(t, http.MethodPost, maps(ns), configMap("x", map[string]string{"a": "b"}))
	o := a.object
	if a.code != 201 || o.GetUID() == "forged" || o.GetCreationTimestamp().Year() == 2001 || o.GetDeletionTimestamp() != nil || o.GetGeneration() == 17 || o.GetLabels()["honest"] != "yes" {
		t.Errorf("got %d %v", a.code, o.Object)
	}
	if m := o.GetManagedFields(); len(m) != 1 || m[0].Operation != metav1.ManagedFieldsOperationUpdate {
		t.Errorf("got managed fields %v", m)
	}
	if !slices.ContainsFunc(a.warnings, func(w string) bool {
		return strings.Contains(w, "managedFields was in an invalid state after admission")
	}) {
		t.Errorf("got warnings %q", a.warnings)
	}
}
