package extensions

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/portico-api/portico/delegation"
	"github.com/portico-api/portico/delegation/stored"
)

// NamespacedContent is what custom resources have in namespaces.
func (s *Server) NamespacedContent() []delegation.NamespacedContent {
	var all []delegation.NamespacedContent
	for _, r := range s.catalog.all() {
		if isNamespaced(r.definition) {
			all = append(all, customContent{r})
		}
	}
	return all
}

// customContent is what one custom resource has. It is not read into memory when there is nothing.
type customContent struct{ served *served }

func (c customContent) Empty(ctx context.Context, namespace string) delegation.Remaining {
	d := c.served.definition
	some, err := c.served.maker.hasObjects(ctx, d, namespace)
	if err != nil {
		return delegation.Remaining{Failed: []error{fmt.Errorf("looking for %s in namespace %s: %w", resourceOf(d), namespace, err)}}
	}
	if !some {
		return delegation.Remaining{Objects: map[schema.GroupResource]int{resourceOf(d): 0}}
	}
	return c.served.clear(ctx, namespace)
}

// hasObjects tells whether there are any, once nobody makes some by an earlier state of the definition.
func (s *served) hasObjects(ctx context.Context) (bool, error) {
	s.opening.Lock()
	before := s.before
	s.opening.Unlock()
	if before != nil {
		select {
		case <-before.closed:
		case <-ctx.Done():
			return false, ctx.Err()
		}
	}
	return s.maker.hasObjects(ctx, s.definition, "")
}

// clear deletes what there is in a namespace, or everywhere. Nobody is asked whether that may be: the definition is deleted, or the
// namespace is.
func (s *served) clear(ctx context.Context, namespace string) delegation.Remaining {
	if !s.enter() {
		return delegation.Remaining{Failed: []error{fmt.Errorf("deleting %s: %w", resourceOf(s.definition), errRetired)}}
	}
	defer s.leave()
	o, err := s.open(ctx)
	if err != nil {
		return delegation.Remaining{Failed: []error{err}}
	}
	return stored.NewNamespacedContent(o.resource, o.unasked).Empty(ctx, namespace)
}

// OwnedResources are the custom resources, for the garbage collector.
func (s *Server) OwnedResources(ctx context.Context) []delegation.OwnedResource {
	var all []delegation.OwnedResource
	for _, r := range s.catalog.all() {
		o, err := r.open(ctx)
		if err != nil {
			continue // it is not served either, and its objects are not collected
		}
		all = append(all, stored.NewOwnedResource(o.resource, o.base))
	}
	return all
}

// OnChange has on called when there are other custom resources.
func (s *Server) OnChange(on func()) (stop func()) { return s.catalog.listeners.Add(on) }
