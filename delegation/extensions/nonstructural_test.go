package extensions

import (
	"strings"
	"testing"
	"time"

	"k8s.io/apiextensions-apiserver/pkg/apihelpers"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
)

// What an older server let in is served, and is said of.
func TestADefinitionThatIsNotStructuralIsSaidToBe(t *testing.T) {
	n := newNaming(nil, nil, time.Now)
	old := rival("olds", "5", true)
	old.Spec.PreserveUnknownFields = true
	old.Spec.Versions = []apiextensionsv1.CustomResourceDefinitionVersion{{Name: "v1", Served: true, Storage: true, Schema: &apiextensionsv1.CustomResourceValidation{
		OpenAPIV3Schema: &apiextensionsv1.JSONSchemaProps{Properties: map[string]apiextensionsv1.JSONSchemaProps{"spec": {}}},
	}}}
	outline := withoutSchemas(old)
	if !n.judge(outline) {
		t.Fatal("whoever sees no schemas does not look at them")
	}
	if !n.judge(old) {
		t.Fatal("nothing is said")
	}
	said := apihelpers.FindCRDCondition(old, apiextensionsv1.NonStructuralSchema)
	const want = "[spec.preserveUnknownFields: Invalid value: true: must be false, spec.versions[0].schema.openAPIV3Schema"
	if said == nil || said.Status != apiextensionsv1.ConditionTrue || said.Reason != "Violations" || !strings.HasPrefix(said.Message, want) {
		t.Errorf("got %+v", said)
	}
	if n.judge(old) {
		t.Error("it is said again and again")
	}
	if seen := withoutSchemas(old); n.judge(seen) {
		t.Errorf("it is said again to who sees no schemas: %+v", seen.Status)
	}
	mended := withoutSchemas(old)
	mended.Spec.PreserveUnknownFields = false
	if !n.judge(mended) || apihelpers.FindCRDCondition(mended, apiextensionsv1.NonStructuralSchema) != nil {
		t.Errorf("it is still said when it is mended: %+v", mended.Status)
	}
}
