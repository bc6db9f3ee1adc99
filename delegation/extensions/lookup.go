package extensions

import (
	"context"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/portico-api/portico/delegation/registry"
)

// OfKind finds where the objects of a kind are kept, in its version.
func (s *Server) OfKind(ctx context.Context, kind schema.GroupVersionKind) (registry.Resource, *registry.Store, bool) {
	for _, r := range s.catalog.all() {
		d := r.definition
		if d.Spec.Group != kind.Group || d.Status.AcceptedNames.Kind != kind.Kind || !servesVersion(d, kind.Version) {
			continue
		}
		o, err := r.open(ctx)
		if err != nil {
			return registry.Resource{}, nil, false
		}
		resource := o.resource
		resource.GroupVersion = kind.GroupVersion()
		return resource, o.stores[kind.Version], true
	}
	return registry.Resource{}, nil, false
}

// OfResource finds where the objects of a resource are kept.
func (s *Server) OfResource(ctx context.Context, resource schema.GroupResource) (*registry.Store, bool) {
	r := s.resources.find(resource)
	if r == nil {
		return nil, false
	}
	o, err := r.open(ctx)
	if err != nil {
		return nil, false
	}
	return o.base, true
}
