package delegation

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/portico-api/portico/handler"
	"github.com/portico-api/portico/handler/filters"
)

// TracePath is where administrators ask who serves a path.
const TracePath = "/debug/portico/trace"

// Trace is the way of a request through the chain.
type Trace struct {
	Stations []handler.Station `json:"stations"`
}

// serveTrace tells for a path and a verb each station of the chain, what it decides and why, without making the request. The query says which:
// path (with a query of its own, if any), verb (an HTTP method or get, list, watch, create, update, patch, delete; default get), user and
// group (default: whoever asks, who may otherwise have to be allowed to impersonate them).
func (s *GenericAPIServer) serveTrace(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet {
		w.Header().Set("Allow", http.MethodGet)
		handler.WriteError(w, r, apierrors.NewGenericServerResponse(http.StatusMethodNotAllowed, r.Method, schema.GroupResource{}, "", "a trace can only be read", 0, true))
		return
	}
	made, err := askedOf(r)
	if err != nil {
		handler.WriteError(w, r, apierrors.NewBadRequest(err.Error()))
		return
	}
	asked, err := s.askedBy(r, made)
	if err != nil {
		handler.WriteError(w, r, err)
		return
	}
	body, err := json.Marshal(s.trace(asked))
	if err != nil {
		handler.WriteError(w, r, fmt.Errorf("encoding a trace: %w", err))
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_, _ = w.Write(body) // a client that has gone needs no answer
}

func (s *GenericAPIServer) trace(r *http.Request) *Trace {
	t := &Trace{}
	var passed bool
	if t.Stations, passed = filters.Explain(s.config.filters(), r); passed {
		t.Stations = append(t.Stations, handler.Explain(s.Handler.Director, r)...)
	}
	return t
}

// methods are the HTTP methods of API verbs.
var methods = map[string]string{
	"get": http.MethodGet, "list": http.MethodGet, "watch": http.MethodGet, "create": http.MethodPost, "update": http.MethodPut,
	"patch": http.MethodPatch, "delete": http.MethodDelete, "deletecollection": http.MethodDelete,
}

// askedOf is the request that a trace is asked for.
func askedOf(r *http.Request) (*http.Request, error) {
	query := r.URL.Query()
	target, err := url.ParseRequestURI(query.Get("path"))
	if err != nil || !strings.HasPrefix(target.Path, "/") {
		return nil, fmt.Errorf("path %q is not the path of a request, such as /api/v1/namespaces", query.Get("path"))
	}
	verb := query.Get("verb")
	if verb == "" {
		verb = "get"
	}
	method, ok := methods[strings.ToLower(verb)]
	if !ok {
		method = strings.ToUpper(verb)
		if !slices.Contains([]string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions}, method) {
			return nil, fmt.Errorf("verb %q is no HTTP method, and none of get, list, watch, create, update, patch, delete", verb)
		}
	}
	if strings.EqualFold(verb, "watch") {
		values := target.Query()
		values.Set("watch", "true")
		target.RawQuery = values.Encode()
	}
	made, err := http.NewRequestWithContext(r.Context(), method, target.RequestURI(), nil)
	if err != nil {
		return nil, fmt.Errorf("path %q: %w", query.Get("path"), err)
	}
	return made, nil
}

// askedBy is the request as one of the user that is asked for, whom the caller may impersonate.
func (s *GenericAPIServer) askedBy(r, made *http.Request) (*http.Request, error) {
	caller, ok := handler.RequestFrom(r.Context())
	if !ok || caller.User == nil {
		return nil, apierrors.NewUnauthorized("a trace is for known users")
	}
	query := r.URL.Query()
	who, err := filters.ActAs(r.Context(), s.config.Authorizer, caller.User, query.Get("user"), query["group"])
	if err != nil {
		return nil, err
	}
	return made.WithContext(handler.WithRequest(made.Context(), &handler.Request{User: who})), nil
}
