package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	apiregistrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"
)

// fakeFront answers GETs of paths with objects, and keeps what else it is asked.
type fakeFront struct {
	objects map[string]any
	asked   []string
}

func (f *fakeFront) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet {
		f.asked = append(f.asked, r.Method+" "+r.URL.Path)
		return
	}
	object, found := f.objects[r.URL.Path]
	if next, ok := object.(func(*http.Request) any); ok {
		object = next(r)
	}
	if !found {
		w.WriteHeader(http.StatusNotFound)
		object = map[string]any{"kind": "Status", "code": 404, "reason": "NotFound", "message": r.URL.Path + " not found"}
	}
	json.NewEncoder(w).Encode(object)
}

func (f *fakeFront) client(t *testing.T) *frontClient {
	server := httptest.NewServer(f)
	t.Cleanup(server.Close)
	return &frontClient{server.Client(), server.URL, registrar}
}

func apiServiceAt(service string, annotations map[string]string) *apiregistrationv1.APIService {
	a := &apiregistrationv1.APIService{Spec: apiregistrationv1.APIServiceSpec{Group: "g.example", Version: "v1"}}
	a.Name, a.Annotations = "v1.g.example", annotations
	if namespace, name, ok := strings.Cut(service, "/"); ok {
		a.Spec.Service = &apiregistrationv1.ServiceReference{Namespace: namespace, Name: name}
	}
	return a
}

func settled(t *testing.T, backends ...string) *registration {
	t.Helper()
	r := &registration{backends: backends}
	if err := r.settle("g.example/v1"); err != nil {
		t.Fatal(err)
	}
	return r
}

func TestWhatTheServerServesItselfIsNeitherTakenOverNorAway(t *testing.T) {
	f := &fakeFront{objects: map[string]any{apiServicePath("v1.g.example"): apiServiceAt("", nil)}}
	r, client := settled(t, "https://127.0.0.1"), f.client(t)
	if _, err := r.existing(t.Context(), client); err == nil || err.Error() != "it is served by this server itself" {
		t.Errorf("registering: %v", err)
	}
	if err := r.remove(t.Context(), client); err == nil || err.Error() != "it is served by this server itself" {
		t.Errorf("unregistering: %v", err)
	}
	if len(f.asked) > 0 {
		t.Errorf("it was written: %v", f.asked)
	}
	if former, err := r.existing(t.Context(), (&fakeFront{}).client(t)); err != nil || former.Name != "" {
		t.Errorf("one that there is not: got %q, %v", former.Name, err)
	}
}

// Others may have an APIService point elsewhere after it was registered; what was made for it goes with it all the same.
func TestWhatWasMadeForARegistrationGoesWithIt(t *testing.T) {
	const services, slicesOf = "/api/v1/namespaces/default/services/", "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"
	labelled := func(name string) map[string]any {
		return map[string]any{"metadata": map[string]any{"name": name, "labels": map[string]string{madeBy: registrar}}}
	}
	madeG := map[string]string{madeFor: "default/g"}
	other := apiServiceAt("default/g", nil)
	other.Name = "v2.g.example"
	for name, c := range map[string]struct {
		former *apiregistrationv1.APIService
		others []apiregistrationv1.APIService
		want   []string
	}{
		"as it was registered":  {apiServiceAt("default/g", madeG), nil, []string{"DELETE " + slicesOf + "/g-1", "DELETE " + services + "g"}},
		"pointed elsewhere":     {apiServiceAt("default/api", madeG), nil, []string{"DELETE " + slicesOf + "/g-1", "DELETE " + services + "g"}},
		"made by somebody else": {apiServiceAt("default/api", nil), nil, nil},
		"needed by another":     {apiServiceAt("default/g", madeG), []apiregistrationv1.APIService{*other}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			f := &fakeFront{objects: map[string]any{
				"/apis/apiregistration.k8s.io/v1/apiservices": apiregistrationv1.APIServiceList{Items: c.others},
				services + "g":   labelled("g"),
				services + "api": map[string]any{"metadata": map[string]any{"name": "api"}},
			}}
			f.objects[slicesOf] = func(r *http.Request) any {
				if strings.Contains(r.URL.Query().Get("labelSelector"), "service-name=g,") {
					return map[string]any{"items": []any{labelled("g-1")}}
				}
				return map[string]any{}
			}
			if err := settled(t, "https://127.0.0.1").sweep(t.Context(), f.client(t), c.former); err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(f.asked, c.want) {
				t.Errorf("got %v, want %v", f.asked, c.want)
			}
		})
	}
}

func TestTheReasonOfAFormerRegistrationIsNotToldAsThatOfThisOne(t *testing.T) {
	state := func(status apiregistrationv1.ConditionStatus, message string) *apiregistrationv1.APIService {
		a := apiServiceAt("default/g", nil)
		a.Status.Conditions = []apiregistrationv1.APIServiceCondition{{Type: apiregistrationv1.Available, Status: status, Reason: "Failed", Message: message}}
		return a
	}
	seen := []*apiregistrationv1.APIService{state("False", "the old one"), state("False", "x509: certificate is valid for localhost, not g.default.svc"), state("True", "")}
	f := &fakeFront{objects: map[string]any{
		"/apis/g.example/v1": map[string]any{},
		apiServicePath("v1.g.example"): func(*http.Request) any {
			one := seen[0]
			if len(seen) > 1 {
				seen = seen[1:]
			}
			return one
		},
	}}
	var out strings.Builder
	a := &arrival{client: f.client(t), name: "v1.g.example", groupVersion: "g.example/v1", former: "Failed: the old one", out: &out}
	if err := a.await(t.Context(), time.Minute); err != nil {
		t.Fatal(err)
	}
	if got := out.String(); strings.Contains(got, "old") || !strings.Contains(got, "--server-name") || !strings.HasSuffix(got, "v1.g.example is available.\n") {
		t.Errorf("got\n%s", got)
	}

	f.objects[apiServicePath("v1.g.example")] = state("False", "the old one")
	err := a.await(t.Context(), 500*time.Millisecond)
	if err == nil || !strings.Contains(err.Error(), "the old one; portico unregister g.example/v1 takes it away") {
		t.Errorf("when it is the same one after all: %v", err)
	}
}

func TestWhatIsToBeDoneAboutACertificateIsSaid(t *testing.T) {
	for state, want := range map[string]string{
		"Get: tls: failed to verify certificate: x509: certificate is valid for localhost, not g.default.svc": "--server-name",
		"Get: tls: failed to verify certificate: x509: certificate signed by unknown authority":               "--ca-file",
		"Get: dial tcp: connection refused":                      "",
		"Get: x509: certificate has expired or is not yet valid": "",
	} {
		if got := remedy(state); !strings.Contains(got, want) || (got == "") != (want == "") {
			t.Errorf("%s: got %q, want %q in it", state, got, want)
		}
	}
}

func TestAnAuthorityWithoutACertificateIsRefused(t *testing.T) {
	file := filepath.Join(t.TempDir(), "README.md")
	write(t, file, "# Not a certificate\n")
	r := registration{backends: []string{"https://127.0.0.1"}, caFile: file}
	if err := r.settle("g.example/v1"); err == nil || !strings.Contains(err.Error(), "--ca-file: ") || !strings.Contains(err.Error(), file) || !strings.Contains(err.Error(), "no PEM certificate") {
		t.Errorf("got %v", err)
	}
}
