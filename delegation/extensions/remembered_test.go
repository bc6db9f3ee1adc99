package extensions

import (
	"errors"
	"fmt"
	"runtime"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
)

func TestADefinitionIsRememberedAsLongAsSomebodyHasIt(t *testing.T) {
	loaded, failing := 0, true
	load := remembered(func() (*definition, error) {
		if failing {
			return nil, errors.New("the store")
		}
		loaded++
		return &definition{}, nil
	})
	if _, err := load(); err == nil {
		t.Error("the error was lost")
	}
	failing = false
	first, err := load()
	if err != nil {
		t.Fatal(err)
	}
	runtime.GC()
	if again, err := load(); again != first || err != nil || loaded != 1 {
		t.Errorf("loaded %d times, %v", loaded, err)
	}
	runtime.KeepAlive(first)
	first = nil
	runtime.GC()
	if _, err := load(); err != nil || loaded != 2 {
		t.Errorf("loaded %d times, want 2 when nobody had it any more: %v", loaded, err)
	}
}

func TestTheVersionsOfAKindAreDecodedTogether(t *testing.T) {
	d := &definition{}
	for i := range 5 {
		d.Spec.Versions = append(d.Spec.Versions, apiextensionsv1.CustomResourceDefinitionVersion{
			Name: fmt.Sprint("v", i+1), Storage: i == 0,
			Schema: &apiextensionsv1.CustomResourceValidation{OpenAPIV3Schema: &apiextensionsv1.JSONSchemaProps{Type: "object"}},
		})
	}
	loaded := 0
	k, err := newKind(d, func() (*definition, error) {
		loaded++
		return d, nil
	}, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, v := range k.versions {
		if _, err := v.structural(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if runtime.KeepAlive(d); loaded != 1 {
		t.Errorf("loaded %d times for %d versions, want once", loaded, len(k.versions))
	}
}
