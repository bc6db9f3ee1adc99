package extensions

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"

	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	structuralschema "k8s.io/apiextensions-apiserver/pkg/apiserver/schema"
	schemacel "k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel/model"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/listtype"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/objectmeta"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/schema/pruning"
	"k8s.io/apiextensions-apiserver/pkg/apiserver/validation"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	"k8s.io/apiserver/pkg/cel/common"
	"k8s.io/apiserver/pkg/warning"
	kjson "sigs.k8s.io/json"

	"github.com/portico-api/portico/handler"
)

// versionSchema is what the objects of one version of a definition are like. Its parts are made when they are needed first: most of many
// definitions have no objects.
type versionSchema struct {
	kind       schema.GroupVersionKind
	structural func() (*structuralschema.Structural, error)
	rules      func() (*rules, error) // made for the first write
}

// rules are what a schema refuses. To make them of a large schema takes as long as many writes, and most of many
// definitions are hardly ever written to.
type rules struct {
	whole, status       validation.SchemaValidator
	cel, statusCEL      *schemacel.Validator
	structural          *structuralschema.Structural
	statusStructural    *structuralschema.Structural
	scaleSpec, scaleNow []string // paths of replicas; nil when there is no scale
}

// newVersionSchema returns the schema of a version that load finds.
func newVersionSchema(kind schema.GroupVersionKind, load func() (*apiextensionsv1.CustomResourceDefinitionVersion, error)) *versionSchema {
	s := &versionSchema{kind: kind}
	s.structural = sync.OnceValues(func() (*structuralschema.Structural, error) {
		version, err := load()
		if err != nil {
			return nil, err
		}
		internal, err := internalSchema(version)
		if err != nil {
			return nil, fmt.Errorf("converting the schema of %s: %w", kind, err)
		}
		structural, err := structuralschema.NewStructural(internal)
		if err != nil {
			return nil, fmt.Errorf("reading the schema of %s: %w", kind, err)
		}
		if err := defaulting.PruneDefaults(structural); err != nil {
			return nil, fmt.Errorf("reading the defaults of %s: %w", kind, err)
		}
		return structural, nil
	})
	s.rules = sync.OnceValues(func() (*rules, error) {
		version, err := load()
		if err != nil {
			return nil, err
		}
		structural, err := s.structural()
		if err != nil {
			return nil, err
		}
		internal, err := internalSchema(version)
		if err != nil {
			return nil, err
		}
		return newRules(structural, internal, version)
	})
	return s
}

func internalSchema(version *apiextensionsv1.CustomResourceDefinitionVersion) (*apiextensions.JSONSchemaProps, error) {
	internal := &apiextensions.JSONSchemaProps{}
	if version.Schema == nil || version.Schema.OpenAPIV3Schema == nil {
		return internal, nil
	}
	err := apiextensionsv1.Convert_v1_JSONSchemaProps_To_apiextensions_JSONSchemaProps(version.Schema.OpenAPIV3Schema.DeepCopy(), internal, nil)
	return internal, err
}

func newRules(structural *structuralschema.Structural, whole *apiextensions.JSONSchemaProps, version *apiextensionsv1.CustomResourceDefinitionVersion) (*rules, error) {
	r := &rules{structural: structural}
	var err error
	if r.whole, _, err = validation.NewSchemaValidator(whole); err != nil {
		return nil, fmt.Errorf("compiling a schema: %w", err)
	}
	status := whole.Properties["status"]
	if r.status, _, err = validation.NewSchemaValidator(&status); err != nil {
		return nil, fmt.Errorf("compiling the schema of a status: %w", err)
	}
	r.cel = schemacel.NewValidator(structural, true, celconfig.PerCallLimit)
	if s, ok := structural.Properties["status"]; ok {
		r.statusStructural = &s
		r.statusCEL = schemacel.NewValidator(&s, false, celconfig.PerCallLimit)
	}
	if sub := version.Subresources; sub != nil && sub.Scale != nil {
		r.scaleSpec, r.scaleNow = pathOf(sub.Scale.SpecReplicasPath), pathOf(sub.Scale.StatusReplicasPath)
	}
	return r, nil
}

// pathOf reads the simple paths that scales are declared with: ".spec.replicas".
func pathOf(text string) []string { return strings.Split(strings.TrimPrefix(text, "."), ".") }

