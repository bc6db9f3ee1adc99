package handler

import (
	"net/http"
	"strings"
	"sync/atomic"

	"github.com/emicklei/go-restful/v3"
	"k8s.io/klog/v2"
)

// director is a unit's choice between its web services and its path mux (contract 1.2). A web service that claims a
// path answers it, if only with a 404; everything else goes to the mux and from there to the next delegate.
type director struct {
	name      string
	table     *atomic.Pointer[serviceTable]
	container *restful.Container
	mux       *PathRecorderMux
}

// ServeHTTP decides by the path as given: not cleaned, not redirected, case-sensitive.
func (d *director) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	claim := d.table.Load().claim(r.URL.Path)
	if klog.V(5).Enabled() {
		by := "nonGoRestful"
		if claim != nil {
			by = "gorestful"
		}
		klog.FromContext(r.Context()).Info("Request is satisfied by "+by, "unit", d.name, "method", r.Method, "path", r.URL.Path)
	}
	rq, ok := RequestFrom(r.Context())
	if ok {
		rq.Unit = d.name // the last one that it comes to
		if rq.Tracer != nil {
			ctx, span := StartSpan(r.Context(), "director")
			span.Set("unit", d.name)
			defer span.End(nil)
			r = r.WithContext(ctx)
		}
	}
	if claim == nil {
		d.mux.ServeHTTP(w, r)
		return
	}
	if ok {
		rq.claim = claim // spares the router the look-up
	}
	d.container.Dispatch(w, r)
}

// serviceTable is an immutable set of web services by their root paths.
type serviceTable struct {
	ordered []*serviceRoutes // in the order of registration, which decides between roots that both match
	byRoot  map[string]*serviceRoutes
	longest int // length of the longest root
}

func newServiceTable(services []*serviceRoutes) *serviceTable {
	t := &serviceTable{ordered: services, byRoot: make(map[string]*serviceRoutes, len(services))}
	for i, s := range services {
		s.order = i
		t.byRoot[s.root] = s
		t.longest = max(t.longest, len(s.root))
	}
	return t
}

// claim returns the first registered web service whose root is a prefix of path that ends where a segment of path ends.
// It looks up the few such prefixes instead of going through the services, so their number does not matter.
func (t *serviceTable) claim(path string) *serviceRoutes {
	var first *serviceRoutes
	for end := 0; end < len(path); {
		next := strings.IndexByte(path[end+1:], '/')
		if next < 0 {
			end = len(path)
		} else {
			end += 1 + next
		}
		if end > t.longest {
			break
		}
		s, ok := t.byRoot[path[:end]]
		if !ok || first != nil && first.order < s.order {
			continue
		}
		// The list of groups lives at /apis, but what is below belongs to whoever has the group.
		if s.root == "/apis" && path != "/apis" && path != "/apis/" {
			continue
		}
		first = s
	}
	return first
}
