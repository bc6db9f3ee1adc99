package admission_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	admissionv1 "k8s.io/api/admission/v1"
	registrationv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// names are those of the objects that a webhook was asked about.
func (s *webhookServer) names() []string {
	var all []string
	for _, r := range s.asked() {
		all = append(all, r.Name)
	}
	return all
}

func TestWebhooksAreAskedAboutWhatTheyWant(t *testing.T) {
	for name, test := range map[string]struct {
		edit func(*registrationv1.ValidatingWebhook)
		want []string
	}{
		"everything": {nil, []string{"a", "b"}},
		"a label": {func(h *registrationv1.ValidatingWebhook) {
			h.ObjectSelector = &metav1.LabelSelector{MatchLabels: map[string]string{"is": "b"}}
		}, []string{"b"}},
		"a condition": {func(h *registrationv1.ValidatingWebhook) {
			h.MatchConditions = []registrationv1.MatchCondition{{Name: "b", Expression: "object.metadata.name == 'b'"}}
		}, []string{"b"}},
		"who may": {func(h *registrationv1.ValidatingWebhook) {
			h.MatchConditions = []registrationv1.MatchCondition{{Name: "may", Expression: "authorizer.group('').resource('pods').check('get').allowed()"}}
		}, []string{"a", "b"}},
		"cluster-wide": {func(h *registrationv1.ValidatingWebhook) { h.Rules[0].Scope = ptr(registrationv1.ClusterScope) }, nil},
		"wildcards": {func(h *registrationv1.ValidatingWebhook) {
			h.Rules[0].Rule = registrationv1.Rule{APIGroups: []string{"*"}, APIVersions: []string{"*"}, Resources: []string{"*/*"}}
		}, []string{"a", "b"}},
		"subresources": {func(h *registrationv1.ValidatingWebhook) { h.Rules[0].Resources = []string{"configmaps/status"} }, nil},
		"deletions": {func(h *registrationv1.ValidatingWebhook) {
			h.Rules[0].Operations = []registrationv1.OperationType{registrationv1.Delete}
		}, nil},
		"no rules": {func(h *registrationv1.ValidatingWebhook) { h.Rules = nil }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			ns := namespace(t)
			hook := answers(t, func(*admissionv1.AdmissionRequest) *admissionv1.AdmissionResponse { return allowed() })
			other := answers(t, func(*admissionv1.AdmissionRequest) *admissionv1.AdmissionResponse { return allowed() })
			validatingHook(t, ns, "choosy", at(hook.Server), test.edit)
			validatingHook(t, ns, "other", at(other.Server), nil)
			enforced(t, ns, other)
			hook.forget()
			for _, name := range []string{"a", "b"} {
				object := configMap(name, nil)
				object["metadata"].(map[string]any)["labels"] = map[string]string{"is": name}
				if a := do(t, http.MethodPost, maps(ns), object); a.code != 201 {
					t.Fatalf("got %d %s", a.code, a.message())
				}
			}
			if got := hook.names(); !slices.Equal(got, test.want) {
				t.Errorf("asked about %v, want %v", got, test.want)
			}
		})
	}
}

func TestAConditionThatCannotBeEvaluated(t *testing.T) {
	ns := namespace(t)
	broken := []registrationv1.MatchCondition{{Name: "broken", Expression: "object.nothing.here == 1"}}
	hook := answers(t, func(*admissionv1.AdmissionRequest) *admissionv1.AdmissionResponse { return allowed() })
	ready := answers(t, func(*admissionv1.AdmissionRequest) *admissionv1.AdmissionResponse { return allowed() })
	validatingHook(t, ns, "ready", at(ready.Server), nil)
	enforced(t, ns, ready)
	t.Run("matters", func(t *testing.T) {
		validatingHook(t, ns, "closed", at(hook.Server), func(h *registrationv1.ValidatingWebhook) { h.MatchConditions = broken })
		var a *answered
		eventually(t, "the refusal", func() bool {
			a = do(t, http.MethodPost, maps(ns)+"?dryRun=All", configMap("x", nil))
			return a.code != 201
		})
		if a.code != 403 || !strings.Contains(a.message(), "no such key: nothing") {
			t.Errorf("got %d %s", a.code, a.message())
		}
	})
	t.Run("does not matter", func(t *testing.T) {
		validatingHook(t, ns, "open", at(hook.Server), func(h *registrationv1.ValidatingWebhook) {
			h.MatchConditions, h.FailurePolicy = broken, ptr(registrationv1.Ignore)
		})
		eventually(t, "the other hook to be gone", func() bool {
			return do(t, http.MethodPost, maps(ns)+"?dryRun=All", configMap("y", nil)).code == 201
		})
	})
	if n := len(hook.asked()); n != 0 {
		t.Errorf("asked %d times", n)
	}
}

