package handler

import (
	"fmt"
	"maps"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"k8s.io/klog/v2"
)

// PathRecorderMux routes by exact path, then by the longest prefix, then to a not-found handler, which in a unit is the
// next delegate (contract 1.3). It remembers which paths to list on "/". Paths may come and go while requests
// are served: readers see an immutable table, writers publish a new one.
type PathRecorderMux struct {
	name     string
	table    atomic.Pointer[pathTable]
	notFound atomic.Pointer[http.Handler]

	mu    sync.Mutex
	paths *Paths // what the next table is made from
}

// pathTable is what a request is routed by.
type pathTable struct {
	exact, prefix map[string]http.Handler
	longest       int // length of the longest prefix
}

// NewPathRecorderMux returns a mux without paths that answers 404. The name is for the log.
func NewPathRecorderMux(name string) *PathRecorderMux {
	m := &PathRecorderMux{
		name: name,
		paths: &Paths{
			mux:    name,
			exact:  map[string]http.Handler{},
			prefix: map[string]http.Handler{},
			origin: map[string]origin{},
		},
	}
	m.NotFoundHandler(http.NotFoundHandler())
	m.publish()
	return m
}

// ServeHTTP passes the request to whoever has its path. The path is taken as given: not cleaned, not redirected.
func (m *PathRecorderMux) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h, how := m.lookup(r.URL.Path)
	if klog.V(5).Enabled() {
		klog.FromContext(r.Context()).Info("Path looked up", "mux", m.name, "path", r.URL.Path, "satisfiedBy", how)
	}
	h.ServeHTTP(w, r)
}

// lookedUpNotFound is how a path is satisfied that nobody has registered.
const lookedUpNotFound = "not-found handler"

// lookup looks path up in maps, once and then once for each of its slashes: what is registered
// beside it does not matter. Prefixes longer than any registered one are not tried, so a long path costs no more either.
func (m *PathRecorderMux) lookup(path string) (h http.Handler, how string) {
	t := m.table.Load()
	if h, ok := t.exact[path]; ok {
		return h, "exact path"
	}
	rest := path[:min(len(path), t.longest)]
	for {
		i := strings.LastIndexByte(rest, '/')
		if i < 0 {
			return *m.notFound.Load(), lookedUpNotFound
		}
		if h, ok := t.prefix[rest[:i+1]]; ok {
			return h, "prefix"
		}
		rest = rest[:i]
	}
}

// Handle registers h for exactly path.
func (m *PathRecorderMux) Handle(path string, h http.Handler) {
	m.Update(func(p *Paths) { p.Handle(path, h) })
}

// HandleFunc registers f for exactly path.
func (m *PathRecorderMux) HandleFunc(path string, f func(http.ResponseWriter, *http.Request)) {
	m.Handle(path, http.HandlerFunc(f))
}

// UnlistedHandle is Handle for a path that "/" does not show.
func (m *PathRecorderMux) UnlistedHandle(path string, h http.Handler) {
	m.Update(func(p *Paths) { p.UnlistedHandle(path, h) })
}

// UnlistedHandleFunc is HandleFunc for a path that "/" does not show.
func (m *PathRecorderMux) UnlistedHandleFunc(path string, f func(http.ResponseWriter, *http.Request)) {
	m.UnlistedHandle(path, http.HandlerFunc(f))
}

// HandlePrefix registers h for all paths that start with path, which must end in a slash.
func (m *PathRecorderMux) HandlePrefix(path string, h http.Handler) {
	m.Update(func(p *Paths) { p.HandlePrefix(path, h) })
}

// UnlistedHandlePrefix is HandlePrefix for a path that "/" does not show.
func (m *PathRecorderMux) UnlistedHandlePrefix(path string, h http.Handler) {
	m.Update(func(p *Paths) { p.UnlistedHandlePrefix(path, h) })
}

// Unregister removes the path, registered exactly, as a prefix or both.
func (m *PathRecorderMux) Unregister(path string) {
	m.Update(func(p *Paths) { p.Unregister(path) })
}

// NotFoundHandler replaces the handler of all other paths.
func (m *PathRecorderMux) NotFoundHandler(h http.Handler) {
	m.notFound.Store(&h)
}

// ListedPaths returns the paths that "/" shows, sorted.
func (m *PathRecorderMux) ListedPaths() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var listed []string
	for path, from := range m.paths.origin {
		if from.listed {
			listed = append(listed, path)
		}
	}
	slices.Sort(listed)
	return listed
}

// Update makes several changes that requests see all at once. Each publishes a copy of the table, so whoever
// registers many paths should register them in one update. change must not use the mux itself.
func (m *PathRecorderMux) Update(change func(*Paths)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	change(m.paths)
	m.publish()
}

func (m *PathRecorderMux) publish() {
	t := &pathTable{exact: maps.Clone(m.paths.exact), prefix: maps.Clone(m.paths.prefix)}
	for path := range t.prefix {
		t.longest = max(t.longest, len(path))
	}
	m.table.Store(t)
}

// Paths is the set of paths of a mux while it is changed by Update.
type Paths struct {
	mux           string
	exact, prefix map[string]http.Handler
	origin        map[string]origin
}

// origin is where a path was registered. Only addresses are kept: a rendered stack for each of ten thousand
// paths would be tens of megabytes.
type origin struct {
	listed bool
	stack  [12]uintptr
}

// Handle registers h for exactly path.
func (p *Paths) Handle(path string, h http.Handler) { p.add(p.exact, path, h, true) }

// UnlistedHandle is Handle for a path that "/" does not show.
func (p *Paths) UnlistedHandle(path string, h http.Handler) { p.add(p.exact, path, h, false) }

// HandlePrefix registers h for all paths that start with path, which must end in a slash.
func (p *Paths) HandlePrefix(path string, h http.Handler) {
	p.add(p.prefix, mustEndInSlash(path), h, true)
}

// UnlistedHandlePrefix is HandlePrefix for a path that "/" does not show.
func (p *Paths) UnlistedHandlePrefix(path string, h http.Handler) {
	p.add(p.prefix, mustEndInSlash(path), h, false)
}

// Unregister removes the path, registered exactly, as a prefix or both.
func (p *Paths) Unregister(path string) {
	delete(p.exact, path)
	delete(p.prefix, path)
	delete(p.origin, path)
}

// add registers h; the last registration of a path wins. Two parts of a server that both claim a path are a
// mistake, but no reason to stop a running server.
func (p *Paths) add(to map[string]http.Handler, path string, h http.Handler, listed bool) {
	from := origin{listed: listed}
	runtime.Callers(3, from.stack[:])
	if was, ok := p.origin[path]; ok {
		if _, again := to[path]; again {
			klog.Background().Error(nil, "Path is registered twice, the last registration wins",
				"mux", p.mux, "path", path, "first", was.String(), "last", from.String())
		}
		from.listed = from.listed || was.listed
	}
	to[path] = h
	p.origin[path] = from
}

func mustEndInSlash(path string) string {
	if !strings.HasSuffix(path, "/") {
		panic(fmt.Sprintf("registering prefix %q: it must end in a slash", path))
	}
	return path
}

// String renders the stack.
func (o origin) String() string {
	var b strings.Builder
	frames := runtime.CallersFrames(o.stack[:])
	for {
		f, more := frames.Next()
		if f.Function != "" {
			fmt.Fprintf(&b, "%s %s:%d\n", f.Function, f.File, f.Line)
		}
		if !more {
			return b.String()
		}
	}
}
