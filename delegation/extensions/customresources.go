package extensions

import (
	"maps"
	"net/http"
	"sync/atomic"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/portico-api/portico/handler"
)

// routes are the handlers of all custom resources. A published table is not changed any more.
type routes map[schema.GroupVersionResource]http.Handler

// customResources answers requests for custom resources, and passes every other request to the
// next delegate as it came.
type customResources struct {
	next   http.Handler
	routes atomic.Pointer[routes]
}

func newCustomResources(next http.Handler) *customResources {
	c := &customResources{next: next}
	c.publish(nil)
	return c
}

// publish replaces all routes.
func (c *customResources) publish(r routes) {
	r = maps.Clone(r)
	c.routes.Store(&r)
}

func (c *customResources) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.route(r).ServeHTTP(w, r)
}

func (c *customResources) route(r *http.Request) http.Handler {
	req, ok := handler.RequestFrom(r.Context())
	if !ok || !req.Info.IsResourceRequest {
		return c.next
	}
	resource := schema.GroupVersionResource{Group: req.Info.APIGroup, Version: req.Info.APIVersion, Resource: req.Info.Resource}
	if h, served := (*c.routes.Load())[resource]; served {
		return h
	}
	return c.next
}
