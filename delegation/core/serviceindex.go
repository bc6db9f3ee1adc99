package core

import (
	"context"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/portico-api/portico/delegation/controller"
	"github.com/portico-api/portico/delegation/registry"
)

// follower is what an in-memory index needs of a resource's registry.
type follower interface {
	Follow(ctx context.Context, on func(registry.Change), synced func()) error
}

// Services is where services really are: an index of Services, EndpointSlices and Endpoints that
// follows the registry, for whoever connects to a service by its name. What it returns is shared
// and must not be changed.
type Services struct {
	services, slices, endpoints follower
	synced                      chan struct{}

	mu         sync.RWMutex
	byName     map[types.NamespacedName]*corev1.Service
	slicesOf   map[types.NamespacedName][]*discoveryv1.EndpointSlice // of a service, by name; replaced, never changed
	ownerOf    map[types.NamespacedName]types.NamespacedName         // slice → service
	endpointOf map[types.NamespacedName]*corev1.Endpoints
	listeners  []func(namespace, service string)
}

func newServices(services, slices, endpoints follower) *Services {
	return &Services{
		services:   services,
		slices:     slices,
		endpoints:  endpoints,
		synced:     make(chan struct{}),
		byName:     make(map[types.NamespacedName]*corev1.Service),
		slicesOf:   make(map[types.NamespacedName][]*discoveryv1.EndpointSlice),
		ownerOf:    make(map[types.NamespacedName]types.NamespacedName),
		endpointOf: make(map[types.NamespacedName]*corev1.Endpoints),
	}
}

// Service returns a Service.
func (s *Services) Service(namespace, name string) (*corev1.Service, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	service, ok := s.byName[types.NamespacedName{Namespace: namespace, Name: name}]
	return service, ok
}

// EndpointSlices returns the slices that are labelled with the service's name, ordered by their own.
func (s *Services) EndpointSlices(namespace, service string) []*discoveryv1.EndpointSlice {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.slicesOf[types.NamespacedName{Namespace: namespace, Name: service}]
}

// Endpoints returns the Endpoints object of that name.
func (s *Services) Endpoints(namespace, name string) (*corev1.Endpoints, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	endpoints, ok := s.endpointOf[types.NamespacedName{Namespace: namespace, Name: name}]
	return endpoints, ok
}

// OnChange has f called, after the index has changed, with the service whose Service, slices or
// Endpoints did. Calls come one at a time for each kind; f must not block.
func (s *Services) OnChange(f func(namespace, service string)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.listeners = append(s.listeners, f)
}

// Synced is closed when everything that was stored at the start is in the index. A service that is
// missing before may only not be known yet.
func (s *Services) Synced() <-chan struct{} { return s.synced }

// Run follows the registry until ctx ends. It calls started once, when Synced is closed.
func (s *Services) Run(ctx context.Context, started func()) error {
	var done atomic.Int32
	oneSynced := func() {
		if done.Add(1) == 3 {
			close(s.synced)
			started()
		}
	}
	return controller.RunAll(ctx,
		func(ctx context.Context) error { return s.services.Follow(ctx, s.serviceChanged, oneSynced) },
		func(ctx context.Context) error { return s.slices.Follow(ctx, s.sliceChanged, oneSynced) },
		func(ctx context.Context) error { return s.endpoints.Follow(ctx, s.endpointsChanged, oneSynced) },
	)
}

func (s *Services) serviceChanged(change registry.Change) {
	service := change.Object.(*corev1.Service)
	key := types.NamespacedName{Namespace: service.Namespace, Name: service.Name}
	s.mu.Lock()
	if change.Deleted {
		delete(s.byName, key)
	} else {
		s.byName[key] = service
	}
	s.mu.Unlock()
	s.notify(key)
}

func (s *Services) endpointsChanged(change registry.Change) {
	endpoints := change.Object.(*corev1.Endpoints)
	key := types.NamespacedName{Namespace: endpoints.Namespace, Name: endpoints.Name}
	s.mu.Lock()
	if change.Deleted {
		delete(s.endpointOf, key)
	} else {
		s.endpointOf[key] = endpoints
	}
	s.mu.Unlock()
	s.notify(key)
}

// sliceChanged also handles a slice that was relabelled from one service to another: both have changed.
func (s *Services) sliceChanged(change registry.Change) {
	slice := change.Object.(*discoveryv1.EndpointSlice)
	key := types.NamespacedName{Namespace: slice.Namespace, Name: slice.Name}
	owner := types.NamespacedName{Namespace: slice.Namespace, Name: slice.Labels[discoveryv1.LabelServiceName]}

	s.mu.Lock()
	former, known := s.ownerOf[key]
	if known {
		s.setSlice(former, slice.Name, nil)
		delete(s.ownerOf, key)
	}
	if !change.Deleted && owner.Name != "" {
		s.setSlice(owner, slice.Name, slice)
		s.ownerOf[key] = owner
	}
	s.mu.Unlock()

	if known && former != owner {
		s.notify(former)
	}
	if owner.Name != "" {
		s.notify(owner)
	}
}

// setSlice puts slice in the place of the owner's slice of that name; nil leaves the place empty.
// Readers keep the list they have.
func (s *Services) setSlice(owner types.NamespacedName, name string, slice *discoveryv1.EndpointSlice) {
	list := s.slicesOf[owner]
	i, found := slices.BinarySearchFunc(list, name, func(s *discoveryv1.EndpointSlice, name string) int { return strings.Compare(s.Name, name) })
	rest := list[i:]
	if found {
		rest = rest[1:]
	}
	var place []*discoveryv1.EndpointSlice
	if slice != nil {
		place = []*discoveryv1.EndpointSlice{slice}
	}
	if list = slices.Concat(list[:i], place, rest); len(list) == 0 {
		delete(s.slicesOf, owner)
	} else {
		s.slicesOf[owner] = list
	}
}

func (s *Services) notify(service types.NamespacedName) {
	s.mu.RLock()
	listeners := s.listeners
	s.mu.RUnlock()
	for _, f := range listeners {
		f(service.Namespace, service.Name)
	}
}
