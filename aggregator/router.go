package aggregator

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/klog/v2"
	apiregistrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"

	"github.com/portico-api/portico/aggregator/backend"
	"github.com/portico-api/portico/delegation/registry"
	"github.com/portico-api/portico/handler"
	"github.com/portico-api/portico/handler/discovery"
	"github.com/portico-api/portico/metrics"
)

const (
	coreRoot   = "/api"
	groupsRoot = "/apis"
)

// router gives every APIService its route: it follows the stored objects and keeps the paths of the
// unit's mux as they say. The mux is the table that requests are routed by; a change of status
// changes the route and not the table.
//
// One goroutine (Run) does all of it. What happened since it looked last is put together, so that
// ten thousand APIServices at start are one new table.
type router struct {
	store        *registry.Store
	mux          *handler.PathRecorderMux
	next         http.Handler
	metrics      *metrics.Aggregator
	remotes      *remotes
	manager      *discovery.Manager
	groups       http.Handler // the documents of single groups
	availability *availability
	catalogs     *catalogs
	noticed      func(registry.Change) // is told of each change, too

	changed   chan struct{}
	initiated chan struct{} // closed with the first full pass: a path without a route is unknown then

	routes   map[string]*route // by name of the APIService; Run's own
	versions map[string]int    // how many routes a group has; Run's own

	moving sync.RWMutex // held while an APIService is led from one server to another

	mu      sync.Mutex
	pending map[string]*apiregistrationv1.APIService // by name; nil is one that went
	synced  bool                                     // pending has all that was stored at the start
	behind  map[types.NamespacedName][]*route        // by service
}

// Run keeps the routes until ctx ends, and returns after all that it started has ended. It calls
// initiated once, when everything that was stored at the start has its route.
func (c *router) Run(ctx context.Context, initiated func()) error {
	defer c.close()
	defer c.availability.loops.stopAll()
	defer c.catalogs.loops.stopAll()

	followed := make(chan error, 1)
	go c.follow(ctx, followed)
	first := true
	for {
		select {
		case err := <-followed:
			return err
		case <-c.changed:
		}
		if synced := c.publish(ctx); synced && first {
			first = false
			close(c.initiated)
			c.catalogs.reachable.Notify()
			initiated()
		}
	}
}

func (c *router) follow(ctx context.Context, followed chan<- error) {
	err := c.store.Follow(ctx, c.enqueue, c.enqueueSynced)
	if err != nil && ctx.Err() == nil {
		err = fmt.Errorf("following APIServices: %w", err)
	}
	followed <- err
}

func (c *router) enqueue(ev registry.Change) {
	s := ev.Object.(*apiregistrationv1.APIService)
	c.mu.Lock()
	if ev.Deleted {
		c.pending[s.Name] = nil
	} else {
		c.pending[s.Name] = s
	}
	c.mu.Unlock()
	c.signal()
	c.noticed(ev)
}

func (c *router) enqueueSynced() {
	c.mu.Lock()
	c.synced = true
	c.mu.Unlock()
	c.signal()
}

func (c *router) signal() {
	select {
	case c.changed <- struct{}{}:
	default: // Run has not looked yet and will see this too
	}
}

// publish brings the routes up to what is pending: first the table, then what is known of the
// servers behind it, so that nothing is called available that has no route yet (contract 13).
func (c *router) publish(ctx context.Context) (synced bool) {
	pending, synced := c.take()
	var added, removed []*route
	for name, s := range pending {
		switch rt, exists := c.routes[name]; {
		case s == nil && exists:
			removed = append(removed, rt)
		case s != nil && !exists:
			added = append(added, newRoute(s, c.next, c.metrics))
		}
	}
	if len(added) > 0 || len(removed) > 0 {
		c.mux.Update(func(p *handler.Paths) { c.replace(p, removed, added) })
	}
	for _, rt := range removed {
		c.forget(rt)
	}
	for name, s := range pending {
		if s != nil {
			c.update(ctx, c.routes[name], s)
		}
	}
	return synced
}

func (c *router) take() (map[string]*apiregistrationv1.APIService, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	pending := c.pending
	c.pending = map[string]*apiregistrationv1.APIService{}
	return pending, c.synced
}

