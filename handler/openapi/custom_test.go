package openapi_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/kube-openapi/pkg/validation/spec"

	"github.com/portico-api/portico/handler/openapi"
	"github.com/portico-api/portico/metrics"
)

const wheelText = `{"type":"object","description":"A wheel.","required":["spec"],"properties":{
	"metadata":{"type":"object"},
	"spec":{"type":"object","x-kubernetes-preserve-unknown-fields":true,"properties":{"size":{"nullable":true,"x-kubernetes-int-or-string":true,"anyOf":[{"type":"integer"},{"type":"string"}]}}}}}`

func wheels(text string) func() (*openapi.Description, error) {
	gv := schema.GroupVersion{Group: "cars.example.com", Version: "v1"}
	return func() (*openapi.Description, error) {
		return &openapi.Description{Prefix: "/apis/" + gv.String(), GroupVersion: gv, Resources: []openapi.Resource{{
			Name: "wheels", Kind: gv.WithKind("Wheel"), Verbs: []string{"get", "list", "create"}, Schema: json.RawMessage(text), ListKind: "Wheels",
		}}}, nil
	}
}

func answerOf(h http.Handler, path string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
	return w
}

const wheelModel = "com.example.cars.v1.Wheel"

func TestAKindWithoutAGoTypeIsDescribedAsItsSchemaIsWritten(t *testing.T) {
	s := openapi.NewService((*metrics.OpenAPI)(nil))
	s.Add("apis/cars.example.com/v1", "", wheels(wheelText))
	var got struct {
		Components struct{ Schemas map[string]json.RawMessage }
	}
	if err := json.Unmarshal(answerOf(s.DocumentHandler(), "/openapi/v3/apis/cars.example.com/v1").Body.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	var model spec.Schema
	if err := json.Unmarshal(got.Components.Schemas[wheelModel], &model); err != nil {
		t.Fatal(err)
	}
	properties := model.Properties
	if metadata := properties["metadata"]; metadata.Ref.String() == "" {
		t.Errorf("its metadata are no reference: %s", got.Components.Schemas[wheelModel])
	}
	if properties["kind"].Description == "" || model.Description != "A wheel." || len(model.Required) != 1 || model.Extensions["x-kubernetes-group-version-kind"] == nil {
		t.Errorf("got %s", got.Components.Schemas[wheelModel])
	}
	if size := properties["spec"].Properties["size"]; !size.Nullable || len(size.AnyOf) != 2 || size.Extensions["x-kubernetes-int-or-string"] != true {
		t.Errorf("got %s", got.Components.Schemas[wheelModel])
	}
	if got.Components.Schemas["com.example.cars.v1.Wheels"] == nil {
		t.Error("there is no list of it")
	}

	var old struct{ Definitions map[string]json.RawMessage }
	if err := json.Unmarshal(answerOf(s.V2Handler(), "/openapi/v2").Body.Bytes(), &old); err != nil {
		t.Fatal(err)
	}
	text := string(old.Definitions[wheelModel])
	if !strings.Contains(text, `"size"`) || strings.Contains(text, "anyOf") || strings.Contains(text, "nullable") || strings.Contains(text, "#/components") {
		t.Errorf("in version 2 it is %s", text)
	}

	made, err := s.Document("apis/cars.example.com/v1")
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := made.Components.Schemas[wheelModel].Properties["spec"].Properties["size"]; !ok {
		t.Error("who reads the document in this process does not find its fields")
	}
}

func TestASchemaThatCannotBeReadIsAnError(t *testing.T) {
	for _, text := range []string{`{`, `[]`, `{"properties":[]}`} {
		s := openapi.NewService((*metrics.OpenAPI)(nil))
		s.Add("apis/cars.example.com/v1", "", wheels(text))
		if a := answerOf(s.DocumentHandler(), "/openapi/v3/apis/cars.example.com/v1"); a.Code != http.StatusInternalServerError {
			t.Errorf("%s was described: %d", text, a.Code)
		}
		if made, err := s.Document("apis/cars.example.com/v1"); err == nil {
			t.Errorf("%s was described in this process: %v", text, made)
		}
	}
}

func TestADocumentWithANameIsMadeWhenItIsAskedFor(t *testing.T) {
	s := openapi.NewService((*metrics.OpenAPI)(nil))
	made := 0
	s.Add("apis/cars.example.com/v1", "ABC", func() (*openapi.Description, error) {
		made++
		return wheels(wheelText)()
	})
	root := answerOf(s.RootHandler(), "/openapi/v3").Body.String()
	if !strings.Contains(root, "hash=ABC") || made != 0 {
		t.Errorf("got %s, after the document was made %d times", root, made)
	}
	a := answerOf(s.DocumentHandler(), "/openapi/v3/apis/cars.example.com/v1?hash=ABC")
	if a.Code != 200 || a.Header().Get("ETag") != `"ABC"` || made != 1 {
		t.Errorf("got %d with %v, made %d times", a.Code, a.Header(), made)
	}
	if a := answerOf(s.DocumentHandler(), "/openapi/v3/apis/cars.example.com/v1?hash=ABD"); a.Code != 301 || !strings.HasSuffix(a.Header().Get("Location"), "hash=ABC") {
		t.Errorf("another name: got %d with %v", a.Code, a.Header())
	}
}
