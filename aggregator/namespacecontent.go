package aggregator

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	apidiscoveryv2 "k8s.io/api/apidiscovery/v2"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/version"

	"github.com/portico-api/portico/delegation"
)

// emptyingTimeout bounds one pass over a namespace in one server. What it has not come to is done in
// the next.
const emptyingTimeout = 20 * time.Second

// NamespacedContent is what the servers behind APIServices keep in namespaces, one for each server.
// An APIService that is deleted takes its part with it: nobody waits for a server that is no part of
// this API any more.
func (s *Server) NamespacedContent() []delegation.NamespacedContent {
	select {
	case <-s.router.initiated:
		s.router.moving.RLock()
		defer s.router.moving.RUnlock()
		return s.router.catalogs.namespacedContent()
	default:
		return []delegation.NamespacedContent{unknownServers{}}
	}
}

// OnNamespacedContentChange has on called when a server can be asked again that could not be, or need
// not be any more.
func (s *Server) OnNamespacedContentChange(on func()) (stop func()) {
	return s.router.catalogs.reachable.Add(on)
}

// unknownServers stands for all servers until the stored APIServices are read: a namespace that was
// ending when the process ended must not be taken for empty.
type unknownServers struct{}

func (unknownServers) Empty(context.Context, string) delegation.Remaining {
	return delegation.Remaining{Failed: []error{errors.New("the APIServices are not known yet")}}
}

func (cs *catalogs) namespacedContent() []delegation.NamespacedContent {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	var all []delegation.NamespacedContent
	for d, c := range cs.servers {
		all = append(all, remoteContent{catalogs: cs, catalog: c, destination: d})
	}
	return all
}

// remoteContent is what one server keeps in namespaces.
type remoteContent struct {
	catalogs    *catalogs
	catalog     *catalog
	destination destination
}

// Empty asks the server what it has now, and not what it had a minute ago: a resource that is new
// there would be forgotten. Group-versions that it cannot be asked about are told as undiscovered,
// unless nothing of them is ever in a namespace.
func (rc remoteContent) Empty(ctx context.Context, namespace string) delegation.Remaining {
	ctx, cancel := context.WithTimeout(ctx, emptyingTimeout)
	defer cancel()
	go rc.cancelWhenGone(ctx, cancel)

	resources, undiscovered := rc.discover(ctx)
	remaining := delegation.Remaining{
		Objects:      map[schema.GroupResource]int{},
		Finalizers:   map[string]int{},
		Undiscovered: undiscovered,
	}
	for _, r := range resources {
		if err := r.empty(ctx, namespace, &remaining); err != nil {
			remaining.Failed = append(remaining.Failed, fmt.Errorf("emptying %s in namespace %s: %w", r.groupResource(), namespace, err))
		}
	}
	select {
	case <-rc.catalog.gone:
		// The APIService may lead elsewhere now, so this is no leave to forget what it had.
		return delegation.Remaining{Failed: []error{fmt.Errorf("service %s has no APIService any more", rc.destination.reference)}}
	default:
		return remaining
	}
}

func (rc remoteContent) cancelWhenGone(ctx context.Context, cancel context.CancelFunc) {
	select {
	case <-rc.catalog.gone:
		cancel()
	case <-ctx.Done():
	}
}

// discover tells which resources are to be emptied and of which group-versions that is not known.
func (rc remoteContent) discover(ctx context.Context) (resources []remoteResource, undiscovered map[schema.GroupVersion]error) {
	members := rc.catalogs.membersOf(rc.catalog)
	var stale error
	if slices.ContainsFunc(members, func(m *member) bool { return m.route.available.Load() }) {
		if stale = rc.catalogs.refreshDiscovery(ctx, rc.catalog, time.Now()); stale != nil {
			rc.catalogs.refresh(rc.destination) // its return is noticed sooner
		}
	}
	known := rc.catalogs.discoveryOf(rc.catalog)

	undiscovered = map[schema.GroupVersion]error{}
	served := map[string]bool{} // group and resource: each is emptied in one of its versions
	for _, m := range members {
		gv := m.route.gv
		v, listed := known[gv]
		if listed && !slices.ContainsFunc(v.Resources, isEmptied) {
			continue // nothing of it outlives a namespace
		}
		if err := m.outOfReach(v, stale); err != nil {
			undiscovered[gv] = err
			continue
		}
		for _, r := range v.Resources {
			if key := gv.Group + "/" + r.Resource; isEmptied(r) && !served[key] {
				served[key] = true
				resources = append(resources, remoteResource{remote: m.remote, resource: gv.WithResource(r.Resource), verbs: r.Verbs})
			}
		}
	}
	return resources, undiscovered
}

// outOfReach tells why m cannot be emptied now, nil when it can. v is what is known of it and stale
// why that is not of now.
func (m *member) outOfReach(v apidiscoveryv2.APIVersionDiscovery, stale error) error {
	switch verdict := m.route.verdict.Load(); {
	case !m.route.available.Load() && verdict != nil:
		return errors.New(verdict.message)
	case !m.route.available.Load():
		return errors.New("it is not known yet whether its server answers")
	case stale != nil:
		return stale
	case v.Freshness == apidiscoveryv2.DiscoveryFreshnessStale:
		return errors.New("its server says that its own discovery is stale")
	}
	return nil
}

// isEmptied tells whether r has objects in namespaces that can be deleted with them. Others, such as
// measured values, come and go by themselves.
func isEmptied(r apidiscoveryv2.APIResourceDiscovery) bool {
	return r.Scope == apidiscoveryv2.ScopeNamespace && (slices.Contains(r.Verbs, "deletecollection") ||
		slices.Contains(r.Verbs, "list") && slices.Contains(r.Verbs, "delete"))
}

// membersOf are the group-versions of c, the most mature version first.
func (cs *catalogs) membersOf(c *catalog) []*member {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	return slices.SortedFunc(maps.Values(c.members), func(a, b *member) int {
		return cmp.Or(cmp.Compare(a.route.gv.Group, b.route.gv.Group), version.CompareKubeAwareVersionStrings(b.route.gv.Version, a.route.gv.Version))
	})
}

// discoveryOf is what is known of c. It is replaced when it changes, so it may be read at leisure.
func (cs *catalogs) discoveryOf(c *catalog) groupVersions {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	return c.discovery
}