// A webhook that changes the object after another makes that one look again, if it wants to, and once.
func TestReinvocation(t *testing.T) {
	ns := namespace(t)
	first := answers(t, func(r *admissionv1.AdmissionRequest) *admissionv1.AdmissionResponse {
		if strings.Contains(string(r.Object.Raw), `"second"`) {
			return patched(`[{"op":"add","path":"/data/again","value":"yes"}]`)
		}
		return patched(`[{"op":"add","path":"/data","value":{"first":"yes"}}]`)
	})
	second := answers(t, func(r *admissionv1.AdmissionRequest) *admissionv1.AdmissionResponse {
		return patched(`[{"op":"add","path":"/data/second","value":"yes"}]`)
	})
	mutatingHook(t, ns, "a", at(first.Server), func(h *registrationv1.MutatingWebhook) {
		h.ReinvocationPolicy = ptr(registrationv1.IfNeededReinvocationPolicy)
	})
	mutatingHook(t, ns, "b", at(second.Server), nil)
	enforced(t, ns, second)
	first.forget()
	a := do(t, http.MethodPost, maps(ns), configMap("x", nil))
	if got := a.data(); got["first"] != "yes" || got["second"] != "yes" || got["again"] != "yes" {
		t.Errorf("got %d %v", a.code, got)
	}
	if f, s := len(first.asked()), len(second.asked()); f != 2 || s != 1 {
		t.Errorf("asked the first %d times and the second %d times, want 2 and 1", f, s)
	}
}

// Webhooks that change an object for ever, each because of the other, are asked twice and not more.
func TestWebhooksThatLoop(t *testing.T) {
	ns := namespace(t)
	grow := func(key string) func(r *admissionv1.AdmissionRequest) *admissionv1.AdmissionResponse {
		return func(r *admissionv1.AdmissionRequest) *admissionv1.AdmissionResponse {
			return patched(`[{"op":"add","path":"/metadata/annotations","value":{"` + key + `":"` + string(r.UID) + `"}}]`)
		}
	}
	one, two := answers(t, grow("one")), answers(t, grow("two"))
	again := func(h *registrationv1.MutatingWebhook) {
		h.ReinvocationPolicy = ptr(registrationv1.IfNeededReinvocationPolicy)
	}
	mutatingHook(t, ns, "one", at(one.Server), again)
	mutatingHook(t, ns, "two", at(two.Server), again)
	enforced(t, ns, two)
	one.forget()
	if a := do(t, http.MethodPost, maps(ns), configMap("x", nil)); a.code != 201 {
		t.Errorf("got %d %s", a.code, a.message())
	}
	if a, b := len(one.asked()), len(two.asked()); a != 2 || b != 2 {
		t.Errorf("asked %d and %d times, want 2 and 2", a, b)
	}
}

func TestDryRunAsksOnlyWhoHasNoSideEffects(t *testing.T) {
	ns := namespace(t)
	hook := answers(t, func(*admissionv1.AdmissionRequest) *admissionv1.AdmissionResponse { return allowed() })
	validatingHook(t, ns, "ready", at(hook.Server), nil)
	enforced(t, ns, hook)
	do(t, http.MethodPost, maps(ns)+"?dryRun=All", configMap("x", nil))
	if asked := hook.asked(); len(asked) != 1 || asked[0].DryRun == nil || !*asked[0].DryRun || !strings.Contains(string(asked[0].Options.Raw), `"dryRun":["All"]`) {
		t.Errorf("asked %+v", asked)
	}
}

func TestServicesAreResolved(t *testing.T) {
	ns := namespace(t)
	hook := answers(t, func(*admissionv1.AdmissionRequest) *admissionv1.AdmissionResponse { return allowed() })
	// Its certificate must name the service.
	server.services.Store(ns+"/hook:8443", []string{"127.0.0.1:1", hook.Listener.Addr().String()})
	service := registrationv1.WebhookClientConfig{
		Service:  &registrationv1.ServiceReference{Namespace: ns, Name: "hook", Port: ptr(int32(8443)), Path: ptr("/judge")},
		CABundle: at(hook.Server).CABundle,
	}
	validatingHook(t, ns, "served", service, nil)
	var a *answered
	eventually(t, "the refusal", func() bool {
		a = do(t, http.MethodPost, maps(ns)+"?dryRun=All", configMap("x", nil))
		return a.code != 201
	})
	want := `Post "https://hook.` + ns + `.svc:8443/judge?timeout=10s": tls: failed to verify certificate`
	if a.code != 500 || !strings.Contains(a.message(), want) {
		t.Errorf("got %d %s\nwant %s", a.code, a.message(), want)
	}
}

func TestReviewsOfTheOldVersion(t *testing.T) {
	ns := namespace(t)
	hook := answers(t, func(*admissionv1.AdmissionRequest) *admissionv1.AdmissionResponse {
		return &admissionv1.AdmissionResponse{UID: "whatever", Allowed: true, Patch: []byte(`[{"op":"add","path":"/data","value":{"old":"yes"}}]`)}
	})
	mutatingHook(t, ns, "old", at(hook.Server), func(h *registrationv1.MutatingWebhook) { h.AdmissionReviewVersions = []string{"v1beta1", "v1"} })
	enforced(t, ns, hook)
	if a := do(t, http.MethodPost, maps(ns), configMap("x", nil)); a.code != 201 || a.data()["old"] != "yes" {
		t.Errorf("got %d %v", a.code, a.object.Object)
	}
	if raw := string(hook.raw[0]); !strings.Contains(raw, `"apiVersion":"admission.k8s.io/v1beta1"`) {
		t.Errorf("asked %s", raw)
	}
}

