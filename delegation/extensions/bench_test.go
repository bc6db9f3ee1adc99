package extensions_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/portico-api/portico/delegation/extensions"
	"github.com/portico-api/portico/handler/openapi"
	"github.com/portico-api/portico/metrics"
)

// largeDefinition has a schema of about 30 KB and 20 rules; the object is of about 10 KB.
func largeDefinition(tb testing.TB) (*apiextensionsv1.CustomResourceDefinition, []byte) {
	tb.Helper()
	parts, object := map[string]apiextensionsv1.JSONSchemaProps{}, map[string]any{}
	for i := range 20 {
		fields, values := map[string]apiextensionsv1.JSONSchemaProps{}, map[string]any{}
		for j := range 10 {
			length := int64(100)
			name := fmt.Sprint("field", j)
			fields[name] = apiextensionsv1.JSONSchemaProps{Type: "string", MaxLength: &length, Pattern: "^[a-z]*$", Description: strings.Repeat("what it means ", 6)}
			if j > 0 {
				values[name] = strings.Repeat("x", 40)
			}
		}
		preset := fields["field0"]
		preset.Default = &apiextensionsv1.JSON{Raw: []byte(`"preset"`)}
		fields["field0"] = preset
		name := fmt.Sprint("part", i)
		parts[name] = apiextensionsv1.JSONSchemaProps{Type: "object", Properties: fields, XValidations: apiextensionsv1.ValidationRules{
			{Rule: "self.field1 == self.field2 || self.field3.startsWith('y')", Message: "must agree"},
		}}
		object[name] = values
	}
	d := &apiextensionsv1.CustomResourceDefinition{Spec: apiextensionsv1.CustomResourceDefinitionSpec{
		Group: "example.com", Names: apiextensionsv1.CustomResourceDefinitionNames{Plural: "larges", Kind: "Large"},
		Versions: []apiextensionsv1.CustomResourceDefinitionVersion{{Name: "v1", Served: true, Storage: true, Schema: &apiextensionsv1.CustomResourceValidation{
			OpenAPIV3Schema: &apiextensionsv1.JSONSchemaProps{Type: "object", Properties: map[string]apiextensionsv1.JSONSchemaProps{"spec": {Type: "object", Properties: parts}}},
		}}},
	}}
	body, err := json.Marshal(map[string]any{"apiVersion": "example.com/v1", "kind": "Large", "metadata": map[string]any{"name": "x"}, "spec": object})
	if err != nil {
		tb.Fatal(err)
	}
	return d, body
}

func large(tb testing.TB) (*extensions.Schema, []byte) {
	tb.Helper()
	d, body := largeDefinition(tb)
	schema, err := extensions.NewSchema(d)
	if err != nil {
		tb.Fatal(err)
	}
	return schema, body
}

func parsed(tb testing.TB, body []byte) *unstructured.Unstructured {
	tb.Helper()
	u := &unstructured.Unstructured{}
	if err := u.UnmarshalJSON(body); err != nil {
		tb.Fatal(err)
	}
	return u
}

func BenchmarkSettle(b *testing.B) {
	schema, body := large(b)
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		if err := schema.Settle(parsed(b, body)); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkValidate(b *testing.B) {
	schema, body := large(b)
	u := parsed(b, body)
	if err := schema.Settle(u); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		if problems := schema.Validate(b.Context(), u); len(problems) > 0 {
			b.Fatal(problems)
		}
	}
}

// What is read from the etcd is settled once, before it is cached.
func BenchmarkShown(b *testing.B) {
	schema, body := large(b)
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		if _, err := schema.Shown(body); err != nil {
			b.Fatal(err)
		}
	}
}

// The first document of a group-version is made while a client waits.
func BenchmarkDocument(b *testing.B) {
	for _, kinds := range []int{10, 100} {
		b.Run(fmt.Sprint("kinds=", kinds), func(b *testing.B) { documentOf(b, kinds) })
	}
}

func documentOf(b *testing.B, kinds int) {
	stored, size := map[string][]byte{}, 0
	for i := range kinds {
		d, _ := largeDefinition(b)
		kind := fmt.Sprint("Large", i)
		d.Name = strings.ToLower(kind) + "s.example.com"
		d.Spec.Names = apiextensionsv1.CustomResourceDefinitionNames{Plural: strings.ToLower(kind) + "s", Kind: kind}
		d.Status.AcceptedNames = d.Spec.Names
		body, err := json.Marshal(d)
		if err != nil {
			b.Fatal(err)
		}
		stored[d.Name], size = body, size+len(body)
	}
	service := openapi.NewService((*metrics.OpenAPI)(nil))
	h := service.DocumentHandler()
	b.SetBytes(int64(size))
	b.ReportAllocs()
	for b.Loop() {
		service.Add("apis/example.com/v1", "a", func() (*openapi.Description, error) {
			return extensions.Describe(schema.GroupVersion{Group: "example.com", Version: "v1"}, stored)
		})
		request, _ := http.NewRequest(http.MethodGet, "/openapi/v3/apis/example.com/v1", nil)
		request.Header.Set("Accept-Encoding", "gzip")
		h.ServeHTTP(discard{http.Header{}}, request)
	}
}

// A read of the stored version costs what one of a built-in kind costs: definitions are the built-in kind here.
func BenchmarkGet(b *testing.B) {
	r := newRig(b, b.TempDir())
	name := r.define(widgets(simpleVersion))
	if a := r.do(http.MethodPost, ones, widget("one", `{a: b}`)); a.code != 201 {
		b.Fatal(a.code)
	}
	handler := r.unit.Handler.FullHandlerChain
	for what, path := range map[string]string{"custom": ones + "/one", "built-in": crds + "/" + name} {
		b.Run(what, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				request, _ := http.NewRequest(http.MethodGet, path, nil)
				w := discard{http.Header{}}
				handler.ServeHTTP(w, request)
			}
		})
	}
}

type discard struct{ header http.Header }

func (d discard) Header() http.Header         { return d.header }
func (d discard) Write(p []byte) (int, error) { return len(p), nil }
func (d discard) WriteHeader(int)             {}

func FuzzShown(f *testing.F) {
	schema, body := large(f)
	for _, seed := range []string{string(body), `{}`, `{"apiVersion":"example.com/v1","kind":"Large","metadata":{"name":1},"spec":{"part0":[]}}`, `{"metadata":null,"spec":null}`, `[`, `{"spec":{"part0":{"field0":null}}}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, stored []byte) {
		shown, err := schema.Shown(stored)
		if err != nil {
			return
		}
		again, err := schema.Shown(shown)
		if err != nil || string(again) != string(shown) {
			t.Errorf("what is shown of %s is %s, and of that %s (%v)", stored, shown, again, err)
		}
	})
}
