package registry

import (
	"context"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Creation is the create of a subresource that is an act and keeps no object, such as an eviction: admission is asked
// about it like about any other.
type Creation struct {
	admission Admission // nil admits everything
	request   Request
}

// SubresourceCreation is the create of obj, which is of kind, as a subresource of the object of a name.
func (s *Store) SubresourceCreation(subresource string, kind schema.GroupVersionKind, namespace, name string, obj runtime.Object, opts *metav1.CreateOptions) *Creation {
	if opts == nil {
		opts = &metav1.CreateOptions{}
	}
	obj.GetObjectKind().SetGroupVersionKind(kind)
	return &Creation{s.cfg.Admission, Request{
		Operation:   Create,
		Resource:    s.res.GroupVersion.WithResource(s.res.Name),
		Subresource: subresource,
		Kind:        kind,
		Namespace:   namespace,
		Name:        name,
		Object:      obj,
		DryRun:      len(opts.DryRun) > 0,
		Options:     func() runtime.Object { return options(opts.DeepCopy(), "CreateOptions") },
	}}
}

// Admit has admission change the object.
func (c *Creation) Admit(ctx context.Context) error {
	if c.admission == nil {
		return nil
	}
	return c.admission.Admit(ctx, &c.request)
}

// Validate asks admission whether it refuses what the object has become.
func (c *Creation) Validate(ctx context.Context) error {
	if c.admission == nil {
		return nil
	}
	return c.admission.Validate(ctx, &c.request)
}