// settle drops what the schema does not know, and tells what that was. The order is that of kube-apiserver: metadata is read before it is pruned
// like everything else, and put back after.
func (s *versionSchema) settle(u *unstructured.Unstructured, stored bool) (unknown []string, err error) {
	structural, err := s.structural()
	if err != nil {
		return nil, err
	}
	kind, apiVersion := u.GetKind(), u.GetAPIVersion()
	m, found, unknown, err := objectmeta.GetObjectMetaWithOptions(u.Object, objectmeta.ObjectMetaOptions{DropMalformedFields: stored, ReturnUnknownFieldPaths: !stored})
	if err != nil {
		return nil, err
	}
	unknown = append(unknown, pruning.PruneWithOptions(u.Object, structural, true, structuralschema.UnknownFieldPathOptions{TrackUnknownFieldPaths: !stored})...)
	defaulting.PruneNonNullableNullsWithoutDefaults(u.Object, structural)
	coerced, paths := objectmeta.CoerceWithOptions(nil, u.Object, structural, false, objectmeta.CoerceOptions{DropInvalidFields: stored, ReturnUnknownFieldPaths: !stored})
	if coerced != nil {
		return nil, coerced
	}
	unknown = append(unknown, paths...)
	u.SetKind(kind)
	u.SetAPIVersion(apiVersion)
	if found {
		if stored && m.Generation == 0 {
			m.Generation = 1
		}
		if err := objectmeta.SetObjectMeta(u.Object, m); err != nil {
			return nil, err
		}
	}
	return unknown, nil
}

// settleSent settles what a client has sent.
func (s *versionSchema) settleSent(obj runtime.Object) (unknown []error, err error) {
	u := obj.(*unstructured.Unstructured)
	if problems := s.validateType(u); len(problems) > 0 {
		return nil, apierrors.NewInvalid(u.GroupVersionKind().GroupKind(), u.GetName(), problems)
	}
	paths, err := s.settle(u, false)
	if err != nil {
		return nil, err
	}
	for _, path := range paths {
		unknown = append(unknown, fmt.Errorf("unknown field %q", path))
	}
	return unknown, nil
}

// fill fills in defaults, also for nulls that may not be.
func (s *versionSchema) fill(obj runtime.Object) {
	if structural, err := s.structural(); err == nil { // else validation tells
		defaulting.Default(obj.(*unstructured.Unstructured).Object, structural)
	}
}

// shown is a stored object as clients of its version see it. It is returned as it is when the schema changes nothing of it.
func (s *versionSchema) shown(stored []byte) ([]byte, error) {
	u, err := decode(stored)
	if err != nil {
		return nil, err
	}
	if _, err := s.settle(u, true); err != nil {
		return nil, err
	}
	s.fill(u)
	body, err := json.Marshal(u.Object)
	if err != nil {
		return nil, fmt.Errorf("encoding a %s: %w", s.kind.Kind, err)
	}
	if bytes.Equal(body, stored) {
		return stored, nil
	}
	return body, nil
}

func decode(body []byte) (*unstructured.Unstructured, error) {
	u := &unstructured.Unstructured{}
	if err := kjson.UnmarshalCaseSensitivePreserveInts(body, &u.Object); err != nil {
		return nil, fmt.Errorf("decoding a custom resource: %w", err)
	}
	return u, nil
}

// validate checks a new object.
func (s *versionSchema) validate(ctx context.Context, obj runtime.Object) field.ErrorList {
	u := obj.(*unstructured.Unstructured)
	r, err := s.rules()
	if err != nil {
		return field.ErrorList{field.InternalError(nil, err)}
	}
	if problems := s.validateType(u); len(problems) > 0 {
		return problems
	}
	problems := validation.ValidateCustomResource(nil, u.Object, r.whole)
	problems = append(problems, r.scale(u)...)
	problems = append(problems, objectmeta.Validate(nil, u.Object, r.structural, false)...)
	problems = append(problems, listtype.ValidateListSetsAndMaps(nil, r.structural, u.Object)...)
	return append(problems, evaluate(ctx, r.cel, r.structural, nil, u.Object, nil, problems)...)
}

// validateChange checks an update. What is not valid and was not before either, and has not been touched, is let be.
func (s *versionSchema) validateChange(ctx context.Context, obj, old runtime.Object) field.ErrorList {
	u, before := obj.(*unstructured.Unstructured), old.(*unstructured.Unstructured)
	r, err := s.rules()
	if err != nil {
		return field.ErrorList{field.InternalError(nil, err)}
	}
	if problems := s.validateType(u); len(problems) > 0 {
		return problems
	}
	both := common.NewCorrelatedObject(u.Object, before.Object, &model.Structural{Structural: r.structural})
	problems := validation.ValidateCustomResourceUpdate(nil, u.Object, before.Object, r.whole, validation.WithRatcheting(both))
	problems = append(problems, r.scale(u)...)
	problems = append(problems, objectmeta.Validate(nil, u.Object, r.structural, false)...)
	if len(listtype.ValidateListSetsAndMaps(nil, r.structural, before.Object)) == 0 {
		problems = append(problems, listtype.ValidateListSetsAndMaps(nil, r.structural, u.Object)...)
	}
	return append(problems, evaluate(ctx, r.cel, r.structural, nil, u.Object, before.Object, problems, schemacel.WithRatcheting(both))...)
}

