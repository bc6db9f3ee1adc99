package handler

import (
	"errors"
	"net/http"

	"github.com/emicklei/go-restful/v3"
)

// Station is one place on the way of a request, for who asks what serves a path.
type Station struct {
	Name     string `json:"station"`  // "core director"
	Decision string `json:"decision"` // what becomes of the request there
	Why      string `json:"why"`
}

// Explainer is a handler that tells what it would do with a request, without doing it.
type Explainer interface {
	Explain(r *http.Request) []Station
}

// Explain tells what h would do with r, and whoever it would pass it on to. A handler that does not tell answers by itself.
func Explain(h http.Handler, r *http.Request) []Station {
	if e, ok := h.(Explainer); ok {
		return e.Explain(r)
	}
	return nil
}

// Explain implements Explainer.
func (d *director) Explain(r *http.Request) []Station {
	name := d.name + " director"
	claim := d.table.Load().claim(r.URL.Path)
	if claim == nil {
		return append([]Station{{name, "path mux", "no web service has a root above the path"}}, d.mux.Explain(r)...)
	}
	return []Station{{name, "web service " + claim.root, "its root is above the path"}, claim.explain(d.name, r)}
}

// explain tells which route of the web service answers.
func (s *serviceRoutes) explain(unit string, r *http.Request) Station {
	name := unit + " router"
	route, err := s.selectRoute(r)
	if err == nil {
		return Station{name, "answers", "route " + route.Method + " " + route.Path}
	}
	var refused restful.ServiceError
	if errors.As(err, &refused) {
		return Station{name, http.StatusText(refused.Code), refused.Message}
	}
	return Station{name, http.StatusText(http.StatusInternalServerError), err.Error()}
}

// Explain implements Explainer.
func (m *PathRecorderMux) Explain(r *http.Request) []Station {
	h, how := m.lookup(r.URL.Path)
	name := m.name + " mux"
	if how == lookedUpNotFound {
		return append([]Station{{name, "next delegate", "neither the path nor a prefix of it is registered"}}, Explain(h, r)...)
	}
	rest := Explain(h, r)
	if rest == nil {
		return []Station{{name, "answers", "the path is registered, by " + how}}
	}
	return append([]Station{{name, "its handler", "the path is registered, by " + how}}, rest...)
}
