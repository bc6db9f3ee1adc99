package aggregator

import (
	"context"
	"errors"
	"maps"
	"reflect"
	"slices"
	"sync"
	"time"

	apidiscoveryv2 "k8s.io/api/apidiscovery/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/klog/v2"

	"github.com/portico-api/portico/delegation"
	"github.com/portico-api/portico/handler/discovery"
	"github.com/portico-api/portico/handler/openapi"
)

const (
	refreshInterval   = time.Minute
	firstRefreshRetry = 500 * time.Millisecond
)

// catalogs keeps what remote servers say they serve: their discovery, merged into the chain's, and
// the roots of their OpenAPI documents (contract 5.5, 5.6). There is one for each server, however
// many group-versions it serves, and each is fetched by itself. Readers are never kept waiting:
// they get what was known last, marked stale when the server does not answer.
type catalogs struct {
	manager *discovery.Manager
	loops   *loops[destination]
	// reachable tells who waits to empty a namespace that a server can be asked again, or need not be.
	reachable *delegation.Listeners
	described func() // tells that OpenAPI documents have changed
	importer  openapi.Importer

	mu      sync.Mutex
	servers map[destination]*catalog
	members map[schema.GroupVersion]*member
}

// catalog is one server. Its fields are guarded by the mutex of catalogs.
type catalog struct {
	members map[schema.GroupVersion]*member

	discoveryTurn turn
	discovery     groupVersions
	discoveryETag string
	discovered    time.Time // when what was answered last was asked
	fresh         bool      // discovery is of the last time that it was asked
	openAPITurn   turn
	openAPI       *openAPIRoot
	openAPIETag   string
	described     time.Time                                // as discovered
	documents     map[schema.GroupVersion]*openapi.Foreign // as they were last
	visited       chan struct{}                            // closed when it has been asked once, whatever came of it
	once          sync.Once
	gone          chan struct{} // closed when no APIService leads to it any more
}

// member is one group-version of a server.
type member struct {
	catalog  *catalog
	route    *route
	remote   *remote
	reported *apidiscoveryv2.APIVersionDiscovery // what the manager has
}

func newCatalog() *catalog {
	return &catalog{
		members:       map[schema.GroupVersion]*member{},
		discoveryTurn: newTurn(),
		openAPITurn:   newTurn(),
		documents:     map[schema.GroupVersion]*openapi.Foreign{},
		visited:       make(chan struct{}),
		gone:          make(chan struct{}),
	}
}

func newCatalogs(manager *discovery.Manager) *catalogs {
	return &catalogs{
		manager:   manager,
		loops:     newLoops[destination](),
		reachable: &delegation.Listeners{},
		servers:   map[destination]*catalog{},
		members:   map[schema.GroupVersion]*member{},
		described: func() {},
	}
}

// add begins to report what remote says of the group-version of rt. Until it says anything the
// group-version is there, empty and stale: clients learn that it exists and that they do not know all.
func (cs *catalogs) add(ctx context.Context, rt *route, remote *remote) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	c, ok := cs.servers[remote.destination]
	if !ok {
		c = newCatalog()
		cs.servers[remote.destination] = c
	}
	m := &member{catalog: c, route: rt, remote: remote}
	c.members[rt.gv] = m
	c.discoveryETag = "" // an old server is asked for each group-version, also for this one
	cs.members[rt.gv] = m
	rt.doubt() // here, so that what is asked after it is asked for this group-version, too
	cs.report(rt.gv, m, c.discovery != nil)
	if ok {
		cs.loops.kick(remote.destination)
		return
	}
	cs.loops.start(ctx, remote.destination, &keeper{catalogs: cs, catalog: c})
}

// remove ends the report of the group-version of rt.
func (cs *catalogs) remove(rt *route, remote *remote) {
	cs.mu.Lock()
	c, ok := cs.servers[remote.destination]
	if !ok {
		cs.mu.Unlock()
		return
	}
	delete(c.members, rt.gv)
	delete(cs.members, rt.gv)
	cs.manager.RemoveGroupVersion(discovery.SourceAggregator, metav1.GroupVersion(rt.gv))
	last := len(c.members) == 0
	if last {
		delete(cs.servers, remote.destination)
		close(c.gone)
	}
	described := c.documents[rt.gv] != nil
	delete(c.documents, rt.gv)
	cs.mu.Unlock()
	if described {
		cs.described()
	}
	if last {
		cs.loops.stop(remote.destination) // takes the lock to finish what it was about
	}
	cs.reachable.Notify()
}

// refresh has the server asked soon.
func (cs *catalogs) refresh(d destination) { cs.loops.kick(d) }

