package core

import (
	"context"
	"encoding/json"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/portico-api/portico/delegation/registry"
	"github.com/portico-api/portico/delegation/registry/declare"
	"github.com/portico-api/portico/handler/rest"
)

func namespaces() registry.Resource {
	strategy := declare.Rules[*corev1.Namespace]{
		Create:         createNamespace,
		Update:         updateNamespace,
		UpdateStatus:   updateNamespaceStatus,
		Validate:       validateNamespace,
		ValidateStatus: validateNamespaceStatus,
	}.Strategy()
	strategy.AllowUnconditionalUpdate = true
	strategy.ValidateName = dns1123Label
	strategy.FieldNames = []string{"status.phase"}
	strategy.Fields = namespaceFields
	strategy.BeginDelete = beginNamespaceDeletion
	strategy.ShouldDelete = func(obj runtime.Object) bool { return len(obj.(*corev1.Namespace).Spec.Finalizers) == 0 }
	return registry.Resource{
		GroupVersion: corev1.SchemeGroupVersion,
		Kind:         "Namespace",
		Name:         "namespaces",
		SingularName: "namespace",
		ShortNames:   []string{"ns"},
		New:          func() runtime.Object { return &corev1.Namespace{} },
		NewList:      func() runtime.Object { return &corev1.NamespaceList{} },
		Strategy:     strategy,
		Status:       true,
		Table: declare.Table(func(n *corev1.Namespace) []any {
			return []any{n.Name, string(n.Status.Phase), declare.Age(&n.ObjectMeta)}
		}, declare.NameColumn(), declare.Column("Status", corev1.NamespaceStatus{}.SwaggerDoc()["phase"]), declare.AgeColumn()),
	}
}

// namespaceFinalize is what the namespace deletion uses when a namespace's content is gone: the
// only way to change spec.finalizers. Other metadata may be written along with it.
func namespaceFinalize() registry.Subresource {
	return registry.Subresource{
		Name: "finalize",
		Prepare: func(_ context.Context, obj, old runtime.Object) {
			namespace, was := obj.(*corev1.Namespace), old.(*corev1.Namespace)
			namespace.Status = was.Status
			labelWithName(namespace)
		},
		Validate: func(_ context.Context, obj, _ runtime.Object) field.ErrorList {
			return validateNamespace(obj.(*corev1.Namespace))
		},
	}
}

// namespaceStorage offers all verbs but deletecollection: nobody should lose every namespace by a
// request that names none.
type namespaceStorage struct {
	rest.Getter
	rest.Lister
	rest.Watcher
	rest.Creater
	rest.Updater
	rest.Deleter
}

func namespaceResource(store *registry.Store) *rest.Resource {
	resource := store.Rest()
	resource.Storage = namespaceStorage{store, store, store, store, store, store}
	resource.Subresources = append(resource.Subresources, store.Subresource(namespaceFinalize()))
	return resource
}

func createNamespace(_ context.Context, n *corev1.Namespace) {
	n.Status = corev1.NamespaceStatus{Phase: corev1.NamespaceActive}
	if !slices.Contains(n.Spec.Finalizers, corev1.FinalizerKubernetes) {
		n.Spec.Finalizers = append(n.Spec.Finalizers, corev1.FinalizerKubernetes)
	}
	labelWithName(n)
}

func updateNamespace(_ context.Context, n, old *corev1.Namespace) {
	n.Spec.Finalizers = old.Spec.Finalizers
	n.Status = old.Status
	labelWithName(n)
}

func updateNamespaceStatus(_ context.Context, n, old *corev1.Namespace) {
	status, managed := n.Status, n.ManagedFields
	old.DeepCopyInto(n)
	n.Status, n.ManagedFields = status, managed
	labelWithName(n)
}

// labelWithName keeps the label by which selectors find a namespace by its name.
func labelWithName(n *corev1.Namespace) {
	if n.Labels == nil {
		n.Labels = make(map[string]string, 1)
	}
	n.Labels[corev1.LabelMetadataName] = n.Name
}

func beginNamespaceDeletion(obj runtime.Object) (kept bool) {
	n := obj.(*corev1.Namespace)
	n.Status.Phase = corev1.NamespaceTerminating
	return len(n.Spec.Finalizers) > 0
}

func namespaceFields(object []byte) fields.Set {
	var namespace struct {
		Status struct {
			Phase string `json:"phase"`
		} `json:"status"`
	}
	if err := json.Unmarshal(object, &namespace); err != nil {
		return nil
	}
	return fields.Set{"status.phase": namespace.Status.Phase}
}

func validateNamespace(n *corev1.Namespace) field.ErrorList {
	var errs field.ErrorList
	for i, finalizer := range n.Spec.Finalizers {
		path := field.NewPath("spec", "finalizers").Index(i)
		name := string(finalizer)
		if finalizer == corev1.FinalizerKubernetes {
			continue
		}
		errs = append(errs, declare.Invalid(validation.IsQualifiedName(name), path, name)...)
		if !slices.Contains([]byte(name), '/') {
			errs = append(errs, field.Invalid(path, name, "name is neither a standard finalizer name nor is it fully qualified"))
		}
	}
	return errs
}

func validateNamespaceStatus(n, _ *corev1.Namespace) field.ErrorList {
	path := field.NewPath("status", "phase")
	switch phase := n.Status.Phase; {
	case n.DeletionTimestamp.IsZero() && phase != corev1.NamespaceActive:
		return field.ErrorList{field.Invalid(path, phase, "may only be 'Active' if `deletionTimestamp` is empty")}
	case !n.DeletionTimestamp.IsZero() && phase != corev1.NamespaceTerminating:
		return field.ErrorList{field.Invalid(path, phase, "may only be 'Terminating' if `deletionTimestamp` is not empty")}
	}
	return nil
}
