package handler

import (
	"fmt"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/emicklei/go-restful/v3"
	"k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// APIServerHandler is the HTTP side of one unit.
type APIServerHandler struct {
	// FullHandlerChain is the filters around the director. Only the first unit of a chain is entered here.
	FullHandlerChain http.Handler
	// GoRestfulContainer dispatches to the web services that were registered with Add. They are not registered with the
	// container itself: that would scan all of them on every request, end the process on a duplicate root, and rebuild
	// everything on each removal.
	GoRestfulContainer *restful.Container
	// NonGoRestfulMux has every other path of the unit, and passes what it does not know to the next delegate.
	NonGoRestfulMux *PathRecorderMux
	// Director chooses between the two. It is also the unit's unprotected handler, by which the unit in front enters.
	Director http.Handler

	table atomic.Pointer[serviceTable]
	mu    sync.Mutex // serializes Add and Remove
}

// NewAPIServerHandler returns the handler of the unit called name. chain puts the filters around the director; nil leaves
// the director bare. notFound answers what the unit does not claim; nil is a plain 404.
func NewAPIServerHandler(name string, chain func(director http.Handler) http.Handler, notFound http.Handler) *APIServerHandler {
	h := &APIServerHandler{
		GoRestfulContainer: restful.NewContainer(),
		NonGoRestfulMux:    NewPathRecorderMux(name),
	}
	h.table.Store(newServiceTable(nil))
	if notFound != nil {
		h.NonGoRestfulMux.NotFoundHandler(notFound)
	}
	h.GoRestfulContainer.Router(&router{table: &h.table})
	h.GoRestfulContainer.ServiceErrorHandler(writeServiceError)
	h.GoRestfulContainer.DoNotRecover(true) // the panic filter is in front of every unit
	h.Director = &director{name: name, table: &h.table, container: h.GoRestfulContainer, mux: h.NonGoRestfulMux}
	h.FullHandlerChain = h.Director
	if chain != nil {
		h.FullHandlerChain = chain(h.Director)
	}
	return h
}

// ServeHTTP sends the request through the full handler chain.
func (h *APIServerHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.FullHandlerChain.ServeHTTP(w, r)
}

// UnprotectedHandler is the unit without its filters, for the unit in front, whose filters the request has passed.
func (h *APIServerHandler) UnprotectedHandler() http.Handler { return h.Director }

// Add lets web services claim their root paths. Their routes must be complete. A root path that is taken already
// is an error, and none of the services is added then.
func (h *APIServerHandler) Add(services ...*restful.WebService) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	was := h.table.Load()
	added := make([]*serviceRoutes, 0, len(services))
	roots := make(map[string]bool, len(services))
	for _, ws := range services {
		root := ws.RootPath()
		if was.byRoot[root] != nil || roots[root] {
			return fmt.Errorf("adding web service: root path %q is taken", root)
		}
		roots[root] = true
		routes, err := newServiceRoutes(ws)
		if err != nil {
			return err
		}
		added = append(added, routes)
	}
	h.publish(append(slices.Clone(was.ordered), added...))
	return nil
}

// Remove takes the claims of web services away; those that were never added are ignored.
func (h *APIServerHandler) Remove(services ...*restful.WebService) {
	h.mu.Lock()
	defer h.mu.Unlock()
	remaining := slices.DeleteFunc(slices.Clone(h.table.Load().ordered), func(s *serviceRoutes) bool {
		return slices.Contains(services, s.service)
	})
	h.publish(remaining)
}

// publish makes the table of the services. They are copied, since requests still read the order of the old table.
func (h *APIServerHandler) publish(services []*serviceRoutes) {
	for i, s := range services {
		moved := *s
		services[i] = &moved
	}
	h.table.Store(newServiceTable(services))
}

// WebServices returns the registered web services in the order of registration.
func (h *APIServerHandler) WebServices() []*restful.WebService {
	ordered := h.table.Load().ordered
	services := make([]*restful.WebService, len(ordered))
	for i, s := range ordered {
		services[i] = s.service
	}
	return services
}

// ListedPaths returns the roots of the web services and the listed paths of the mux, sorted and each once.
func (h *APIServerHandler) ListedPaths() []string {
	paths := h.NonGoRestfulMux.ListedPaths()
	for _, s := range h.table.Load().ordered {
		paths = append(paths, s.root)
	}
	slices.Sort(paths)
	return slices.Compact(paths)
}

// writeServiceError answers what the router could not route, as a Status.
func writeServiceError(err restful.ServiceError, r *restful.Request, w *restful.Response) {
	for name, values := range err.Header {
		w.Header()[name] = values
	}
	WriteError(w.ResponseWriter, r.Request, errors.NewGenericServerResponse(err.Code, "", schema.GroupResource{}, "", err.Message, 0, false))
}
