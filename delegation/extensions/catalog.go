package extensions

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/klog/v2"

	"github.com/portico-api/portico/delegation"
	"github.com/portico-api/portico/delegation/registry"
	"github.com/portico-api/portico/handler/rest"
)

// catalog follows the definitions and has served what they define.
type catalog struct {
	definitions *registry.Store
	resources   *customResources
	maker       *maker
	discovery   *groupVersions

	listeners delegation.Listeners // of changes in what is served

	mu        sync.Mutex
	defined   map[string]*definition // all there are, by name and without schemas
	known     map[string]*served     // those that are served
	kinds     map[schema.GroupKind]*served
	leaving   map[string]*served // those that are not any more, and have not let go of their objects yet
	followers map[*follower]struct{}
}

// follower is told of definitions. It must not wait.
type follower struct {
	on func(d *definition, deleted bool)
}

func newCatalog(definitions *registry.Store, resources *customResources, m *maker, discovery *groupVersions) *catalog {
	return &catalog{
		definitions: definitions, resources: resources, maker: m, discovery: discovery,
		defined: map[string]*definition{}, known: map[string]*served{}, kinds: map[schema.GroupKind]*served{}, leaving: map[string]*served{},
		followers: map[*follower]struct{}{},
	}
}

// follow tells on of all definitions, without their schemas, and of each change until ctx ends. To decode a large definition once for all who
// care is what it is for.
func (c *catalog) follow(ctx context.Context, on func(d *definition, deleted bool)) error {
	f := &follower{on}
	c.mu.Lock()
	for _, d := range c.defined {
		on(d, false)
	}
	c.followers[f] = struct{}{}
	c.mu.Unlock()
	<-ctx.Done()
	c.mu.Lock()
	delete(c.followers, f)
	c.mu.Unlock()
	return ctx.Err()
}

// note remembers a definition as it is now and tells of it.
func (c *catalog) note(d *definition, deleted bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if deleted {
		delete(c.defined, d.Name)
	} else {
		c.defined[d.Name] = d
	}
	for f := range c.followers {
		f.on(d, deleted)
	}
}

// run follows the definitions until ctx ends.
func (c *catalog) run(ctx context.Context, synced func()) error {
	defer c.close()
	var gone map[string]*definition // while all are told of: those that were not told of yet
	return c.definitions.Observe(ctx, registry.Observer{
		Begin: func() { gone = c.allDefined() },
		Tell: func(o rest.Object, deleted bool) {
			delete(gone, o.Name())
			c.take(ctx, o, deleted)
		},
		Listed: func() {
			for _, d := range gone {
				c.forget(d)
			}
			gone = nil
			if synced != nil {
				synced()
				synced = nil
			}
		},
	})
}

// take takes one state of a definition. One that cannot be decoded, because another program wrote it, stays as it
// was until it is deleted.
func (c *catalog) take(ctx context.Context, o rest.Object, deleted bool) {
	d, err := decodeOutline(o)
	if err != nil && deleted {
		if d = c.outlineOf(o.Name()); d == nil {
			return // nobody knew of it
		}
	} else if err != nil {
		klog.FromContext(ctx).Error(err, "A definition is passed over", "name", o.Name(), "revision", o.ResourceVersion())
		return
	}
	switch {
	case deleted:
		c.forget(d)
		return
	case isServed(d):
		c.serve(d)
	default:
		c.drop(d)
	}
	c.note(d, false)
}

// forget drops a definition that is gone.
func (c *catalog) forget(d *definition) {
	c.drop(d)
	c.note(d, true)
	c.maker.metrics.Forget(d.Name)
}

func (c *catalog) allDefined() map[string]*definition {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.defined)
}

// outlineOf is a definition as it is known here, without its schemas; nil when there is none.
func (c *catalog) outlineOf(name string) *definition {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.defined[name]
}

