package registry

import (
	"fmt"

	autoscalingv1 "k8s.io/api/autoscaling/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/managedfields"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	"github.com/portico-api/portico/delegation/registry/fieldtypes"
	"github.com/portico-api/portico/handler/rest"
)

// scaleKind is what every scale subresource speaks.
var scaleKind = autoscalingv1.SchemeGroupVersion.WithKind("Scale")

func newScale() runtime.Object { return &autoscalingv1.Scale{} }

// scaleScheme knows a Scale and nothing else of its group: HorizontalPodAutoscalers are another matter.
func scaleScheme() *runtime.Scheme {
	scheme := runtime.NewScheme()
	scheme.AddKnownTypes(autoscalingv1.SchemeGroupVersion, &autoscalingv1.Scale{})
	metav1.AddToGroupVersion(scheme, autoscalingv1.SchemeGroupVersion)
	utilruntime.Must(metav1.AddMetaToScheme(scheme))
	return scheme
}

// scaleAccount keeps account of who manages the number of replicas, whether it is written in the object
// or in its scale: the one who applies a Deployment without it must not reset what an autoscaler applied.
type scaleAccount struct {
	fields   *fieldManager // of the Scale; nil when nobody manages fields
	types    FieldTypes
	version  schema.GroupVersion
	mappings managedfields.ResourcePathMappings
}

func (s *Store) newScaleAccount(paths Scale) *scaleAccount {
	a := &scaleAccount{version: s.res.GroupVersion}
	if s.forms == nil {
		return a
	}
	a.mappings = managedfields.ResourcePathMappings{s.res.GroupVersion.String(): fieldPath(paths.SpecReplicas)}
	for version, path := range paths.Others {
		a.mappings[version] = fieldPath(path)
	}
	a.types = fieldtypes.New(scaleScheme(), fieldtypes.Scale)
	types := newFieldTypes(a.types, scaleKind, newScale)
	a.fields = fieldManagerOf(&forms{stored: types}, types, "scale", nil, nil, s.cfg.Now)
	return a
}

// applier is what the HTTP layer applies Scales with; nil when that cannot be done.
func (a *scaleAccount) applier() rest.Applier {
	if a.fields == nil {
		return nil
	}
	return a.fields
}

// updated notes that manager has made scale of old.
func (a *scaleAccount) updated(old, scale *autoscalingv1.Scale, manager string) error {
	if a.fields == nil {
		return nil
	}
	scale.ManagedFields = old.ManagedFields // it is not the client's to write here
	scale.SetGroupVersionKind(scaleKind)
	return a.fields.update(old, scale, manager)
}

// of is the account that an object's content brings.
func (a *scaleAccount) of(content map[string]any) parentAccount {
	if a.fields == nil {
		return parentAccount{}
	}
	u := unstructured.Unstructured{Object: content}
	return parentAccount{managedfields.NewScaleHandler(u.GetManagedFields(), a.version, a.mappings)}
}

// parentAccount is the account of a whole object, seen from its scale. The zero value keeps none.
type parentAccount struct{ handler *managedfields.ScaleHandler }

// shown is the part of the account that is about the number of replicas, as the scale has it.
func (p parentAccount) shown() ([]metav1.ManagedFieldsEntry, error) {
	if p.handler == nil {
		return nil, nil
	}
	entries, err := p.handler.ToSubresource()
	if err != nil {
		return nil, fmt.Errorf("reading who manages the replicas: %w", err)
	}
	return entries, nil
}

// merged is the account of the whole object after that of its scale has become entries.
func (p parentAccount) merged(entries []metav1.ManagedFieldsEntry) ([]metav1.ManagedFieldsEntry, error) {
	if p.handler == nil {
		return nil, nil
	}
	all, err := p.handler.ToParent(entries)
	if err != nil {
		return nil, fmt.Errorf("noting who manages the replicas: %w", err)
	}
	return all, nil
}

// fieldPath is a path of field names as managers of fields know it; nil for none.
func fieldPath(names []string) fieldpath.Path {
	var path fieldpath.Path
	for _, name := range names {
		path = append(path, fieldpath.PathElement{FieldName: &name})
	}
	return path
}
