package extensions

import (
	"encoding/json"
	"fmt"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/portico-api/portico/handler/rest"
)

// outline is a definition without who has written which field, and with its schemas as S. To follow thousands of definitions, nobody may
// decode schemas, which are nearly all of their size. Members here hide those that are embedded.
type outline[S any] struct {
	metav1.TypeMeta
	Metadata outlineMeta                                    `json:"metadata"`
	Spec     outlineSpec[S]                                 `json:"spec"`
	Status   apiextensionsv1.CustomResourceDefinitionStatus `json:"status"`
}

type outlineMeta struct {
	metav1.ObjectMeta
	ManagedFields ignored `json:"managedFields"`
}

type outlineSpec[S any] struct {
	apiextensionsv1.CustomResourceDefinitionSpec
	Versions []outlineVersion[S] `json:"versions"`
}

type outlineVersion[S any] struct {
	apiextensionsv1.CustomResourceDefinitionVersion
	Schema S `json:"schema"`
}

// ignored is whatever it is.
type ignored struct{}

func (*ignored) UnmarshalJSON([]byte) error { return nil }

// schemaText is a schema as it is stored.
type schemaText struct {
	OpenAPIV3Schema json.RawMessage `json:"openAPIV3Schema"`
}

// decodeOutline decodes a stored definition but for its schemas.
func decodeOutline(o rest.Object) (*definition, error) {
	d, _, err := decodeAround[ignored](o.JSON())
	return d, err
}

// decodeAround decodes a stored definition, without schemas, and these by their versions.
func decodeAround[S any](stored []byte) (*definition, map[string]S, error) {
	var read outline[S]
	if err := json.Unmarshal(stored, &read); err != nil {
		return nil, nil, fmt.Errorf("decoding a definition: %w", err)
	}
	d := &definition{TypeMeta: read.TypeMeta, ObjectMeta: read.Metadata.ObjectMeta, Spec: read.Spec.CustomResourceDefinitionSpec, Status: read.Status}
	schemas := make(map[string]S, len(read.Spec.Versions))
	for _, v := range read.Spec.Versions {
		d.Spec.Versions = append(d.Spec.Versions, v.CustomResourceDefinitionVersion)
		schemas[v.Name] = v.Schema
	}
	return d, schemas, nil
}

// withoutSchemas is a definition as its outline has it.
func withoutSchemas(d *definition) *definition {
	light := *d
	light.ManagedFields = nil
	light.Spec.Versions = make([]apiextensionsv1.CustomResourceDefinitionVersion, len(d.Spec.Versions))
	for i, v := range d.Spec.Versions {
		v.Schema = nil
		light.Spec.Versions[i] = v
	}
	return &light
}
