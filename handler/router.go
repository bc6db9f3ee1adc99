package handler

import (
	"net/http"
	"sync/atomic"

	"github.com/emicklei/go-restful/v3"
)

// router selects routes for the container, from the same table as the director. It keeps the semantics of go-restful's
// CurlyRouter, but finds a route by walking its path segments instead of comparing all routes.
type router struct {
	table *atomic.Pointer[serviceTable]
}

// SelectRoute implements restful.RouteSelector. The services that the container knows do not matter.
func (s *router) SelectRoute(_ []*restful.WebService, r *http.Request) (*restful.WebService, *restful.Route, error) {
	rq, ok := RequestFrom(r.Context())
	var claim *serviceRoutes
	if ok && rq.claim != nil {
		claim, rq.claim = rq.claim, nil
	} else {
		claim = s.table.Load().claim(r.URL.Path)
	}
	if claim == nil {
		return nil, nil, restful.NewError(http.StatusNotFound, "404: Page Not Found")
	}
	route, err := claim.selectRoute(r)
	if err != nil {
		return claim.service, nil, err
	}
	if ok {
		rq.Routed = true
	}
	return claim.service, route, nil
}

// ExtractParameters implements restful.PathProcessor.
func (s *router) ExtractParameters(route *restful.Route, _ *restful.WebService, path string) map[string]string {
	return pathParameters(route.Path, path)
}
