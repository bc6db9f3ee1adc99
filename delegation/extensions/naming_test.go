package extensions

import (
	"testing"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// rival is a definition that wants the kind Foo, in a version of it, with its names or without.
func rival(name, version string, accepted bool) *definition {
	wanted := names{Plural: name, Singular: name, Kind: "Foo", ListKind: "FooList"}
	d := &definition{
		ObjectMeta: metav1.ObjectMeta{Name: name + ".g", ResourceVersion: version},
		Spec:       apiextensionsv1.CustomResourceDefinitionSpec{Group: "g", Names: wanted},
	}
	if accepted {
		d.Status.AcceptedNames = wanted
	}
	return d
}

// Whatever becomes of a write, the kind Foo is never both a's and b's.
func TestAClaimIsKeptUntilItIsKnownWhatBecameOfIt(t *testing.T) {
	for what, c := range map[string]struct {
		happens func(n *naming)
		free    bool
	}{
		"it is being written":                  {func(*naming) {}, false},
		"it was written, and told of":          {func(n *naming) { n.note(rival("a", "11", true)) }, false},
		"an older state comes late":            {func(n *naming) { n.note(rival("a", "10", false)) }, false},
		"it was not written":                   {func(n *naming) { n.unclaim(rival("a", "10", false), false) }, true},
		"it was written, then something else":  {func(n *naming) { n.note(rival("a", "11", true)); n.unclaim(rival("a", "10", false), false) }, false},
		"another state was written":            {func(n *naming) { n.note(rival("a", "12", false)) }, true},
		"it is gone":                           {func(n *naming) { n.unclaim(rival("a", "10", false), true) }, true},
		"it is deleted after":                  {func(n *naming) { n.release(rival("a", "12", true)) }, true},
		"what was there before it was deleted": {func(n *naming) { n.release(rival("a", "9", true)) }, false},
	} {
		n := newNaming(nil, nil, time.Now)
		n.note(rival("a", "10", false))
		n.claim(rival("a", "10", false))
		c.happens(n)
		b := rival("b", "5", false)
		n.note(b)
		n.claim(b)
		if got := b.Status.AcceptedNames.Kind == "Foo"; got != c.free {
			t.Errorf("%s: b gets the kind: %v, want %v", what, got, c.free)
		}
	}
}

// A definition is deleted and made anew; the new one is being named before it is told that the old one is gone.
func TestTheEndOfAnOldDefinitionDoesNotFreeTheNamesOfTheNew(t *testing.T) {
	n := newNaming(nil, nil, time.Now)
	n.note(rival("a", "10", true))
	n.claim(rival("a", "21", false))
	n.release(rival("a", "20", true))
	b := rival("b", "5", false)
	n.note(b)
	if n.claim(b); b.Status.AcceptedNames.Kind == "Foo" {
		t.Error("both have the kind")
	}
}

func TestOnlyThoseThatWantNamesAreLookedAtWhenOneGoes(t *testing.T) {
	n := newNaming(nil, nil, time.Now)
	for name, state := range map[string]struct{ accepted, changed bool }{
		"a": {accepted: true}, "b": {accepted: true, changed: true}, "c": {}, "d": {accepted: true},
	} {
		d := rival(name, "1", state.accepted)
		if state.accepted {
			setCondition(d, time.Now(), apiextensionsv1.NamesAccepted, apiextensionsv1.ConditionTrue, "NoConflicts", "no conflicts found")
		}
		if state.changed {
			d.Spec.Names.ShortNames = []string{"x"}
		}
		n.note(d)
	}
	if n.release(rival("d", "2", true)); n.queue.Len() != 2 {
		t.Errorf("%d are looked at, want b and c", n.queue.Len())
	}
}
