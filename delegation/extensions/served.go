package extensions

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"k8s.io/apiextensions-apiserver/pkg/apihelpers"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	apiversion "k8s.io/apimachinery/pkg/version"

	"github.com/portico-api/portico/delegation/registry"
	"github.com/portico-api/portico/handler"
	"github.com/portico-api/portico/handler/rest"
)

// served is the custom resource of one definition, in one state of it. Its objects are read from the store when somebody asks for
// them first: most of many definitions have none, or nobody who asks.
type served struct {
	definition *definition // without schemas, which are most of its size
	maker      *maker
	before     *served // that has to let go of the objects first; nil for none

	established time.Time

	opening sync.Mutex
	opened  *opened // nil until somebody asks
	over    bool    // nothing is opened any more

	mu      sync.Mutex
	retired bool
	inside  int           // requests that are under way, but for watches
	empty   chan struct{} // closed when retired and nobody is inside
	closed  chan struct{} // closed when the objects are let go of
}

// opened are the registries of a custom resource.
type opened struct {
	base     *registry.Store // in the stored version
	unasked  *registry.Store // the same, for the server itself: no admission is asked
	resource registry.Resource
	stores   map[string]*registry.Store // by version
	handlers map[string]http.Handler
}

// drainTimeout is how long requests of a definition that has changed may take before the objects are taken from them.
const drainTimeout = 5 * time.Second

func newServed(d *definition, m *maker, before *served) *served {
	s := &served{definition: d, maker: m, before: before, empty: make(chan struct{}), closed: make(chan struct{})}
	if c := apihelpers.FindCRDCondition(d, apiextensionsv1.Established); c != nil && c.Status == apiextensionsv1.ConditionTrue {
		s.established = c.LastTransitionTime.Time
	}
	return s
}

// open reads the objects, if nobody has. Who finds the store out of reach leaves it to the next who asks.
func (s *served) open(ctx context.Context) (*opened, error) {
	s.opening.Lock()
	defer s.opening.Unlock()
	switch {
	case s.over:
		return nil, errRetired
	case s.opened != nil:
		return s.opened, nil
	}
	if s.before != nil {
		<-s.before.closed
		s.before = nil
	}
	// The objects are for all requests, whichever is the first.
	o, err := s.maker.open(context.WithoutCancel(ctx), s.definition)
	if err != nil {
		return nil, err
	}
	s.opened = o
	return o, nil
}

// close lets go of the objects.
func (s *served) close() {
	s.opening.Lock()
	defer s.opening.Unlock()
	s.over = true
	if s.before != nil {
		<-s.before.closed // who comes after waits for the objects, whoever has them
	}
	if s.opened != nil {
		s.opened.base.Close()
		s.opened = nil
	}
	close(s.closed)
}

// isClosed tells whether the objects have been let go of.
func (s *served) isClosed() bool {
	select {
	case <-s.closed:
		return true
	default:
		return false
	}
}

// enter keeps the objects for a request until leave is called; false when the definition has changed meanwhile.
func (s *served) enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.retired {
		return false
	}
	s.inside++
	return true
}

func (s *served) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.inside--
	if s.retired && s.inside == 0 {
		close(s.empty)
	}
}

// retire lets go of the objects when the last request is done. Watches end, and their clients come back to what is served then.
func (s *served) retire() {
	s.mu.Lock()
	if s.retired {
		s.mu.Unlock()
		return
	}
	s.retired = true
	if s.inside == 0 {
		close(s.empty)
	}
	s.mu.Unlock()
	go func() {
		select {
		case <-s.empty:
		case <-time.After(drainTimeout):
		}
		s.close()
	}()
}

// errRetired answers a request that was on its way while the definition changed.
var errRetired = apierrors.NewServiceUnavailable("the definition of the resource has changed; try again")

// createDelay is how long after a resource was established creates wait: so long other servers may not know of it.
const createDelay = 2 * time.Second

// ServeHTTP answers a request for a version that is served.
func (s *served) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	req, _ := handler.RequestFrom(r.Context())
	if err := s.admit(r.Context(), req); err != nil {
		handler.WriteError(w, r, err)
		return
	}
	o, err := s.open(r.Context())
	if err != nil {
		handler.WriteError(w, r, fmt.Errorf("serving %s: %w", s.definition.Name, err))
		return
	}
	if warning := deprecation(s.definition, req.Info.APIVersion); warning != "" {
		handler.AddWarning(r.Context(), warning)
		handler.UsesDeprecated(r.Context(), "") // its author alone knows until when it is there
	}
	o.handlers[req.Info.APIVersion].ServeHTTP(w, r)
}

// admit refuses what a definition that is going does not take any more, and has creates wait that come early.
func (s *served) admit(ctx context.Context, req *handler.Request) error {
	if req.Info.Verb != "create" || req.Info.Subresource != "" {
		return nil
	}
	if s.terminating() {
		return refuseCreate(s.definition, "") // its body, which has the name, is not read
	}
	if s.established.IsZero() || !s.maker.replicas || time.Since(s.established) >= createDelay {
		return nil
	}
	select {
	case <-time.After(createDelay):
		return nil
	case <-ctx.Done():
		return apierrors.NewTimeoutError("the resource was defined a moment ago", 0)
	}
}

func (s *served) terminating() bool { return isTrue(s.definition, apiextensionsv1.Terminating) }

func refuseCreate(d *definition, name string) error {
	return apierrors.NewForbidden(resourceOf(d), name, errors.New("create not allowed while custom resource definition is terminating"))
}

// deprecation is what clients of a version are warned of; empty for one that is not deprecated.
func deprecation(d *definition, name string) string {
	v := version(d, name)
	switch {
	case v == nil || !v.Deprecated:
		return ""
	case v.DeprecationWarning != nil:
		return *v.DeprecationWarning
	}
	text := fmt.Sprintf("%s/%s %s is deprecated", d.Spec.Group, name, d.Spec.Names.Kind)
	if better := successor(d, name); better != "" {
		text += fmt.Sprintf("; use %s/%s %s", d.Spec.Group, better, d.Spec.Names.Kind)
	}
	return text
}

// successor is the best version to use instead of a deprecated one: of those that are served and not deprecated, the one with the
// highest priority, if that is higher than that of name; empty when there is none.
func successor(d *definition, name string) string {
	best := name
	for i := range d.Spec.Versions {
		if v := &d.Spec.Versions[i]; v.Served && !v.Deprecated && apiversion.CompareKubeAwareVersionStrings(v.Name, best) > 0 {
			best = v.Name
		}
	}
	if best == name {
		return ""
	}
	return best
}

// servesVersion tells whether a definition is served in a version.
func servesVersion(d *definition, name string) bool {
	v := version(d, name)
	return v != nil && v.Served
}

// isServed tells whether a definition has names by which its objects can be asked for.
func isServed(d *definition) bool {
	return isTrue(d, apiextensionsv1.NamesAccepted) || isTrue(d, apiextensionsv1.Established)
}

// terminatingStore refuses creates that come as an update or an apply.
type terminatingStore struct {
	*registry.Store
	definition *definition
}

func (t *terminatingStore) Update(ctx context.Context, namespace, name string, transform rest.Transform, opts *rest.UpdateOptions) (obj runtime.Object, created bool, err error) {
	return t.Store.Update(ctx, namespace, name, func(ctx context.Context, current runtime.Object) (runtime.Object, error) {
		if current == nil {
			return nil, refuseCreate(t.definition, name)
		}
		return transform(ctx, current)
	}, opts)
}