// A namespace is in itself, as far as selectors and requests are concerned.
func TestNamespacesAreReviewed(t *testing.T) {
	ns := namespace(t)
	hook := answers(t, func(r *admissionv1.AdmissionRequest) *admissionv1.AdmissionResponse {
		return &admissionv1.AdmissionResponse{Allowed: r.Operation != admissionv1.Delete}
	})
	validatingHook(t, ns, "spaces", at(hook.Server), func(h *registrationv1.ValidatingWebhook) { h.Rules[0].Resources = []string{"namespaces"} })
	eventually(t, "the hook to be in force", func() bool {
		do(t, http.MethodPatch, "/api/v1/namespaces/"+ns+"?dryRun=All", `{"metadata":{"labels":{"a":"b"}}}`)
		return len(hook.asked()) > 0
	})
	if a := do(t, http.MethodDelete, "/api/v1/namespaces/"+ns, nil); a.code != 400 {
		t.Errorf("deleting got %d", a.code)
	}
	last := hook.asked()[len(hook.asked())-1]
	if last.Name != ns || last.Namespace != ns || last.Kind.Kind != "Namespace" {
		t.Errorf("asked %+v", last)
	}
}

// Who could keep others from changing hooks could not be got rid of any more.
func TestHooksAreNotReviewed(t *testing.T) {
	ns := namespace(t)
	hook := answers(t, func(*admissionv1.AdmissionRequest) *admissionv1.AdmissionResponse {
		return &admissionv1.AdmissionResponse{}
	})
	everything := func(h *registrationv1.ValidatingWebhook) {
		h.Rules[0].Rule = registrationv1.Rule{APIGroups: []string{registrationv1.GroupName}, APIVersions: []string{"*"}, Resources: []string{"*"}}
		h.NamespaceSelector = nil
	}
	ready := answers(t, func(*admissionv1.AdmissionRequest) *admissionv1.AdmissionResponse { return allowed() })
	validatingHook(t, ns, "eternal", at(hook.Server), everything)
	validatingHook(t, ns, "ready", at(ready.Server), nil)
	enforced(t, ns, ready)
	if a := do(t, http.MethodDelete, configurations+askingHooks+"/eternal-"+ns, nil); a.code != 200 {
		t.Errorf("got %d %s", a.code, a.message())
	}
}

// A rule that names one group of events matches when they are written in the other.
func TestEquivalentForms(t *testing.T) {
	ns := namespace(t)
	hook := answers(t, func(*admissionv1.AdmissionRequest) *admissionv1.AdmissionResponse {
		return patched(`[{"op":"add","path":"/note","value":"patched"}]`)
	})
	exact := answers(t, func(*admissionv1.AdmissionRequest) *admissionv1.AdmissionResponse { return allowed() })
	onEvents := registrationv1.Rule{APIGroups: []string{"events.k8s.io"}, APIVersions: []string{"v1"}, Resources: []string{"events"}}
	mutatingHook(t, ns, "exact", at(exact.Server), func(h *registrationv1.MutatingWebhook) {
		h.Rules[0].Rule, h.MatchPolicy = onEvents, ptr(registrationv1.Exact)
	})
	mutatingHook(t, ns, "events", at(hook.Server), func(h *registrationv1.MutatingWebhook) { h.Rules[0].Rule = onEvents })
	event := func(name string) map[string]any {
		return map[string]any{
			"metadata": map[string]any{"name": name}, "message": "written", "reason": "Because", "type": "Normal",
			"involvedObject": map[string]any{"kind": "ConfigMap", "namespace": ns, "name": "x"},
		}
	}
	events := "/api/v1/namespaces/" + ns + "/events"
	eventually(t, "the hook to be in force", func() bool {
		do(t, http.MethodPost, events+"?dryRun=All", event("probe"))
		return len(hook.asked()) > 0
	})
	hook.forget()
	a := do(t, http.MethodPost, events, event("x"))
	if a.code != 201 || a.object.Object["message"] != "patched" {
		t.Errorf("got %d %v", a.code, a.object.Object)
	}
	asked := hook.asked()
	if len(asked) != 1 || asked[0].Kind.Group != "events.k8s.io" || asked[0].RequestKind.Group != "" || !strings.Contains(string(asked[0].Object.Raw), `"note":"written"`) {
		t.Errorf("asked %+v", asked)
	}
	if n := len(exact.asked()); n != 0 {
		t.Errorf("the hook that wants nothing but its own form was asked %d times", n)
	}
}
