package extensions

import (
	"context"
	"fmt"
	"time"

	"k8s.io/apiextensions-apiserver/pkg/apihelpers"
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/validation"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/portico-api/portico/delegation/registry"
	"github.com/portico-api/portico/handler/rest"
)

// definition is what a user defines a custom resource with.
type definition = apiextensionsv1.CustomResourceDefinition

// AddToScheme adds the types of apiextensions.k8s.io/v1, which the unit serves.
func AddToScheme(scheme *runtime.Scheme) error {
	if err := apiextensionsv1.AddToScheme(scheme); err != nil {
		return fmt.Errorf("adding the types of CustomResourceDefinitions: %w", err)
	}
	return nil
}

// definitions declares the CustomResourceDefinition resource (contract 7.1).
func definitions(now func() time.Time) registry.Resource {
	return registry.Resource{
		GroupVersion: apiextensionsv1.SchemeGroupVersion,
		Kind:         "CustomResourceDefinition",
		Name:         "customresourcedefinitions",
		SingularName: "customresourcedefinition",
		ShortNames:   []string{"crd", "crds"},
		Categories:   []string{"api-extensions"},
		Path:         "apiextensions.k8s.io/customresourcedefinitions",
		New:          func() runtime.Object { return &definition{} },
		NewList:      func() runtime.Object { return &apiextensionsv1.CustomResourceDefinitionList{} },
		Strategy:     definitionStrategy(now),
		Status:       true,
	}
}

// maxDepth is how deep a definition may be nested. A schema in a schema takes one level or two; people write ten of them, and generators thirty.
const maxDepth = 256

// bounded has deeper definitions refused, by its subresources as well.
func bounded(r *rest.Resource) *rest.Resource {
	r.MaxDepth = maxDepth
	for _, sub := range r.Subresources {
		sub.MaxDepth = maxDepth
	}
	return r
}

func definitionStrategy(now func() time.Time) registry.Strategy {
	return registry.Strategy{
		Generation: true,
		Default: func(obj runtime.Object) {
			apiextensionsv1.SetObjectDefaults_CustomResourceDefinition(obj.(*definition))
		},
		PrepareForCreate: func(ctx context.Context, obj runtime.Object) {
			d := obj.(*definition)
			// Not null: kubectl wait, which often follows the create at once, cannot read that.
			d.Status = apiextensionsv1.CustomResourceDefinitionStatus{Conditions: []apiextensionsv1.CustomResourceDefinitionCondition{}}
			noteStorage(d)
			warnOfFormats(ctx, d, nil)
		},
		PrepareForUpdate: func(ctx context.Context, obj, old runtime.Object) {
			d, before := obj.(*definition), old.(*definition)
			d.Status = before.Status
			noteStorage(d)
			warnOfFormats(ctx, d, before)
		},
		Validate: func(ctx context.Context, obj runtime.Object) field.ErrorList {
			return checked(obj, nil, func(d, _ *apiextensions.CustomResourceDefinition) field.ErrorList {
				return validation.ValidateCustomResourceDefinition(ctx, d)
			})
		},
		ValidateChange: func(ctx context.Context, obj, old runtime.Object) field.ErrorList {
			d, before := obj.(*definition), old.(*definition)
			if apiequality.Semantic.DeepEqual(&d.Spec, &before.Spec) {
				d, before = withNominalSchemas(d), withNominalSchemas(before)
			}
			return checked(d, before, func(d, before *apiextensions.CustomResourceDefinition) field.ErrorList {
				return validation.ValidateCustomResourceDefinitionUpdate(ctx, d, before)
			})
		},
		ValidateStatusUpdate: validateStatusUpdate,
		BeginDelete: func(obj runtime.Object) bool {
			beginDelete(obj.(*definition), now())
			return true
		},
	}
}

// validateStatusUpdate leaves schemas out: no rule of a status looks at them, and to convert them would be most of the work.
func validateStatusUpdate(_ context.Context, obj, old runtime.Object) field.ErrorList {
	return checked(withoutSchemas(obj.(*definition)), withoutSchemas(old.(*definition)), validation.ValidateUpdateCustomResourceDefinitionStatus)
}

