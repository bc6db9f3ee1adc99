package extensions

import (
	"context"
	"maps"
	"net/http"
	"sync/atomic"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/portico-api/portico/handler"
)

// routes are all custom resources that are served. A published table is not changed any more.
type routes map[schema.GroupResource]*served

// customResources answers requests for custom resources, and passes every other request to the
// next delegate as it came.
type customResources struct {
	next      http.Handler
	discovery *groupVersions
	// catchUp waits for what is on its way of a definition, and tells whether there is one.
	catchUp func(ctx context.Context, name string) bool
	routes  atomic.Pointer[routes]
}

func newCustomResources(next http.Handler, discovery *groupVersions) *customResources {
	c := &customResources{next: next, discovery: discovery}
	c.routes.Store(&routes{})
	return c
}

// publish puts s in the place of what is served as resource; nil takes it away. It is called from one goroutine.
func (c *customResources) publish(resource schema.GroupResource, s *served) {
	all := maps.Clone(*c.routes.Load())
	if s == nil {
		delete(all, resource)
	} else {
		all[resource] = s
	}
	c.routes.Store(&all)
}

func (c *customResources) find(resource schema.GroupResource) *served {
	return (*c.routes.Load())[resource]
}

func (c *customResources) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	req, ok := handler.RequestFrom(r.Context())
	if !ok {
		c.next.ServeHTTP(w, r)
		return
	}
	if !req.Info.IsResourceRequest {
		if document := c.discovery.document(r.URL.Path); document != nil {
			req.Routed = true
			document.ServeHTTP(w, r)
			return
		}
		c.next.ServeHTTP(w, r)
		return
	}
	resource := schema.GroupResource{Group: req.Info.APIGroup, Resource: req.Info.Resource}
	for waited := false; ; {
		s := c.find(resource)
		if s == nil || !s.isFor(&req.Info) {
			if !waited && c.catchUp(r.Context(), resource.String()) {
				waited = true
				continue
			}
			c.next.ServeHTTP(w, r)
			return
		}
		if req.Info.Verb == "watch" {
			req.Routed = true
			s.ServeHTTP(w, r) // it ends when the definition changes
			return
		}
		if !s.enter() {
			if c.find(resource) == s { // the server ends, and nothing takes its place
				handler.WriteError(w, r, errRetired)
				return
			}
			continue // what is served now is in the table already
		}
		defer s.leave()
		req.Routed = true
		s.ServeHTTP(w, r)
		return
	}
}

// Explain implements handler.Explainer.
func (c *customResources) Explain(r *http.Request) []handler.Station {
	const name = "custom resources"
	passed := func(why string) []handler.Station {
		return append([]handler.Station{{Name: name, Decision: "next delegate", Why: why}}, handler.Explain(c.next, r)...)
	}
	req, ok := handler.RequestFrom(r.Context())
	if !ok || !req.Info.IsResourceRequest {
		if c.discovery.document(r.URL.Path) != nil {
			return []handler.Station{{Name: name, Decision: "answers", Why: "it is the discovery of a group that has custom resources only"}}
		}
		return passed("the path is that of no object or collection")
	}
	resource := schema.GroupResource{Group: req.Info.APIGroup, Resource: req.Info.Resource}
	s := c.find(resource)
	switch {
	case s == nil:
		return passed("no CustomResourceDefinition " + resource.String() + " is established")
	case !servesVersion(s.definition, req.Info.APIVersion):
		return passed("CustomResourceDefinition " + resource.String() + " does not serve " + req.Info.APIVersion)
	case !s.isFor(&req.Info):
		return passed("CustomResourceDefinition " + resource.String() + " is for objects of another scope")
	}
	if sub := req.Info.Subresource; sub != "" && !hasSubresource(version(s.definition, req.Info.APIVersion), sub) {
		return []handler.Station{{Name: name, Decision: http.StatusText(http.StatusNotFound), Why: "CustomResourceDefinition " + s.definition.Name + " declares no subresource " + sub}}
	}
	return []handler.Station{{Name: name, Decision: "answers", Why: "CustomResourceDefinition " + s.definition.Name + " serves " + req.Info.APIVersion}}
}

func hasSubresource(v *apiextensionsv1.CustomResourceDefinitionVersion, name string) bool {
	switch declared := v.Subresources; {
	case declared == nil:
		return false
	case name == "status":
		return declared.Status != nil
	default:
		return name == "scale" && declared.Scale != nil
	}
}

// isFor tells whether a request is one for the resource: another version, or a namespace where there is none, is not. Across
// all namespaces there is only reading.
func (s *served) isFor(info *handler.RequestInfo) bool {
	if !servesVersion(s.definition, info.APIVersion) {
		return false
	}
	if !isNamespaced(s.definition) {
		return info.Namespace == ""
	}
	return info.Namespace != "" || info.Verb == "list" || info.Verb == "watch"
}