// serve has a definition served as it is now. What is of no interest to requests changes nothing.
func (c *catalog) serve(d *definition) {
	c.mu.Lock()
	before := c.known[d.Name]
	if before != nil && sameService(before.definition, d) {
		c.mu.Unlock()
		return
	}
	after := before
	if after == nil {
		after = c.leaving[d.Name]
	} else {
		delete(c.kinds, kindOf(before.definition))
	}
	delete(c.leaving, d.Name)
	s := newServed(d, c.maker, after)
	c.known[d.Name], c.kinds[kindOf(d)] = s, s
	c.mu.Unlock()
	c.resources.publish(resourceOf(d), s)
	if before != nil {
		before.retire()
	}
	c.discovery.changed(c.inGroup(d.Spec.Group), d.Spec.Group)
	c.listeners.Notify()
}

func (c *catalog) drop(d *definition) {
	c.mu.Lock()
	before := c.known[d.Name]
	if before == nil {
		c.mu.Unlock()
		return
	}
	delete(c.known, d.Name)
	delete(c.kinds, kindOf(before.definition))
	maps.DeleteFunc(c.leaving, func(_ string, s *served) bool { return s.isClosed() })
	c.leaving[d.Name] = before
	c.mu.Unlock()
	c.resources.publish(resourceOf(d), nil)
	before.retire()
	c.discovery.changed(c.inGroup(d.Spec.Group), d.Spec.Group)
	c.listeners.Notify()
}

// close lets go of everything, when the server ends.
func (c *catalog) close() {
	c.mu.Lock()
	all := slices.Collect(maps.Values(c.known))
	c.known = map[string]*served{}
	c.mu.Unlock()
	for _, s := range all {
		s.retire()
	}
	for _, s := range all {
		<-s.closed
	}
}

// inGroup are the definitions of a group that are served, by name.
func (c *catalog) inGroup(group string) []*definition {
	c.mu.Lock()
	defer c.mu.Unlock()
	var all []*definition
	for _, s := range c.known {
		if s.definition.Spec.Group == group {
			all = append(all, s.definition)
		}
	}
	slices.SortFunc(all, func(a, b *definition) int { return strings.Compare(a.Name, b.Name) })
	return all
}

// catchUp waits until what is stored of a definition is known here, and tells whether there is one. A client that has seen that its resource is
// established must not find it missing.
func (c *catalog) catchUp(ctx context.Context, name string) bool {
	revision, ok := c.definitions.Version(ctx, "", name)
	if !ok {
		return false
	}
	for range catchUpTries {
		if c.seen(name) >= revision {
			return true
		}
		select {
		case <-ctx.Done():
			return false
		case <-time.After(catchUpPause):
		}
	}
	return false
}

const (
	catchUpTries = 1000
	catchUpPause = time.Millisecond
)

// seen is the revision in which a definition is known here.
func (c *catalog) seen(name string) int64 {
	d := c.outlineOf(name)
	if d == nil {
		return 0
	}
	return versionOfDefinition(d)
}

// find is what is served of a definition; nil when nothing is.
func (c *catalog) find(d *definition) *served {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.known[d.Name]
}

// ofKind is what is served of a kind; nil when nothing is.
func (c *catalog) ofKind(kind schema.GroupKind) *served {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.kinds[kind]
}

// all are the custom resources that are served, by the names of their definitions.
func (c *catalog) all() []*served {
	c.mu.Lock()
	defer c.mu.Unlock()
	var all []*served
	for _, name := range slices.Sorted(maps.Keys(c.known)) {
		all = append(all, c.known[name])
	}
	return all
}

// pathTo is the key path of a definition's objects.
func pathTo(d *definition) string { return d.Spec.Group + "/" + d.Spec.Names.Plural }

func kindOf(d *definition) schema.GroupKind {
	return schema.GroupKind{Group: d.Spec.Group, Kind: d.Status.AcceptedNames.Kind}
}

func resourceOf(d *definition) schema.GroupResource {
	return schema.GroupResource{Group: d.Spec.Group, Resource: d.Spec.Names.Plural}
}

// sameService tells whether two states of a definition serve the same: its conditions matter only as far as they say that it is established or
// goes.
func sameService(a, b *definition) bool {
	condition := func(typ apiextensionsv1.CustomResourceDefinitionConditionType) bool {
		return isTrue(a, typ) == isTrue(b, typ)
	}
	return a.UID == b.UID && condition(apiextensionsv1.Established) && condition(apiextensionsv1.Terminating) &&
		a.Generation == b.Generation && apiequality.Semantic.DeepEqual(a.Status.AcceptedNames, b.Status.AcceptedNames)
}