// withNominalSchemas is d with versions that say nothing but their names. What has been accepted stays so as long as it is not touched, and need not
// be checked again by who changes labels: to do so takes longer than to accept it.
func withNominalSchemas(d *definition) *definition {
	light, keep := *d, true
	light.Spec.Versions = make([]apiextensionsv1.CustomResourceDefinitionVersion, len(d.Spec.Versions))
	for i, v := range d.Spec.Versions {
		light.Spec.Versions[i] = apiextensionsv1.CustomResourceDefinitionVersion{
			Name: v.Name, Served: v.Served, Storage: v.Storage,
			Schema: &apiextensionsv1.CustomResourceValidation{OpenAPIV3Schema: &apiextensionsv1.JSONSchemaProps{Type: "object", XPreserveUnknownFields: &keep}},
		}
	}
	return &light
}

// noteStorage notes the version that objects are stored in from now on.
func noteStorage(d *definition) {
	for _, v := range d.Spec.Versions {
		if v.Storage && !apihelpers.IsStoredVersion(d, v.Name) {
			d.Status.StoredVersions = append(d.Status.StoredVersions, v.Name)
			return
		}
	}
}

// beginDelete has a definition stay until its objects are gone. Who deletes it again changes nothing.
func beginDelete(d *definition, now time.Time) {
	if d.DeletionTimestamp != nil {
		return
	}
	if !apihelpers.CRDHasFinalizer(d, apiextensionsv1.CustomResourceCleanupFinalizer) {
		d.Finalizers = append(d.Finalizers, apiextensionsv1.CustomResourceCleanupFinalizer)
	}
	setCondition(d, now, apiextensionsv1.Terminating, apiextensionsv1.ConditionTrue, "InstanceDeletionPending", "CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon")
}

// setCondition sets a condition, whose time changes with its status only.
func setCondition(d *definition, now time.Time, typ apiextensionsv1.CustomResourceDefinitionConditionType, status apiextensionsv1.ConditionStatus, reason, message string) {
	condition := apiextensionsv1.CustomResourceDefinitionCondition{Type: typ, Status: status, Reason: reason, Message: message, LastTransitionTime: metav1.NewTime(now).Rfc3339Copy()}
	if before := apihelpers.FindCRDCondition(d, typ); before != nil && before.Status == status {
		condition.LastTransitionTime = before.LastTransitionTime
	}
	apihelpers.SetCRDCondition(d, condition)
}

// checked applies rules of the library, which leave metadata to the registry but for what the spec decides on.
func checked(obj, old runtime.Object, rules func(d, before *apiextensions.CustomResourceDefinition) field.ErrorList) field.ErrorList {
	d, err := toInternal(obj.(*definition))
	if err != nil {
		return field.ErrorList{field.InternalError(nil, err)}
	}
	var before *apiextensions.CustomResourceDefinition
	if old != nil {
		if before, err = toInternal(old.(*definition)); err != nil {
			return field.ErrorList{field.InternalError(nil, err)}
		}
	}
	return withoutDumps(rules(d, before))
}

// maxShown is how many bytes of a wrong value are of use to whoever reads about it.
const maxShown = 1000

// withoutDumps leaves values out of problems that the library would show whole, as Go prints structs: all versions with their schemas, say.
func withoutDumps(problems field.ErrorList) field.ErrorList {
	for _, problem := range problems {
		if _, text := problem.BadValue.(string); !text && len(problem.ErrorBody()) > maxShown {
			problem.BadValue = field.OmitValueType{}
		}
	}
	return problems
}

// toInternal is d for the library's validation, which leaves it as it is: they share memory.
func toInternal(d *definition) (*apiextensions.CustomResourceDefinition, error) {
	internal := &apiextensions.CustomResourceDefinition{}
	if err := apiextensionsv1.Convert_v1_CustomResourceDefinition_To_apiextensions_CustomResourceDefinition(d, internal, nil); err != nil {
		return nil, fmt.Errorf("converting CustomResourceDefinition %s: %w", d.Name, err)
	}
	internal.ObjectMeta = metav1.ObjectMeta{Name: d.Name, Annotations: d.Annotations, ResourceVersion: d.ResourceVersion}
	return internal, nil
}
