package core_test

import (
	"encoding/json"
	"net/http"
	"testing"

	"k8s.io/kube-openapi/pkg/spec3"
)

// Clients that merge by themselves read from the documents how.
func TestDocumentsSayHowListsAndMapsAreMerged(t *testing.T) {
	answer, err := http.Get(start(t).url + "/openapi/v3/api/v1")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	var document spec3.OpenAPI
	if err := json.NewDecoder(answer.Body).Decode(&document); err != nil {
		t.Fatalf("got %s: %v", answer.Status, err)
	}
	for _, c := range []struct{ model, field, extension, want string }{
		{"io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta", "ownerReferences", "x-kubernetes-list-type", `"map"`},
		{"io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta", "ownerReferences", "x-kubernetes-list-map-keys", `["uid"]`},
		{"io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta", "finalizers", "x-kubernetes-list-type", `"set"`},
		{"io.k8s.api.core.v1.ServiceSpec", "ports", "x-kubernetes-list-map-keys", `["port","protocol"]`},
		{"io.k8s.api.core.v1.ServiceSpec", "externalIPs", "x-kubernetes-list-type", `"atomic"`},
		{"io.k8s.api.core.v1.ServiceSpec", "selector", "x-kubernetes-map-type", `"atomic"`},
		{"io.k8s.api.core.v1.ConfigMap", "data", "x-kubernetes-map-type", "null"},
		{"io.k8s.api.core.v1.ObjectReference", "", "x-kubernetes-map-type", `"atomic"`},
	} {
		model := document.Components.Schemas[c.model]
		if model == nil {
			t.Errorf("there is no %s", c.model)
			continue
		}
		extensions := model.Extensions
		if c.field != "" {
			extensions = model.Properties[c.field].Extensions
		}
		if got, _ := json.Marshal(extensions[c.extension]); string(got) != c.want {
			t.Errorf("%s of %s.%s: got %s, want %s", c.extension, c.model, c.field, got, c.want)
		}
	}
}
