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
	"spec":{"type":"object","x-kubernetes-preserve-unknown-fields":true,"properties":{"size":{"nullable":true,"x-kubernetes-int-or-string":true,"anyOf":[{"type":"integer"},{"type":"string"}]}}},
	"status":{"type":"object","required":["first","last"],"properties":{"first":{"type":"string"},"last":{"type":"string","nullable":true},
		"width":{"x-kubernetes-int-or-string":true,"anyOf":[{"type":"integer"},{"type":"string"}]},
		"hub":{"type":"object","x-kubernetes-embedded-resource":true,"properties":{"bolts":{"type":"integer","maximum":9007199254740993}}}}}}}`

func wheels(text string) func() (*openapi.Description, error) {
	gv := schema.GroupVersion{Group: "cars.example.com", Version: "v1"}
	return func() (*openapi.Description, error) {
		return &openapi.Description{Prefix: "/apis/" + gv.String(), GroupVersion: gv, Resources: []openapi.Resource{{
			Name: "wheels", Kind: gv.WithKind("Wheel"), Verbs: []string{"get", "list", "create"}, Schema: json.RawMessage(text), ListKind: "Wheels",
			SelectableFields: []string{".spec.size"},
		}}}, nil
	}
}

func answerOf(h http.Handler, path string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
	return w
}

const wheelModel = "com.example.cars.v1.Wheel"

func TestAKindThatMayBeAnythingIsAnObjectInVersion2(t *testing.T) {
	s := openapi.NewService((*metrics.OpenAPI)(nil))
	s.Add("apis/cars.example.com/v1", "", wheels(`{"type":"object","x-kubernetes-preserve-unknown-fields":true,"properties":{"spec":{"type":"object"}}}`))
	var old struct{ Definitions map[string]json.RawMessage }
	if err := json.Unmarshal(answerOf(s.V2Handler(), "/openapi/v2").Body.Bytes(), &old); err != nil {
		t.Fatal(err)
	}
	want := `{"type":"object","x-kubernetes-group-version-kind":[{"group":"cars.example.com","kind":"Wheel","version":"v1"}]}`
	if got := string(old.Definitions[wheelModel]); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestAKindWithoutAGoTypeIsDescribedAsItsSchemaIsWritten(t *testing.T) {
	s := openapi.NewService((*metrics.OpenAPI)(nil))
	s.Add("apis/cars.example.com/v1", "", wheels(wheelText))
	var got struct {
		Components struct{ Schemas map[string]json.RawMessage }
		Paths      map[string]json.RawMessage
	}
	if err := json.Unmarshal(answerOf(s.DocumentHandler(), "/openapi/v3/apis/cars.example.com/v1").Body.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/wheels", "/wheels/{name}"} {
		if text := string(got.Paths["/apis/cars.example.com/v1"+path]); !strings.Contains(text, "application/yaml") || strings.Contains(text, "protobuf\":{\"schema\":{\"$ref\":\"#/components/schemas/com.example.cars") {
			t.Errorf("%s: the forms that it can be had in are %s", path, text)
		}
	}
	var model spec.Schema
	if err := json.Unmarshal(got.Components.Schemas[wheelModel], &model); err != nil {
		t.Fatal(err)
	}
	properties := model.Properties
	if metadata := properties["metadata"]; len(metadata.AllOf) != 1 || metadata.AllOf[0].Ref.String() == "" || metadata.Description == "" {
		t.Errorf("its metadata are no reference: %s", got.Components.Schemas[wheelModel])
	}
	if properties["kind"].Description == "" || model.Description != "A wheel." || len(model.Required) != 1 || model.Extensions["x-kubernetes-group-version-kind"] == nil {
		t.Errorf("got %s", got.Components.Schemas[wheelModel])
	}
	if size := properties["spec"].Properties["size"]; !size.Nullable || len(size.AnyOf) != 2 || size.Extensions["x-kubernetes-int-or-string"] != true {
		t.Errorf("got %s", got.Components.Schemas[wheelModel])
	}
	if fields, _ := json.Marshal(model.Extensions["x-kubernetes-selectable-fields"]); string(fields) != `[{"fieldPath":"spec.size"}]` {
		t.Errorf("selectable by %s", fields)
	}
	hub := properties["status"].Properties["hub"]
	if len(hub.Properties) != 4 || hub.Properties["kind"].Description == "" || len(hub.Properties["metadata"].AllOf) != 1 || len(hub.Required) != 2 {
		t.Errorf("an object in it: %+v", hub)
	}
	if text := string(got.Components.Schemas[wheelModel]); !strings.Contains(text, "9007199254740993") {
		t.Errorf("a large number in an object in it: %s", text)
	}
	if got.Components.Schemas["com.example.cars.v1.Wheels"] == nil {
		t.Error("there is no list of it")
	}

	var old struct{ Definitions map[string]json.RawMessage }
	if err := json.Unmarshal(answerOf(s.V2Handler(), "/openapi/v2").Body.Bytes(), &old); err != nil {
		t.Fatal(err)
	}
	text := string(old.Definitions[wheelModel])
	if !strings.Contains(text, `"width"`) || strings.Contains(text, "anyOf") || strings.Contains(text, "nullable") || strings.Contains(text, "#/components") {
		t.Errorf("in version 2 it is %s", text)
	}
	// Clients that validate by this document must let pass what the server takes: fields that are not named, and nulls.
	model = spec.Schema{}
	if err := json.Unmarshal(old.Definitions[wheelModel], &model); err != nil {
		t.Fatal(err)
	}
	if open := model.Properties["spec"]; len(open.Type) != 0 || open.Properties != nil {
		t.Errorf("in version 2, what may have any fields is %s", text)
	}
	if status := model.Properties["status"]; len(status.Properties["last"].Type) != 0 || len(status.Required) != 1 || status.Required[0] != "first" {
		t.Errorf("in version 2, what may be null is %s", text)
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