// validateStatus checks an update by the status subresource, which can have changed nothing else.
func (s *versionSchema) validateStatus(ctx context.Context, obj, old runtime.Object) field.ErrorList {
	u, before := obj.(*unstructured.Unstructured), old.(*unstructured.Unstructured)
	r, err := s.rules()
	if err != nil {
		return field.ErrorList{field.InternalError(nil, err)}
	}
	if problems := s.validateType(u); len(problems) > 0 {
		return problems
	}
	status, given := u.Object["status"]
	if !given || r.statusStructural == nil {
		return r.scaleStatus(u)
	}
	path := field.NewPath("status")
	both := common.NewCorrelatedObject(status, before.Object["status"], &model.Structural{Structural: r.statusStructural})
	problems := validation.ValidateCustomResourceUpdate(path, status, before.Object["status"], r.status, validation.WithRatcheting(both))
	problems = append(problems, r.scaleStatus(u)...)
	if len(listtype.ValidateListSetsAndMaps(nil, r.structural, before.Object)) == 0 {
		problems = append(problems, listtype.ValidateListSetsAndMaps(nil, r.structural, u.Object)...)
	}
	return append(problems, evaluate(ctx, r.statusCEL, r.statusStructural, path, status, before.Object["status"], problems, schemacel.WithRatcheting(both))...)
}

// validateType checks what an object says of itself.
func (s *versionSchema) validateType(u *unstructured.Unstructured) field.ErrorList {
	var problems field.ErrorList
	if kind := u.GetKind(); kind != s.kind.Kind {
		problems = append(problems, field.Invalid(field.NewPath("kind"), kind, "must be "+s.kind.Kind))
	}
	if version := u.GetAPIVersion(); version != s.kind.GroupVersion().String() {
		problems = append(problems, field.Invalid(field.NewPath("apiVersion"), version, "must be "+s.kind.GroupVersion().String()))
	}
	return problems
}

// evaluate asks the rules in CEL, unless the object is so wrong already that they could not be evaluated.
func evaluate(ctx context.Context, v *schemacel.Validator, s *structuralschema.Structural, path *field.Path, obj, old any, before field.ErrorList, options ...schemacel.Option) field.ErrorList {
	if v == nil {
		return nil
	}
	for _, problem := range before {
		switch problem.Type {
		case field.ErrorTypeNotSupported, field.ErrorTypeRequired, field.ErrorTypeTooLong, field.ErrorTypeTooMany, field.ErrorTypeTypeInvalid:
			return field.ErrorList{field.Invalid(nil, nil, "some validation rules were not checked because the object was invalid; correct the existing errors to complete validation")}
		}
	}
	problems, _ := v.Validate(warning.WithWarningRecorder(ctx, toldClient{ctx}), path, s, obj, old, celconfig.RuntimeCELCostBudget, options...)
	return problems
}

// toldClient hands on what the library warns of: what a rule would refuse, were it not unchanged.
type toldClient struct{ ctx context.Context }

func (c toldClient) AddWarning(_, text string) { handler.AddWarning(c.ctx, text) }

// scale checks the numbers that the scale subresource shows.
func (r *rules) scale(u *unstructured.Unstructured) field.ErrorList {
	if r.scaleSpec == nil {
		return nil
	}
	return append(replicas(u, r.scaleSpec), r.scaleStatus(u)...)
}

func (r *rules) scaleStatus(u *unstructured.Unstructured) field.ErrorList {
	if r.scaleNow == nil {
		return nil
	}
	return replicas(u, r.scaleNow)
}

func replicas(u *unstructured.Unstructured, path []string) field.ErrorList {
	at := field.NewPath("." + strings.Join(path, ".")) // as the definition spells it
	n, _, err := unstructured.NestedInt64(u.Object, path...)
	switch {
	case err != nil:
		return field.ErrorList{field.Invalid(at, n, err.Error())}
	case n < 0:
		return field.ErrorList{field.Invalid(at, n, "should be a non-negative integer")}
	case n > 1<<31-1:
		return field.ErrorList{field.Invalid(at, n, "should be less than or equal to 2147483647")}
	}
	return nil
}
