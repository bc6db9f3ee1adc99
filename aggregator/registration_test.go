package aggregator_test

import (
	"net/http"
	"strings"
	"testing"

	apiregistrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"
)

const (
	rbac        = "v1.rbac.authorization.k8s.io"
	automanaged = "kube-aggregator.kubernetes.io/automanaged"
)

func TestBuiltInGroupsAreRegistered(t *testing.T) {
	h := newHouse(t, "")
	s := h.apiService(rbac)
	if s.Labels[automanaged] != "onstart" || s.Spec.GroupPriorityMinimum != 17000 || s.Spec.VersionPriority != 15 {
		t.Errorf("APIService of a built-in group = %+v, want onstart and 17000/15", s)
	}
	if c := h.condition(rbac); c.Status != "True" || c.Reason != "Local" {
		t.Errorf("its condition = %+v, want True, Local", c)
	}
	for _, name := range []string{"v1.without.priority.example.com", "v1.apiregistration.k8s.io"} {
		if got := h.get(apiServices + "/" + name); got.code != http.StatusNotFound {
			t.Errorf("GET of APIService %s = %d, want 404", name, got.code)
		}
	}
	if got := h.get("/readyz?verbose"); !strings.Contains(got.body, "[+]autoregister-completion ok") {
		t.Errorf("readyz = %s, want the check autoregister-completion", got.body)
	}
}

func TestRegistrationAtTheNextStart(t *testing.T) {
	dir := t.TempDir()
	h := newHouse(t, dir)
	remote := newWardle(t, false)
	h.services.serve(t, "api", remote.address)
	h.create(remoteAPIService("wardle.example.com", "v1alpha1", "api"))
	h.eventually("True", func() bool { return h.condition(wardle).Status == "True" })

	changed := h.apiService(rbac)
	changed.Spec.GroupPriorityMinimum = 5
	changed.Annotations = map[string]string{"mine": "kept"}
	h.update(changed)
	former := remoteAPIService("apps", "v1", "")
	former.Spec.Service, former.Spec.InsecureSkipTLSVerify = nil, false
	former.Labels = map[string]string{automanaged: "onstart"}
	h.create(former)
	mine := remoteAPIService("mine.example.com", "v1", "")
	mine.Spec.Service, mine.Spec.InsecureSkipTLSVerify = nil, false
	h.create(mine)
	h.stop()

	h = newHouse(t, dir)
	if s := h.apiService(rbac); s.Spec.GroupPriorityMinimum != 17000 || s.Annotations["mine"] != "kept" {
		t.Errorf("a registered one that was changed = %+v, want its spec back and the rest kept", s)
	}
	h.eventually("what is built in no more to go", func() bool { return h.get(apiServices+"/v1.apps").code == http.StatusNotFound })
	h.apiService("v1.mine.example.com")
	if got := h.condition(wardle); got.Status == "" {
		t.Errorf("condition of a remote one after a restart = %+v, want one", got)
	}
}

func TestUsersAPIServiceForABuiltInGroupWins(t *testing.T) {
	dir := t.TempDir()
	h := newHouse(t, dir)
	e := newExtension(t, false)
	e.answerJSON("/apis/rbac.authorization.k8s.io/v1", "application/json", `{"kind":"APIResourceList","groupVersion":"rbac.authorization.k8s.io/v1","resources":[]}`)
	h.services.serve(t, "rbac", e.address)
	s := h.apiService(rbac)
	delete(s.Labels, automanaged)
	s.Spec.Service = &apiregistrationv1.ServiceReference{Namespace: "demo", Name: "rbac"}
	s.Spec.InsecureSkipTLSVerify = true
	h.update(s)
	h.eventually("the users' server to answer", func() bool {
		return len(e.requests("/apis/rbac.authorization.k8s.io/v1")) > 0 && h.condition(rbac).Reason == "Passed"
	})
	h.stop()

	h = newHouse(t, dir)
	if s := h.apiService(rbac); s.Spec.Service == nil {
		t.Errorf("the users' APIService after a restart = %+v, want it untouched", s.Spec)
	}
}

func (h *house) update(s *apiregistrationv1.APIService) {
	h.t.Helper()
	if got := h.do(http.MethodPut, apiServices+"/"+s.Name, encode(h.t, s)); got.code != http.StatusOK {
		h.t.Fatalf("updating APIService %s: %d %s", s.Name, got.code, got.body)
	}
}
