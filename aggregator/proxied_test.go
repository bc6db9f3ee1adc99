package aggregator_test

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
)

func TestProxiedRequestSaysWhoAsks(t *testing.T) {
	for name, http2 := range map[string]bool{"to a server of HTTP/1.1": false, "to a server that knows HTTP/2": true} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t, "")
			e := newWardle(t, http2)
			const path = "/apis/wardle.example.com/v1alpha1/namespaces/demo/flunders"
			e.answer(path, func(w http.ResponseWriter, r *http.Request) {
				w.WriteHeader(http.StatusTeapot)
				fmt.Fprintf(w, "as %s with %s", r.Header.Get("X-Remote-User"), r.URL.RawQuery)
			})
			h.services.serve(t, "api", e.address)
			h.create(remoteAPIService("wardle.example.com", "v1alpha1", "api"))
			h.eventually("True", func() bool { return h.condition(wardle).Status == "True" })

			got := h.get(path+"?limit=5", "X-Remote-User", "mallory", "X-Remote-Group", "system:masters")
			if got.code != http.StatusTeapot || got.body != "as alice with limit=5" {
				t.Errorf("answer = %d %q, want the backend's for alice", got.code, got.body)
			}
			asked := e.requests(path)[0]
			if groups := asked.Header.Values("X-Remote-Group"); !slices.Equal(groups, []string{"admins"}) {
				t.Errorf("X-Remote-Group = %q, want admins", groups)
			}
			if id := asked.Header.Get("Audit-Id"); id != "audit-1" {
				t.Errorf("Audit-ID = %q, want audit-1", id)
			}
		})
	}
}

func TestPathsComeAndGoWithTheAPIService(t *testing.T) {
	h := newHouse(t, "")
	const version, group = "/apis/wardle.example.com/v1alpha1", "/apis/wardle.example.com"
	listed := func(path string) bool { return strings.Contains(h.get("/").body, `"`+path+`"`) }
	if got := h.get(version); got.code != http.StatusNotFound {
		t.Fatalf("before: %d, want 404", got.code)
	}
	h.create(remoteAPIService("wardle.example.com", "v1alpha1", "api"))
	h.eventually("the path to be claimed", func() bool { return h.get(version).code == http.StatusServiceUnavailable })
	if !listed(version) || !listed(group) || !listed("/apis/") {
		t.Errorf("GET / = %s, want it to list %s and %s", h.get("/").body, version, group)
	}
	for _, path := range []string{group + "x/v1alpha1", group + "/v1alpha1x", group + "/v1alpha2", "/apix"} {
		if got := h.get(path); got.code != http.StatusNotFound {
			t.Errorf("GET %s = %d, want 404", path, got.code)
		}
	}

	h.create(remoteAPIService("wardle.example.com", "v1beta1", "api"))
	h.delete(wardle)
	h.eventually("the path to go", func() bool { return h.get(version).code == http.StatusNotFound })
	if got := h.get(group); got.code != http.StatusOK {
		t.Errorf("GET %s = %d while a version is left, want 200", group, got.code)
	}
	h.delete("v1beta1.wardle.example.com")
	h.eventually("the group to go", func() bool { return h.get(group).code == http.StatusNotFound })
	if _, ok := h.version("wardle.example.com", "v1alpha1"); ok || listed(group) {
		t.Error("the group is still in discovery or listed")
	}
}

func TestChangedSpecLeadsElsewhere(t *testing.T) {
	h := newHouse(t, "")
	one, two := newWardle(t, false), newWardle(t, true)
	const path = "/apis/wardle.example.com/v1alpha1/flunders"
	one.answer(path, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "one") })
	two.answer(path, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "two") })
	h.services.serve(t, "one", one.address)
	h.services.serve(t, "two", two.address)
	h.create(remoteAPIService("wardle.example.com", "v1alpha1", "one"))
	h.eventually("True", func() bool { return h.condition(wardle).Status == "True" })
	if got := h.get(path); got.body != "one" {
		t.Errorf("GET %s = %d %q, want one", path, got.code, got.body)
	}

	s := h.apiService(wardle)
	s.Spec.Service.Name = "two"
	if got := h.do(http.MethodPut, apiServices+"/"+wardle, encode(t, s)); got.code != http.StatusOK {
		t.Fatalf("updating: %d %s", got.code, got.body)
	}
	h.eventually("two to answer", func() bool { return h.get(path).body == "two" })

	s = h.apiService(wardle)
	s.Spec.Service, s.Spec.InsecureSkipTLSVerify = nil, false
	if got := h.do(http.MethodPut, apiServices+"/"+wardle, encode(t, s)); got.code != http.StatusOK {
		t.Fatalf("updating: %d %s", got.code, got.body)
	}
	h.eventually("the next delegate to answer", func() bool { return h.get(path).code == http.StatusNotFound })
	h.eventually("the condition to say Local", func() bool { return h.condition(wardle).Reason == "Local" })
}

func TestUnusableCABundleIsReported(t *testing.T) {
	h := newHouse(t, "")
	e := newWardle(t, false)
	h.services.serve(t, "api", e.address)
	s := remoteAPIService("wardle.example.com", "v1alpha1", "api")
	s.Spec.InsecureSkipTLSVerify, s.Spec.CABundle = false, []byte("no PEM")
	h.create(s)
	h.eventually("a condition", func() bool { return h.condition(wardle).Status != "" })
	if c := h.condition(wardle); c.Reason != "FailedDiscoveryCheck" || !strings.Contains(c.Message, "caBundle") {
		t.Errorf("condition = %+v, want FailedDiscoveryCheck about the caBundle", c)
	}
	good := remoteAPIService("wardle.example.com", "v1beta1", "api")
	e.answerJSON("/apis/wardle.example.com/v1beta1", "application/json", wardleList)
	h.create(good)
	h.eventually("the other version to be available", func() bool { return h.condition(good.Name).Status == "True" })
}
