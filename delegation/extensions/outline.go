package extensions

import (
	"encoding/json"
	"fmt"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/portico-api/portico/handler/rest"
)

// outline is a definition without its schemas and without who has written which field, which are nearly all of its size.
// To follow thousands of definitions, nobody may decode those. Members here hide those that are embedded.
type outline struct {
	metav1.TypeMeta
	Metadata outlineMeta                                    `json:"metadata"`
	Spec     outlineSpec                                    `json:"spec"`
	Status   apiextensionsv1.CustomResourceDefinitionStatus `json:"status"`
}

type outlineMeta struct {
	metav1.ObjectMeta
	ManagedFields ignored `json:"managedFields"`
}

type outlineSpec struct {
	apiextensionsv1.CustomResourceDefinitionSpec
	Versions []outlineVersion `json:"versions"`
}

type outlineVersion struct {
	apiextensionsv1.CustomResourceDefinitionVersion
	Schema ignored `json:"schema"`
}

// ignored is whatever it is.
type ignored struct{}

func (*ignored) UnmarshalJSON([]byte) error { return nil }

// decodeOutline decodes a stored definition but for its schemas.
func decodeOutline(o rest.Object) (*definition, error) {
	var read outline
	if err := json.Unmarshal(o.JSON(), &read); err != nil {
		return nil, fmt.Errorf("decoding a definition: %w", err)
	}
	d := &definition{TypeMeta: read.TypeMeta, ObjectMeta: read.Metadata.ObjectMeta, Spec: read.Spec.CustomResourceDefinitionSpec, Status: read.Status}
	for _, v := range read.Spec.Versions {
		d.Spec.Versions = append(d.Spec.Versions, v.CustomResourceDefinitionVersion)
	}
	return d, nil
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
