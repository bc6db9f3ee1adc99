package handler

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/emicklei/go-restful/v3"
)

// serviceRoutes are the routes of one web service as a tree of path segments.
type serviceRoutes struct {
	service *restful.WebService
	root    string
	order   int // place among the services of the unit
	tree    *segment
}

// segment is a place in the tree: what may follow a path up to here.
type segment struct {
	literal map[string]*segment
	param   *segment // {name}
	tail    []*route // {name:*}, all the rest
	routes  []*route // paths that end here
}

type route struct {
	*restful.Route
	literals, params int
}

// newServiceRoutes reads the routes of ws. Paths are made of literal segments, {name} and at the end {name:*}; the
// regular expressions and custom verbs that go-restful has besides are refused, as no API has them.
func newServiceRoutes(ws *restful.WebService) (*serviceRoutes, error) {
	s := &serviceRoutes{service: ws, root: ws.RootPath(), tree: &segment{}}
	routes := slices.Clone(ws.Routes())
	for i := range routes {
		if err := s.tree.insert(&routes[i]); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// insert adds the route below s.
func (s *segment) insert(r *restful.Route) error {
	added := &route{Route: r}
	for token := range strings.SplitSeq(strings.Trim(r.Path, "/"), "/") {
		switch {
		case strings.HasPrefix(token, "{") && strings.HasSuffix(token, ":*}"):
			added.params++
			s.tail = append(s.tail, added)
			return nil
		case strings.HasPrefix(token, "{") && strings.HasSuffix(token, "}") && !strings.Contains(token, ":"):
			added.params++
			if s.param == nil {
				s.param = &segment{}
			}
			s = s.param
		case strings.ContainsAny(token, "{}:"):
			return fmt.Errorf("adding route %s %s: segment %q is neither literal nor {name} nor {name:*}", r.Method, r.Path, token)
		default:
			added.literals++
			if s.literal == nil {
				s.literal = map[string]*segment{}
			}
			next := s.literal[token]
			if next == nil {
				next = &segment{}
				s.literal[token] = next
			}
			s = next
		}
	}
	s.routes = append(s.routes, added)
	return nil
}

// match appends the routes whose path matches. A parameter takes neither an empty segment nor dots: they name nothing, and who is behind
// might read the path differently from who authorized it.
func (s *segment) match(path string, found []*route) []*route {
	if path != "" {
		found = append(found, s.tail...)
	}
	token, rest, more := strings.Cut(path, "/")
	if next := s.literal[token]; next != nil {
		found = next.after(rest, more, found)
	}
	if s.param != nil && token != "" && token != "." && token != ".." {
		found = s.param.after(rest, more, found)
	}
	return found
}

func (s *segment) after(rest string, more bool, found []*route) []*route {
	if !more {
		return append(found, s.routes...)
	}
	return s.match(rest, found)
}

// selectRoute chooses as go-restful does: among the routes whose path matches, those with more literal segments first, the
// first that has the method, takes the content type and has something to answer that the client accepts.
func (s *serviceRoutes) selectRoute(r *http.Request) (*restful.Route, error) {
	var array [24]*route
	candidates := s.tree.match(strings.Trim(r.URL.Path, "/"), array[:0])
	candidates = keep(candidates, func(c *route) bool { return conditionsHold(c.Route, r) })
	if len(candidates) == 0 {
		return nil, restful.NewError(http.StatusNotFound, "404: Page Not Found")
	}
	ofMethod := keep(slices.Clone(candidates), func(c *route) bool { return c.Method == r.Method })
	if len(ofMethod) == 0 {
		return nil, methodNotAllowed(candidates)
	}
	candidates = ofMethod
	if len(candidates) > 1 {
		slices.SortStableFunc(candidates, func(a, b *route) int {
			return cmp.Or(b.literals-a.literals, b.params-a.params)
		})
	}
	contentType := r.Header.Get("Content-Type")
	candidates = keep(candidates, func(c *route) bool { return consumes(c.Route, contentType) })
	if len(candidates) == 0 {
		return nil, restful.NewError(http.StatusUnsupportedMediaType, "415: Unsupported Media Type")
	}
	accept := r.Header.Get("Accept")
	for _, c := range candidates {
		if produces(c.Route, accept) {
			return c.Route, nil
		}
	}
	return nil, notAcceptable(candidates)
}

// keep drops the routes that fail the test, in place.
func keep(routes []*route, test func(*route) bool) []*route {
	kept := routes[:0]
	for _, r := range routes {
		if test(r) {
			kept = append(kept, r)
		}
	}
	return kept
}

func conditionsHold(route *restful.Route, r *http.Request) bool {
	for _, condition := range route.If {
		if !condition(r) {
			return false
		}
	}
	return true
}

func methodNotAllowed(candidates []*route) error {
	var allowed []string
	for _, c := range candidates {
		if !slices.Contains(allowed, c.Method) {
			allowed = append(allowed, c.Method)
		}
	}
	return restful.NewErrorWithHeader(http.StatusMethodNotAllowed, "405: Method Not Allowed",
		http.Header{"Allow": {strings.Join(allowed, ", ")}})
}

func notAcceptable(candidates []*route) error {
	var available []string
	for _, c := range candidates {
		for _, mediaType := range c.Produces {
			if !slices.Contains(available, mediaType) {
				available = append(available, mediaType)
			}
		}
	}
	return restful.NewError(http.StatusNotAcceptable,
		"only the following media types are accepted: "+strings.Join(available, ", "))
}

// consumes tells whether the route takes a body of the content type. A request without one is let through
// where the method has no body; elsewhere it counts as opaque bytes.
func consumes(route *restful.Route, contentType string) bool {
	if len(route.Consumes) == 0 {
		return true
	}
	if contentType == "" {
		switch route.Method {
		case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodDelete, http.MethodTrace:
			return true
		}
		contentType = restful.MIME_OCTET
	}
	return anyMediaType(contentType, func(mediaType string) bool {
		return slices.Contains(route.Consumes, mediaType) || slices.Contains(route.Consumes, "*/*")
	})
}

// produces tells whether the route can answer with something the client accepts.
func produces(route *restful.Route, accept string) bool {
	if accept == "" {
		return true
	}
	return anyMediaType(accept, func(mediaType string) bool {
		return mediaType == "*/*" || slices.Contains(route.Produces, mediaType) || slices.Contains(route.Produces, "*/*")
	})
}

// anyMediaType tells whether one of the media types of a header passes the test, parameters aside.
func anyMediaType(header string, test func(string) bool) bool {
	for header != "" {
		var mediaType string
		mediaType, header, _ = strings.Cut(header, ",")
		mediaType, _, _ = strings.Cut(mediaType, ";")
		if test(strings.Trim(mediaType, " ")) {
			return true
		}
	}
	return false
}

// pathParameters reads the parameters of a route's path from the path of a request that matched it.
func pathParameters(template, path string) map[string]string {
	params := map[string]string{}
	template, path = strings.Trim(template, "/"), strings.Trim(path, "/")
	for template != "" {
		var token, value string
		token, template, _ = strings.Cut(template, "/")
		if name, ok := strings.CutSuffix(token, ":*}"); ok {
			params[name[1:]] = path
			break
		}
		value, path, _ = strings.Cut(path, "/")
		if len(token) > 1 && token[0] == '{' {
			params[token[1:len(token)-1]] = value
		}
	}
	return params
}
