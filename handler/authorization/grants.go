package authorization

import (
	"fmt"
	"hash/maphash"
	"maps"
	"slices"
	"sync/atomic"

	rbacv1 "k8s.io/api/rbac/v1"
)

// roleKey names a role, or a cluster role when it has no namespace.
type roleKey struct{ namespace, name string }

// roleSlot is where the rules of one role are. Bindings point at the slot, so that a role may come,
// change and go without touching any of them.
type roleSlot struct {
	key   roleKey
	rules atomic.Pointer[ruleSet] // nil while there is no such role

	bindings int // under RBAC.mu
}

// missing is the evaluation error of a binding to a role that does not exist.
func (s *roleSlot) missing() error {
	kind := "clusterrole"
	if s.key.namespace != "" {
		kind = "role"
	}
	return fmt.Errorf("%s.rbac.authorization.k8s.io %q not found", kind, s.key.name)
}

type bindingKey struct{ namespace, name string }

type binding struct {
	key      bindingKey
	ref      rbacv1.RoleRef
	subjects []rbacv1.Subject
	role     *roleSlot
}

// grant is one subject's share in one binding.
type grant struct {
	binding *binding
	subject *rbacv1.Subject
	text    atomic.Pointer[string]
}

// reason tells by what the request was allowed; made once, because most grants never decide anything.
func (g *grant) reason() string {
	if text := g.text.Load(); text != nil {
		return *text
	}
	b := g.binding
	kind, name := "ClusterRoleBinding", b.key.name
	if b.key.namespace != "" {
		kind, name = "RoleBinding", b.key.name+"/"+b.key.namespace
	}
	subject := g.subject.Name
	if g.subject.Namespace != "" {
		subject += "/" + g.subject.Namespace
	}
	text := fmt.Sprintf("RBAC: allowed by %s %q of %s %q to %s %q", kind, name, b.ref.Kind, b.ref.Name, g.subject.Kind, subject)
	g.text.Store(&text)
	return text
}

// place is where the grants of one subject are found: in one namespace, or everywhere when it is empty.
type place struct{ namespace, subject string }

// shards bound what one change copies: with 10,000 subjects, forty entries.
const shards = 256

// table finds the grants of a subject without a lock. Each shard is an immutable map; a writer replaces
// the shards it changes.
type table struct {
	seed   maphash.Seed
	shards *[shards]atomic.Pointer[map[place][]*grant]
}

func newTable() table {
	t := table{seed: maphash.MakeSeed(), shards: new([shards]atomic.Pointer[map[place][]*grant])}
	empty := map[place][]*grant{}
	for i := range t.shards {
		t.shards[i].Store(&empty)
	}
	return t
}

func (t *table) get(at place) []*grant { return (*t.shards[t.shard(at)].Load())[at] }

// shard leaves the namespace out: it is the subjects that are many, and a hash is most of the price.
func (t *table) shard(at place) int {
	return int(maphash.String(t.seed, at.subject) % shards)
}

// edit collects the changes of one batch to one table.
type edit struct {
	table   *table
	changed map[place][]*grant
}

func (t *table) edit() edit { return edit{table: t, changed: map[place][]*grant{}} }

func (e *edit) current(at place) []*grant {
	if gs, ok := e.changed[at]; ok {
		return gs
	}
	return slices.Clip(e.table.get(at)) // what is appended must not show in the published slice
}

func (e *edit) add(at place, g *grant) { e.changed[at] = append(e.current(at), g) }

// remove drops what g's binding granted there.
func (e *edit) remove(at place, g *grant) {
	var kept []*grant
	for _, other := range e.current(at) {
		if other.binding != g.binding {
			kept = append(kept, other)
		}
	}
	e.changed[at] = kept
}

func (e *edit) publish() {
	fresh := map[int]map[place][]*grant{}
	for at, gs := range e.changed {
		i := e.table.shard(at)
		m, ok := fresh[i]
		if !ok {
			m = maps.Clone(*e.table.shards[i].Load())
			fresh[i] = m
		}
		if len(gs) == 0 {
			delete(m, at)
		} else {
			m[at] = gs
		}
	}
	for i, m := range fresh {
		e.table.shards[i].Store(&m)
	}
}
