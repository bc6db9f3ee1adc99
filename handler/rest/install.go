package rest

import (
	"context"
	"net/http"
	"time"

	"github.com/emicklei/go-restful/v3"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/authorization/authorizer"

	"github.com/portico-api/portico/handler"
	"github.com/portico-api/portico/metrics"
)

// Config is what the verbs of one unit share. Its zero value is usable.
type Config struct {
	// Metrics observes watches; nil observes nothing.
	Metrics WatchMetrics
	// MinRequestTimeout bounds the life of a watch that names none: between once and twice of it.
	// Default 30 minutes.
	MinRequestTimeout time.Duration
	// MaxBodyBytes bounds a request's body. Default 3 MiB.
	MaxBodyBytes int64
	// Stopping is closed when the server shuts down: watches then end cleanly. Nil never ends them.
	Stopping <-chan struct{}
	// Release decides which kinds clients are warned of: those that are deprecated in it.
	Release Release
	// Authorizer is asked for the verb create when an update or an apply is about to create. Nil
	// allows it.
	Authorizer authorizer.Authorizer
}

// WatchMetrics observes the events that watchers are sent, and how long the initial ones take.
type WatchMetrics interface {
	WatchEvents(group, version, resource string) func(size int)
	WatchList(group, version, resource string, scope metrics.Scope, took time.Duration)
}

// Install adds the routes of resources and their subresources to ws, whose root is prefix
// ("/api/v1", "/apis/group/version").
func Install(ws *restful.WebService, prefix string, resources []*Resource, cfg Config) {
	if ws.RootPath() != prefix {
		ws.Path(prefix)
	}
	s := newShared(cfg)
	codecs := codecs{}
	in := installer{ws: ws}
	for _, res := range resources {
		in.resource(newEndpoint(s, codecs.of(res.Scheme), res, nil))
		for _, sub := range res.Subresources {
			in.subresource(newEndpoint(s, codecs.of(sub.Scheme), sub, res), res)
		}
	}
}

// codecs are one for each scheme: most resources share theirs.
type codecs map[*runtime.Scheme]*codec

func (c codecs) of(scheme *runtime.Scheme) *codec {
	if c[scheme] == nil {
		c[scheme] = newCodec(scheme)
	}
	return c[scheme]
}

// installer adds routes to one web service.
type installer struct {
	ws         *restful.WebService
	deprecated *deprecation // what is added now; else nil
}

// operation is one verb: it answers, or returns an error to answer with.
type operation func(w http.ResponseWriter, r *http.Request, at target) error

// route binds a method and path to an operation. Media types are the operation's own business.
func (in installer) route(method, path string, op operation) {
	op = in.deprecated.told(op)
	in.ws.Route(in.ws.Method(method).Path(path).Consumes("*/*").Produces("*/*").To(func(req *restful.Request, resp *restful.Response) {
		at := target{namespace: req.PathParameter("namespace"), name: req.PathParameter("name")}
		if err := op(resp.ResponseWriter, req.Request, at); err != nil {
			handler.WriteError(resp.ResponseWriter, req.Request, err)
		}
	}))
}

// maxWriteTime is how long one write may take, however patient the server is with requests (contract 2.2): what
// it waits for is the store, or a webhook.
const maxWriteTime = 34 * time.Second

// bounded gives a write of one object its time.
func bounded(op operation) operation {
	return func(w http.ResponseWriter, r *http.Request, at target) error {
		ctx, cancel := context.WithTimeout(r.Context(), maxWriteTime)
		defer cancel()
		return op(w, r.WithContext(ctx), at)
	}
}

// resource adds a resource's collection and items.
func (in installer) resource(e *endpoint) {
	in.deprecated = deprecationOf(e.res.New(), e.gvk, e.cfg.Release)
	collection := "/" + e.res.Name
	if e.res.Namespaced {
		in.reads(e, collection) // across all namespaces there is only reading
		in.watches(e, "/watch"+collection)
		collection = "/namespaces/{namespace}" + collection
	}
	in.reads(e, collection)
	in.watches(e, "/watch"+collection)
	if _, ok := e.res.Storage.(Watcher); ok {
		in.route(http.MethodGet, "/watch"+collection+"/{name}", e.watchPath)
	}
	if _, ok := e.res.Storage.(Creater); ok {
		in.route(http.MethodPost, collection, bounded(e.create))
	}
	if _, ok := e.res.Storage.(CollectionDeleter); ok {
		in.route(http.MethodDelete, collection, e.removeAll)
	}
	in.item(e, collection+"/{name}")
}

func (in installer) reads(e *endpoint, collection string) {
	if _, ok := e.res.Storage.(Lister); ok {
		in.route(http.MethodGet, collection, e.list)
	}
}

func (in installer) watches(e *endpoint, collection string) {
	if _, ok := e.res.Storage.(Watcher); ok {
		in.route(http.MethodGet, collection, e.watchPath)
	}
}

// item adds what can be done with one object or its subresource.
func (in installer) item(e *endpoint, path string) {
	if c, ok := e.res.Storage.(Connecter); ok {
		for _, method := range c.Methods() {
			in.route(method, path, func(w http.ResponseWriter, r *http.Request, at target) error {
				return c.Connect(w, r, at.namespace, at.name)
			})
		}
	}
	_, readable := e.res.Storage.(Getter)
	if readable {
		in.route(http.MethodGet, path, e.get)
		in.route(http.MethodHead, path, e.get)
	}
	if _, ok := e.res.Storage.(Updater); ok {
		in.route(http.MethodPut, path, bounded(e.update))
		if readable {
			in.route(http.MethodPatch, path, bounded(e.patch))
		}
	}
	if _, ok := e.res.Storage.(Deleter); ok {
		in.route(http.MethodDelete, path, bounded(e.remove))
	}
}

func (in installer) subresource(e *endpoint, parent *Resource) {
	in.deprecated = deprecationOf(e.res.New(), e.gvk, e.cfg.Release)
	path := "/" + parent.Name + "/{name}/" + e.res.Name
	if parent.Namespaced {
		path = "/namespaces/{namespace}" + path
	}
	in.item(e, path)
	if _, ok := e.res.Storage.(Creater); ok {
		in.route(http.MethodPost, path, bounded(e.create))
	}
}
