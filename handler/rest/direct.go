package rest

import (
	"net/http"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/portico-api/portico/handler"
)

// Direct serves resources that come and go while the server runs. Their requests find them by what was understood of the path already,
// so that thousands of them need no routes.
type Direct struct {
	shared *shared
	codecs codecs
}

// NewDirect returns what makes handlers that share cfg.
func NewDirect(cfg Config) *Direct {
	return &Direct{shared: newShared(cfg), codecs: codecs{}}
}

// Handler serves res and its subresources. The request must be one for res, with a namespace only if res has one.
// It may be called from one goroutine at a time.
func (d *Direct) Handler(res *Resource) http.Handler {
	h := &directHandler{main: newEndpoint(d.shared, d.codecs.of(res.Scheme), res, nil), subresources: map[string]*endpoint{}}
	for _, sub := range res.Subresources {
		h.subresources[sub.Name] = newEndpoint(d.shared, d.codecs.of(sub.Scheme), sub, res)
	}
	return h
}

type directHandler struct {
	main         *endpoint
	subresources map[string]*endpoint
}

func (h *directHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	req, ok := handler.RequestFrom(r.Context())
	if !ok {
		handler.WriteError(w, r, notServed(r))
		return
	}
	// Not req.Info.Name: a list that selects one name is about that name, but is a list.
	at := target{namespace: req.Info.Namespace}
	if len(req.Info.Parts) > 1 {
		at.name = req.Info.Parts[1]
	}
	op, err := h.operation(r, &req.Info, at)
	if err == nil {
		err = op(w, r, at)
	}
	if err != nil {
		handler.WriteError(w, r, err)
	}
}

// operation is what a request asks for.
func (h *directHandler) operation(r *http.Request, info *handler.RequestInfo, at target) (operation, error) {
	e, deep := h.main, len(info.Parts) > 3 // nothing is below a subresource
	if info.Subresource != "" {
		e = h.subresources[info.Subresource]
	}
	if e == nil || deep {
		return nil, notServed(r)
	}
	var op operation
	if at.name == "" {
		op = e.onCollection(r, info)
	} else {
		op = e.onItem(r, info)
	}
	if op == nil {
		return nil, apierrors.NewMethodNotSupported(e.gvr.GroupResource(), info.Verb)
	}
	return op, nil
}

// onCollection is nil for what cannot be done with a collection.
func (e *endpoint) onCollection(r *http.Request, info *handler.RequestInfo) operation {
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		if deprecatedWatch(info) {
			return e.watchPath
		}
		return e.list
	case http.MethodPost:
		return bounded(e.create)
	case http.MethodDelete:
		return e.removeAll
	case http.MethodPut, http.MethodPatch:
		return func(http.ResponseWriter, *http.Request, target) error {
			return apierrors.NewBadRequest("name must be provided")
		}
	}
	return nil
}

// onItem is nil for what cannot be done with an object or its subresource.
func (e *endpoint) onItem(r *http.Request, info *handler.RequestInfo) operation {
	_, creates := e.res.Storage.(Creater)
	_, removes := e.res.Storage.(Deleter)
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		if deprecatedWatch(info) {
			return e.watchPath
		}
		return e.get
	case http.MethodPut:
		return bounded(e.update)
	case http.MethodPatch:
		return bounded(e.patch)
	case http.MethodPost:
		if creates {
			return bounded(e.create)
		}
	case http.MethodDelete:
		if removes {
			return bounded(e.remove)
		}
	}
	return nil
}

// deprecatedWatch tells a path that begins with /watch/ after its version.
func deprecatedWatch(info *handler.RequestInfo) bool {
	return info.Verb == "watch" && strings.HasPrefix(info.Path, "/"+info.APIPrefix+"/"+info.APIGroup+"/"+info.APIVersion+"/watch/")
}

// notServed is the answer for a path below a resource that leads nowhere.
func notServed(r *http.Request) error {
	return apierrors.NewGenericServerResponse(http.StatusNotFound, strings.ToLower(r.Method), schema.GroupResource{}, "", "", 0, true)
}