// catchUp returns when the server has answered what was asked after since, or has taken too long. What goes
// wrong shows in the documents, and is tried again by its keeper.
func (cs *catalogs) catchUp(ctx context.Context, d destination, since time.Time) {
	cs.mu.Lock()
	c, ok := cs.servers[d]
	cs.mu.Unlock()
	if !ok {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, discoveryTimeout)
	defer cancel()
	if err := errors.Join(cs.refreshDiscovery(ctx, c, since), cs.refreshOpenAPI(ctx, c, since)); err != nil {
		klog.FromContext(ctx).V(2).Info("An available server does not tell what it serves", "service", d.reference, "err", err)
	}
}

// waitVisited returns when every server that is known now has been asked once, or ctx ends.
func (cs *catalogs) waitVisited(ctx context.Context) error {
	cs.mu.Lock()
	all := slices.Collect(maps.Values(cs.servers))
	cs.mu.Unlock()
	for _, c := range all {
		select {
		case <-c.visited:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// keeper asks the server of one catalog again and again.
type keeper struct {
	catalogs *catalogs
	catalog  *catalog
	retry    time.Duration // how long the next failure is waited after; 0 is firstRefreshRetry
}

// look implements task.
func (k *keeper) look(ctx context.Context, kicked bool) (next time.Duration) {
	if kicked {
		k.retry = 0
	}
	since := time.Now()
	err := k.catalogs.refreshDiscovery(ctx, k.catalog, since)
	k.catalog.visit()
	err = errors.Join(err, k.catalogs.refreshOpenAPI(ctx, k.catalog, since))
	switch {
	case ctx.Err() != nil:
		return 0
	case err == nil:
		k.retry = 0
		return spread(refreshInterval)
	}
	klog.FromContext(ctx).V(2).Info("A remote server does not tell what it serves", "err", err)
	wait := max(k.retry, firstRefreshRetry)
	k.retry = min(2*wait, refreshInterval)
	return spread(wait)
}

// over implements task.
func (k *keeper) over() { k.catalog.visit() }

// visit tells who waits that the server has been asked, or will not be.
func (c *catalog) visit() { c.once.Do(func() { close(c.visited) }) }

// refreshDiscovery asks the server of c what it serves, unless it has answered what was asked after since: who waits for a turn and who has it
// often want to know the same.
func (cs *catalogs) refreshDiscovery(ctx context.Context, c *catalog, since time.Time) error {
	leave, err := c.discoveryTurn.take(ctx, discoveryTimeout)
	if err != nil {
		return err
	}
	defer leave()
	q, needed := cs.discoveryQuestion(c, since)
	if !needed {
		return nil
	}
	found, newETag, err := fetchDiscovery(ctx, q.remote, q.wanted, q.etag)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	fresh := err == nil || errors.Is(err, errNotModified)
	cs.mu.Lock()
	news := fresh && !c.fresh || err == nil && !reflect.DeepEqual(found, c.discovery)
	if err == nil {
		c.discovery, c.discoveryETag = found, newETag
	}
	if fresh {
		c.discovered = q.asked
	}
	c.fresh = fresh
	for gv, m := range c.members {
		cs.report(gv, m, fresh)
	}
	cs.mu.Unlock()
	if news {
		cs.reachable.Notify()
	}
	if fresh {
		return nil
	}
	return err
}

type discoveryQuestion struct {
	remote *remote
	wanted []schema.GroupVersion
	etag   string
	asked  time.Time
}

// discoveryQuestion is what to ask the server of c. It is not needed when that has told, or there is none.
func (cs *catalogs) discoveryQuestion(c *catalog, since time.Time) (q discoveryQuestion, needed bool) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	q = discoveryQuestion{c.anyRemote(), slices.Collect(maps.Keys(c.members)), c.discoveryETag, time.Now()}
	return q, q.remote != nil && !(c.fresh && c.discovered.After(since))
}

// anyRemote is the way to the server of c: any of its members leads there.
func (c *catalog) anyRemote() *remote {
	for _, m := range c.members {
		return m.remote
	}
	return nil
}

// report tells the manager what is known of gv, unless it knows. A server that does not list a
// group-version it is registered for serves nothing in it.
func (cs *catalogs) report(gv schema.GroupVersion, m *member, fresh bool) {
	v := m.catalog.discovery[gv]
	v.Version = gv.Version
	switch {
	case !fresh:
		v.Freshness = apidiscoveryv2.DiscoveryFreshnessStale
	case v.Freshness == "":
		v.Freshness = apidiscoveryv2.DiscoveryFreshnessCurrent
	}
	if m.reported != nil && reflect.DeepEqual(*m.reported, v) {
		return
	}
	m.reported = &v
	cs.manager.AddGroupVersion(discovery.SourceAggregator, gv.Group, v)
}
