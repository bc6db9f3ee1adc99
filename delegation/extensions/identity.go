package extensions

import (
	"errors"
	"fmt"
	"maps"
	"strings"

	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apivalidation "k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	metav1validation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// keepIdentity refuses another object, and takes of the metadata what a conversion may change: labels and annotations.
func keepIdentity(converted, original *unstructured.Unstructured) error {
	if got, want := converted.GetKind(), original.GetKind(); got != want {
		return fmt.Errorf("must have the same kind: %v != %v", want, got)
	}
	after, ok := converted.Object["metadata"].(map[string]any)
	before, _ := original.Object["metadata"].(map[string]any)
	if !ok {
		return errors.New("metadata is missing or no object")
	}
	for _, name := range []string{"name", "namespace", "UID"} {
		if got, want := after[strings.ToLower(name)], before[strings.ToLower(name)]; !apiequality.Semantic.DeepEqual(got, want) {
			return fmt.Errorf("must have the same %s: %v != %v", name, want, got)
		}
	}
	kept := maps.Clone(before)
	if err := takeStrings(kept, after, "labels", metav1validation.ValidateLabels); err != nil {
		return err
	}
	if err := takeStrings(kept, after, "annotations", apivalidation.ValidateAnnotations); err != nil {
		return err
	}
	converted.Object["metadata"] = kept
	return nil
}

// takeStrings takes one of the maps of strings into the metadata that are kept. null is none. What is as it is stored, whatever that is, is not checked.
func takeStrings(kept, after map[string]any, name string, validate func(map[string]string, *field.Path) field.ErrorList) error {
	switch said := after[name]; {
	case said == nil:
		delete(kept, name)
		return nil
	case apiequality.Semantic.DeepEqual(said, kept[name]):
		return nil
	}
	said, _, err := unstructured.NestedStringMap(after, name)
	if err != nil {
		return fmt.Errorf("metadata.%s is not of strings only", name)
	}
	if errs := validate(said, field.NewPath("metadata", name)); len(errs) > 0 {
		return errs.ToAggregate()
	}
	kept[name] = after[name]
	return nil
}
