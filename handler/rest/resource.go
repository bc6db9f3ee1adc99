package rest

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Resource is everything the verbs need to know of one resource or subresource of one version.
type Resource struct {
	GroupVersion schema.GroupVersion
	// Kind is the kind of what is read and written here; KindGroupVersion says where it lives when
	// that is not GroupVersion (autoscaling/v1 Scale, authentication.k8s.io/v1 TokenRequest).
	Kind             string
	KindGroupVersion schema.GroupVersion

	Name         string // plural, or the subresource's name: "status"
	SingularName string
	ShortNames   []string
	Categories   []string
	Namespaced   bool

	// Storage offers some of Getter, Lister, Watcher, Creater, Updater, Deleter, CollectionDeleter.
	Storage any
	// New and NewList make empty values to decode into; NewList is nil for what cannot be listed.
	New     func() runtime.Object
	NewList func() runtime.Object
	// Scheme knows the types; Codecs are made from it.
	Scheme *runtime.Scheme
	// Table renders the resource for kubectl get; nil means Name and Created At.
	Table *Table

	Subresources []*Resource
}

// Table is how a resource looks in kubectl get.
type Table struct {
	Columns []metav1.TableColumnDefinition
	// Cells are the cells of one object, one for each column.
	Cells func(obj runtime.Object) []any
}

// Verbs are the API verbs that the storage offers, sorted, as discovery lists them.
func (r *Resource) Verbs() []string { return nil }
