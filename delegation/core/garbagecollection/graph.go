package garbagecollection

import (
	"slices"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/portico-api/portico/delegation"
)

// graph is who says to be owned by whom. It holds objects that have owners or whose deletion waits for their
// dependents, and no others.
type graph struct {
	mu       sync.Mutex
	nodes    map[types.UID]*node
	families map[types.UID]*family
}

// family is an owner, whether it exists or not, and its dependents.
type family struct {
	owner   types.UID
	members map[*node]struct{}
}

// node is one object.
type node struct {
	source          *source
	namespace, name string
	uid             types.UID
	owners          []ownership
	deletion        deletion
	orphans         time.Time // since when its dependents are to be orphaned
}

// ownership is one of the owners of a node.
type ownership struct {
	family *family
	blocks bool // the owner's deletion in the foreground waits for this dependent
}

// deletion is what an object that is being deleted waits for.
type deletion int

const (
	notDeleted deletion = iota
	otherwise           // for somebody else, or nothing
	foreground          // until its dependents are gone
	orphan              // until its dependents have forgotten it
)

func deletionOf(o *delegation.OwnedObject) deletion {
	switch {
	case !o.Deleting:
		return notDeleted
	case slices.Contains(o.Finalizers, metav1.FinalizerOrphanDependents):
		return orphan
	case slices.Contains(o.Finalizers, metav1.FinalizerDeleteDependents):
		return foreground
	}
	return otherwise
}

func newGraph() *graph {
	return &graph{nodes: map[types.UID]*node{}, families: map[types.UID]*family{}}
}

// set makes the node of an object what o says. It returns the UIDs of those that have to be looked at for it.
func (g *graph) set(s *source, o *delegation.OwnedObject) (look []types.UID) {
	g.mu.Lock()
	defer g.mu.Unlock()
	key := keyOf(o.Namespace, o.Name)
	delete(s.unseen, key)
	n := s.nodes[key]
	state := deletionOf(o)
	if len(o.Owners) == 0 && state != foreground && state != orphan {
		if n != nil {
			look = g.remove(n)
		}
		return look
	}
	if n != nil && n.uid != o.UID {
		look = append(look, g.remove(n)...)
		look = append(look, g.membersOf(n.uid)...)
		n = nil
	}
	if n == nil {
		n = &node{source: s, namespace: o.Namespace, name: o.Name, uid: o.UID}
		s.nodes[key], g.nodes[o.UID] = n, n
	}
	look = append(look, g.own(n, o.Owners)...)
	if n.deletion = state; state == orphan && n.orphans.IsZero() {
		n.orphans = time.Now()
	}
	return append(look, n.uid)
}

// own replaces the owners of n. Who lost it as a dependent may have waited for that.
func (g *graph) own(n *node, refs []metav1.OwnerReference) (look []types.UID) {
	look = g.disown(n)
	n.owners = make([]ownership, 0, len(refs))
	for _, ref := range refs {
		f := g.families[ref.UID]
		if f == nil {
			f = &family{owner: ref.UID, members: map[*node]struct{}{}}
			g.families[ref.UID] = f
		}
		f.members[n] = struct{}{}
		n.owners = append(n.owners, ownership{family: f, blocks: ref.BlockOwnerDeletion != nil && *ref.BlockOwnerDeletion})
	}
	return look
}

// disown takes n from its owners, and returns those that wait for their dependents.
func (g *graph) disown(n *node) (waiting []types.UID) {
	for _, o := range n.owners {
		delete(o.family.members, n)
		if len(o.family.members) == 0 {
			delete(g.families, o.family.owner)
		}
		if owner := g.nodes[o.family.owner]; owner != nil && owner.deletion == foreground {
			waiting = append(waiting, owner.uid)
		}
	}
	n.owners = nil
	return waiting
}

// remove forgets n.
func (g *graph) remove(n *node) (look []types.UID) {
	look = g.disown(n)
	delete(n.source.nodes, keyOf(n.namespace, n.name))
	if g.nodes[n.uid] == n {
		delete(g.nodes, n.uid)
	}
	return look
}

// gone forgets a deleted object and returns whom its end concerns: its dependents, and owners that waited for it.
func (g *graph) gone(s *source, o *delegation.OwnedObject) (look []types.UID) {
	g.mu.Lock()
	defer g.mu.Unlock()
	key := keyOf(o.Namespace, o.Name)
	delete(s.unseen, key)
	if n := s.nodes[key]; n != nil && n.uid == o.UID {
		look = g.remove(n)
	}
	return append(look, g.membersOf(o.UID)...)
}

func (g *graph) membersOf(owner types.UID) (uids []types.UID) {
	if f := g.families[owner]; f != nil {
		for n := range f.members {
			uids = append(uids, n.uid)
		}
	}
	return uids
}

// begin has every object of s told of anew.
func (g *graph) begin(s *source) {
	g.mu.Lock()
	defer g.mu.Unlock()
	s.unseen = make(map[string]struct{}, len(s.nodes))
	for key := range s.nodes {
		s.unseen[key] = struct{}{}
	}
}

// listed forgets what was not told of since begin, and returns whom that concerns. What nobody noticed the end of can own
// anything, so after a gap that is every node; and while a server could not be followed, everything that might be owned there was left alone.
func (g *graph) listed(s *source, again bool) (look []types.UID) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for key := range s.unseen {
		if n := s.nodes[key]; n != nil {
			g.remove(n)
		}
	}
	s.unseen = nil
	if again || s.remote {
		look = g.all()
	}
	return look
}

// drop forgets every object of a resource that is not followed any more.
func (g *graph) drop(s *source) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, n := range s.nodes {
		g.remove(n)
	}
}

func (g *graph) all() (uids []types.UID) {
	for uid := range g.nodes {
		uids = append(uids, uid)
	}
	return uids
}

// everything returns every node.
func (g *graph) everything() []types.UID {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.all()
}

// view is a node as it was at one moment.
type view struct {
	node
	dependents []dependent
}

// isRemote tells whether it takes a server to read a node or to write its dependents.
func (v *view) isRemote() bool {
	remote := v.source.remote
	for _, d := range v.dependents {
		remote = remote || d.source.remote
	}
	return remote
}

// dependent is an object that is owned by a node.
type dependent struct {
	source          *source
	namespace, name string
	uid             types.UID
	blocks          bool
	deletion        deletion
}

// look returns a node with its dependents; false when there is none.
func (g *graph) look(uid types.UID) (v view, ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	n := g.nodes[uid]
	if n == nil {
		return v, false
	}
	v.node = *n
	if f := g.families[uid]; f != nil {
		v.dependents = make([]dependent, 0, len(f.members))
		for m := range f.members {
			d := dependent{source: m.source, namespace: m.namespace, name: m.name, uid: m.uid, deletion: m.deletion}
			for _, o := range m.owners {
				d.blocks = d.blocks || o.family == f && o.blocks
			}
			v.dependents = append(v.dependents, d)
		}
	}
	return v, true
}

func keyOf(namespace, name string) string { return namespace + "/" + name }
