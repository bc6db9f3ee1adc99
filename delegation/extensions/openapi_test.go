package extensions

import (
	"testing"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
)

func TestADocumentHasAnotherNameWhenItSaysSomethingElse(t *testing.T) {
	first := rival("a", "1", true)
	name := func(program string, change func(d *definition)) string {
		d := first.DeepCopy()
		change(d)
		return newDocuments(nil, program, nil).nameOf([]*definition{d})
	}
	names := map[string]string{}
	for what, changed := range map[string]string{
		"nothing":          name("v1", func(*definition) {}),
		"the schema":       name("v1", func(d *definition) { d.Generation++ }),
		"another of it":    name("v1", func(d *definition) { d.UID = "u" }),
		"another name":     name("v1", func(d *definition) { d.Status.AcceptedNames.ShortNames = []string{"s"} }),
		"another program":  name("v2", func(*definition) {}),
		"it is going":      name("v1", func(d *definition) { setCondition(d, time.Now(), apiextensionsv1.Terminating, "True", "", "") }),
		"one more of them": newDocuments(nil, "v1", nil).nameOf([]*definition{first, rival("b", "1", true)}),
	} {
		if other, ok := names[changed]; ok {
			t.Errorf("%s and %s: one name", what, other)
		}
		names[changed] = what
	}
	// What clients do not see in it changes nothing.
	if names[name("v1", func(d *definition) { d.ResourceVersion = "2" })] != "nothing" {
		t.Error("another version of the same definition has another name")
	}
}
