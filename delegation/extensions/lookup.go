package extensions

import (
	"context"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/portico-api/portico/delegation/registry"
)

// OfKind finds where the objects of a kind are kept, in its version.
func (s *Server) OfKind(ctx context.Context, kind schema.GroupVersionKind) (registry.Resource, *registry.Store, bool) {
	r := s.catalog.ofKind(kind.GroupKind())
	if r == nil || !servesVersion(r.definition, kind.Version) {
		return registry.Resource{}, nil, false
	}
	o, err := r.open(ctx)
	if err != nil {
		return registry.Resource{}, nil, false
	}
	resource := o.resource
	resource.GroupVersion = kind.GroupVersion()
	return resource, o.stores[kind.Version], true
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