// replace takes the paths of removed out of the table and puts those of added in. The first route
// of a group brings the paths of the group's document, the last one takes them away.
func (c *router) replace(p *handler.Paths, removed, added []*route) {
	for _, rt := range removed {
		delete(c.routes, rt.name)
		p.Unregister(rt.path())
		p.Unregister(rt.path() + "/")
		if c.versions[rt.gv.Group]--; c.versions[rt.gv.Group] > 0 {
			continue
		}
		delete(c.versions, rt.gv.Group)
		if rt.gv.Group != "" {
			p.Unregister(groupsRoot + "/" + rt.gv.Group)
			p.Unregister(groupsRoot + "/" + rt.gv.Group + "/")
		}
	}
	for _, rt := range added {
		c.routes[rt.name] = rt
		p.Handle(rt.path(), rt)
		p.UnlistedHandlePrefix(rt.path()+"/", rt)
		if c.versions[rt.gv.Group]++; c.versions[rt.gv.Group] == 1 && rt.gv.Group != "" {
			p.Handle(groupsRoot+"/"+rt.gv.Group, c.groups)
			p.UnlistedHandle(groupsRoot+"/"+rt.gv.Group+"/", c.groups)
		}
	}
}

// update gives rt the state that s describes.
func (c *router) update(ctx context.Context, rt *route, s *apiregistrationv1.APIService) {
	former := rt.service.Swap(s)
	if former != nil && former.UID == s.UID && sameServer(former, s) {
		c.prioritize(rt, s)
		// Somebody else's status, or one that was stored too late, is put right.
		if v := rt.verdict.Load(); v != nil && !v.matches(s) {
			c.availability.recheck(ctx, rt)
		}
		return
	}

	c.moving.Lock()
	c.lead(ctx, rt, s)
	c.moving.Unlock()
	c.prioritize(rt, s) // after the former server was forgotten, with which discovery may have forgotten it
	c.availability.watch(ctx, rt)
}

// lead sends the requests of rt where s says. There is no moment at which they go nowhere: those that come meanwhile go to the
// former server or to the new one.
func (c *router) lead(ctx context.Context, rt *route, s *apiregistrationv1.APIService) {
	var next *remote
	if !isLocal(s) {
		var err error
		if next, err = c.remotes.connect(s, func() { c.availability.doubt(rt) }); err != nil {
			klog.FromContext(ctx).Error(err, "APIService is treated as local")
		}
	}
	former := rt.remote.Load()
	if next != nil {
		// What was found before holds until it is checked again: a restart of the front, or a new CA
		// bundle, is no outage of what is behind it.
		condition := availableCondition(s)
		rt.available.Store(condition != nil && condition.Status == apiregistrationv1.ConditionTrue && condition.Reason != reasonLocal)
	}
	rt.remote.Store(next)
	c.release(rt, former)
	if next != nil {
		c.catalogs.add(ctx, rt, next)
		c.index(next.reference, rt)
	}
}

func (c *router) prioritize(rt *route, s *apiregistrationv1.APIService) {
	c.manager.SetGroupVersionPriority(metav1.GroupVersion(rt.gv), int(s.Spec.GroupPriorityMinimum), int(s.Spec.VersionPriority))
}

// release ends what is known of and open to a former server of rt.
func (c *router) release(rt *route, former *remote) {
	if former == nil {
		return
	}
	c.unindex(former.reference, rt)
	c.catalogs.remove(rt, former)
	former.transport.Close()
}

// close ends what the transports do by themselves. Requests that are on their way, and those that still come, are not disturbed.
func (c *router) close() {
	for _, rt := range c.routes {
		if remote := rt.remote.Load(); remote != nil {
			remote.transport.Close()
		}
	}
}

func (c *router) forget(rt *route) {
	c.availability.forget(rt.name)
	c.manager.SetGroupVersionPriority(metav1.GroupVersion(rt.gv), defaultPriority.group, defaultPriority.version)
	c.release(rt, rt.remote.Swap(nil))
}

func (c *router) index(ref backend.ServiceReference, rt *route) {
	c.mu.Lock()
	defer c.mu.Unlock()
	key := types.NamespacedName{Namespace: ref.Namespace, Name: ref.Name}
	c.behind[key] = append(c.behind[key], rt)
}

func (c *router) unindex(ref backend.ServiceReference, rt *route) {
	c.mu.Lock()
	defer c.mu.Unlock()
	key := types.NamespacedName{Namespace: ref.Namespace, Name: ref.Name}
	c.behind[key] = slices.DeleteFunc(c.behind[key], func(other *route) bool { return other == rt })
	if len(c.behind[key]) == 0 {
		delete(c.behind, key)
	}
}

// serviceChanged has every APIService behind the named service looked at again.
func (c *router) serviceChanged(namespace, name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, rt := range c.behind[types.NamespacedName{Namespace: namespace, Name: name}] {
		c.availability.loops.kick(rt.name)
		if remote := rt.remote.Load(); remote != nil {
			c.catalogs.refresh(remote.destination)
		}
	}
}

// certificateChanged has every remote server looked at again: we are somebody else to it now.
func (c *router) certificateChanged() {
	c.availability.loops.kickAll()
	c.catalogs.loops.kickAll()
}
