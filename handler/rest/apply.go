package rest

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	kjson "sigs.k8s.io/json"
	"sigs.k8s.io/yaml"
)

// applyTransform makes the object that an applied configuration wants of the one that there is, or of none.
func (e *endpoint) applyTransform(ctx context.Context, body []byte, at target, opts *metav1.PatchOptions) (Transform, error) {
	if err := e.boundDepth(body, formatYAML, at.name); err != nil {
		return nil, err
	}
	config, err := parseConfiguration(ctx, body, opts.FieldValidation)
	if err != nil {
		return nil, err
	}
	force := opts.Force != nil && *opts.Force
	return func(ctx context.Context, current runtime.Object) (runtime.Object, error) {
		if current == nil {
			if err := e.mayCreate(ctx, at); err != nil {
				return nil, err
			}
			if uid := config.GetUID(); uid != "" {
				return nil, apierrors.NewConflict(e.gvr.GroupResource(), at.name,
					fmt.Errorf("uid mismatch: the provided object specified uid %s, and no existing object was found", uid))
			}
		}
		// The library may change what it is given, and may be asked again.
		obj, err := e.res.Applier.Apply(current, config.DeepCopy(), opts.FieldManager, force)
		if err != nil {
			return nil, err
		}
		return obj, checkIdentity(obj, at)
	}, nil
}

// parseConfiguration reads the body of an apply, which is YAML and so may be JSON. Fields that the kind does
// not have are found when the configuration meets its schema, and refused whatever validation says; here
// only fields that are given twice can be seen.
func parseConfiguration(ctx context.Context, body []byte, validation string) (*unstructured.Unstructured, error) {
	asJSON, err := yaml.YAMLToJSONStrict(body)
	if err != nil {
		lenient, lenientErr := yaml.YAMLToJSON(body)
		switch {
		case lenientErr != nil:
			return nil, apierrors.NewBadRequest(fmt.Sprintf("error decoding YAML: %v", lenientErr))
		case validation == metav1.FieldValidationStrict:
			return nil, apierrors.NewBadRequest(fmt.Sprintf("error strict decoding YAML: %v", err))
		case validation == metav1.FieldValidationWarn:
			warnOf(ctx, []error{err})
		}
		asJSON = lenient
	}
	config := &unstructured.Unstructured{}
	if err := kjson.UnmarshalCaseSensitivePreserveInts(asJSON, &config.Object); err != nil || config.Object == nil {
		return nil, apierrors.NewBadRequest("error decoding YAML: a configuration is an object with apiVersion, kind and metadata")
	}
	return config, nil
}
