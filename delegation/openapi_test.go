package delegation_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	clientdiscovery "k8s.io/client-go/discovery"
	restclient "k8s.io/client-go/rest"

	"github.com/portico-api/portico/delegation"
)

func TestInstalledGroupsAreDescribed(t *testing.T) {
	unit := newUnit(t, openConfig(), "core", delegation.NewEmptyDelegate())
	installGroups(t, unit)
	unit.PrepareRun()
	server := httptest.NewServer(unit.Handler)
	defer server.Close()

	paths, err := clientdiscovery.NewDiscoveryClientForConfigOrDie(&restclient.Config{Host: server.URL}).OpenAPIV3().Paths()
	if err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]string{
		"api/v1":        "/api/v1/namespaces/{namespace}/configmaps/{name}",
		"apis/apps/v1":  "/apis/apps/v1/namespaces/{namespace}/deployments/{name}/scale",
		"apis/batch/v1": "/apis/batch/v1",
	} {
		document := paths[key]
		if document == nil {
			t.Errorf("document %s: there is none among %v", key, paths)
			continue
		}
		body, err := document.Schema("application/json")
		if err != nil || !strings.Contains(string(body), want) {
			t.Errorf("document %s (%v): %s is missing in %s", key, err, want, body)
		}
	}
}

func TestUnitMayHaveOpenAPIOfItsOwn(t *testing.T) {
	config := openConfig()
	inner := newUnit(t, config, "inner", delegation.NewEmptyDelegate())
	config.SkipOpenAPIInstallation = true
	front := newUnit(t, config, "front", inner)
	front.PrepareRun()
	if paths := front.Handler.ListedPaths(); strings.Contains(strings.Join(paths, " "), "/openapi") {
		t.Errorf("paths of the front: got %q, want none of OpenAPI", paths)
	}
	if w := request(front.Handler, http.MethodGet, "/openapi/v3"); w.Code != http.StatusOK {
		t.Errorf("GET /openapi/v3: got %d, want the delegate's 200", w.Code)
	}
}
