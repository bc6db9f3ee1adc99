package extensions

import (
	"strings"
	"testing"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// A definition that was accepted may be labelled whatever is thought of its schemas today. Who changes them, or what they are approved by, is checked.
func TestOnlyWhatChangesInADefinitionIsChecked(t *testing.T) {
	before := &definition{
		ObjectMeta: metav1.ObjectMeta{Name: "things.x.k8s.io", ResourceVersion: "1", Annotations: map[string]string{apiextensionsv1.KubeAPIApprovedAnnotation: "unapproved, for now"}},
		Spec: apiextensionsv1.CustomResourceDefinitionSpec{
			Group: "x.k8s.io", Scope: apiextensionsv1.ClusterScoped,
			Names: names{Plural: "things", Singular: "thing", Kind: "Thing", ListKind: "ThingList"},
			Versions: []apiextensionsv1.CustomResourceDefinitionVersion{{
				Name: "v1", Served: true, Storage: true,
				Schema: &apiextensionsv1.CustomResourceValidation{OpenAPIV3Schema: &apiextensionsv1.JSONSchemaProps{
					Type: "object", Properties: map[string]apiextensionsv1.JSONSchemaProps{"a": {Type: "string", Pattern: "("}},
				}},
			}},
		},
		Status: apiextensionsv1.CustomResourceDefinitionStatus{StoredVersions: []string{"v1"}},
	}
	apiextensionsv1.SetObjectDefaults_CustomResourceDefinition(before)
	for name, c := range map[string]struct {
		change func(d *definition)
		field  string // with a problem
	}{
		"nothing":         {func(*definition) {}, ""},
		"a label":         {func(d *definition) { d.Labels = map[string]string{"a": "b"} }, ""},
		"the description": {func(d *definition) { d.Spec.Versions[0].Schema.OpenAPIV3Schema.Description = "x" }, "pattern"},
		"the approval":    {func(d *definition) { d.Annotations = nil }, "metadata.annotations[api-approved.kubernetes.io]"},
		"the group":       {func(d *definition) { d.Spec.Group = "y.k8s.io" }, "spec.group"},
		"the storage":     {func(d *definition) { d.Status.StoredVersions = []string{"v0", "v1"} }, "status.storedVersions[0]"},
	} {
		after := before.DeepCopy()
		c.change(after)
		problems := definitionStrategy(time.Now).ValidateChange(t.Context(), after, before).ToAggregate()
		switch {
		case problems == nil && c.field == "":
		case problems == nil || c.field == "" || !strings.Contains(problems.Error(), c.field):
			t.Errorf("%s has changed: got %v, want a problem of %q", name, problems, c.field)
		}
	}
}
