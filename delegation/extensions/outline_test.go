package extensions

import (
	"encoding/json"
	"testing"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// storedText is a definition as it is stored.
type storedText []byte

func (t storedText) JSON() []byte         { return t }
func (storedText) ResourceVersion() int64 { return 7 }
func (storedText) Namespace() string      { return "" }
func (storedText) Name() string           { return "things.example.com" }

func TestAnOutlineIsADefinitionButForItsSchemas(t *testing.T) {
	yes, url, message := true, "https://localhost/convert", "use v1"
	d := &definition{
		ObjectMeta: metav1.ObjectMeta{
			Name: "things.example.com", UID: "u", ResourceVersion: "7", Generation: 2, CreationTimestamp: metav1.NewTime(time.Unix(1e9, 0)),
			Annotations: map[string]string{"a": "b"}, Finalizers: []string{"f"},
			ManagedFields: []metav1.ManagedFieldsEntry{{Manager: "m", FieldsV1: &metav1.FieldsV1{Raw: []byte(`{"f:spec":{}}`)}}},
		},
		Spec: apiextensionsv1.CustomResourceDefinitionSpec{
			Group: "example.com", Scope: "Cluster", PreserveUnknownFields: true,
			Names: apiextensionsv1.CustomResourceDefinitionNames{Plural: "things", Kind: "Thing", ShortNames: []string{"t"}},
			Versions: []apiextensionsv1.CustomResourceDefinitionVersion{
				{
					Name: "v1", Served: true, Storage: true,
					Schema:                   &apiextensionsv1.CustomResourceValidation{OpenAPIV3Schema: &apiextensionsv1.JSONSchemaProps{Type: "object", XPreserveUnknownFields: &yes}},
					Subresources:             &apiextensionsv1.CustomResourceSubresources{Status: &apiextensionsv1.CustomResourceSubresourceStatus{}},
					AdditionalPrinterColumns: []apiextensionsv1.CustomResourceColumnDefinition{{Name: "n", Type: "string", JSONPath: ".spec.n"}},
					SelectableFields:         []apiextensionsv1.SelectableField{{JSONPath: ".spec.n"}},
				},
				{Name: "v2", Deprecated: true, DeprecationWarning: &message},
			},
			Conversion: &apiextensionsv1.CustomResourceConversion{
				Strategy: "Webhook",
				Webhook: &apiextensionsv1.WebhookConversion{
					ClientConfig: &apiextensionsv1.WebhookClientConfig{URL: &url, CABundle: []byte("ca")}, ConversionReviewVersions: []string{"v1"},
				},
			},
		},
		Status: apiextensionsv1.CustomResourceDefinitionStatus{
			StoredVersions: []string{"v1"},
			Conditions:     []apiextensionsv1.CustomResourceDefinitionCondition{{Type: "Established", Status: "True"}},
			AcceptedNames:  apiextensionsv1.CustomResourceDefinitionNames{Plural: "things", Kind: "Thing"},
		},
	}
	body, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	got, err := decodeOutline(storedText(body))
	if err != nil {
		t.Fatal(err)
	}
	if want := withoutSchemas(d); !apiequality.Semantic.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

// An outline is what the whole definition is but for its schemas, whatever else is stored in its place.
func FuzzOutline(f *testing.F) {
	for _, seed := range []string{
		`{"metadata":{"name":"a","managedFields":[{"manager":"m"}]},"spec":{"group":"g","versions":[{"name":"v1","schema":{"openAPIV3Schema":{"type":"object"}}},{"name":"v2"}]},"status":{"storedVersions":["v1"]}}`,
		`{"spec":{"versions":[{"schema":null,"name":"v1"}]}}`, `{"spec":{"versions":{}}}`, `{"spec":{"versions":[{"name":"v1","schema":{`, `{"metadata":[],"spec":1}`, `null`, `[`, ``,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, stored []byte) {
		_, schemas, err := decodeAround(stored)
		whole := &definition{}
		if json.Unmarshal(stored, whole) != nil {
			return // must not panic; what is no definition is not stored
		}
		if err != nil {
			t.Fatalf("%s: %v", stored, err)
		}
		for name, schema := range schemas {
			if schema != nil && !json.Valid(schema) {
				t.Errorf("%s: the schema of %q is %s", stored, name, schema)
			}
		}
		// The decoder takes names in any case, and what is given twice together; what is stored was encoded by it.
		if encoded, err := json.Marshal(whole); err == nil {
			if outline, _, err := decodeAround(encoded); err != nil || !apiequality.Semantic.DeepEqual(outline, withoutSchemas(whole)) {
				t.Errorf("%s: got %+v, %v", encoded, outline, err)
			}
		}
	})
}

// broken is a definition that another program wrote.
type broken struct{ storedText }

func TestADefinitionThatCannotBeDecodedCanBeDeleted(t *testing.T) {
	c := newCatalog(nil, nil, &maker{metrics: uncounted{}}, nil)
	c.note(rival("things", "5", true), false)
	c.defined["things.example.com"] = c.defined["things.g"]
	c.take(t.Context(), broken{storedText(`{"spec":{"versions":"x"}}`)}, false)
	if c.outlineOf("things.example.com") == nil {
		t.Error("it is not known any more because its new state cannot be read")
	}
	c.defined["things.example.com"].Name = "things.example.com"
	if c.take(t.Context(), broken{storedText(`{"spec":{"versions":"x"}}`)}, true); c.outlineOf("things.example.com") != nil {
		t.Error("it is deleted, and still known")
	}
}

type uncounted struct{}

func (uncounted) Converted(string, string, string, string, time.Duration) {}
func (uncounted) Forget(string)                                           {}
