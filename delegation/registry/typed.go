package registry

import (
	"context"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/portico-api/portico/handler/rest"
)

// Subresource declares one more way to write a resource's objects, such as a namespace's finalize.
type Subresource struct {
	Name string
	// Prepare takes from obj only what this subresource may change; the rest comes from old.
	Prepare  func(ctx context.Context, obj, old runtime.Object)
	Validate func(ctx context.Context, obj, old runtime.Object) field.ErrorList
	// Readable adds get and patch to update.
	Readable bool
}

// Subresource returns sub as the HTTP layer installs it, to be appended to Rest().Subresources.
func (s *Store) Subresource(sub Subresource) *rest.Resource { panic("skeleton") }

// GetAs reads one object, decoded; T is the resource's type (*corev1.Namespace).
func GetAs[T runtime.Object](ctx context.Context, s *Store, namespace, name string) (T, error) {
	panic("skeleton")
}

// ListAs reads all objects of a namespace ("" for all), decoded.
func ListAs[T runtime.Object](ctx context.Context, s *Store, namespace string) ([]T, error) {
	panic("skeleton")
}

// CreateAs stores obj and returns what was stored.
func CreateAs[T runtime.Object](ctx context.Context, s *Store, namespace string, obj T) (T, error) {
	panic("skeleton")
}

// UpdateAs changes one object with change, which may run again when another writer was faster.
func UpdateAs[T runtime.Object](ctx context.Context, s *Store, namespace, name string, change func(obj T) error) (T, error) {
	panic("skeleton")
}

// UpdateStatusAs is UpdateAs through the status subresource.
func UpdateStatusAs[T runtime.Object](ctx context.Context, s *Store, namespace, name string, change func(obj T) error) (T, error) {
	panic("skeleton")
}

func (s *Store) Get(ctx context.Context, namespace, name string, opts *metav1.GetOptions) (rest.Object, error) {
	panic("skeleton")
}
func (s *Store) List(ctx context.Context, namespace string, opts *rest.ListOptions) (*rest.List, error) {
	panic("skeleton")
}
func (s *Store) Watch(ctx context.Context, namespace string, opts *rest.ListOptions) (rest.Watch, error) {
	panic("skeleton")
}
func (s *Store) Create(ctx context.Context, namespace, name string, obj runtime.Object, opts *metav1.CreateOptions) (runtime.Object, error) {
	panic("skeleton")
}
func (s *Store) Update(ctx context.Context, namespace, name string, transform rest.Transform, opts *rest.UpdateOptions) (runtime.Object, bool, error) {
	panic("skeleton")
}
func (s *Store) Delete(ctx context.Context, namespace, name string, opts *metav1.DeleteOptions) (runtime.Object, bool, error) {
	panic("skeleton")
}
func (s *Store) DeleteCollection(ctx context.Context, namespace string, opts *metav1.DeleteOptions, list *rest.ListOptions) (runtime.Object, error) {
	panic("skeleton")
}
