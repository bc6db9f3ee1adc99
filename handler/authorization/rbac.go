package authorization

import (
	"sync"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/equality"
)

// RBAC decides by the roles and bindings it has been told of. A request costs what its user and groups
// are bound to, however many bindings there are for others, and takes no lock.
//
// The objects it is given are kept and must not be changed afterwards.
type RBAC struct {
	users  table
	groups table

	mu       sync.Mutex // serialises writers; readers never take it
	roles    map[roleKey]*roleSlot
	bindings map[bindingKey]*binding
}

// NewRBAC returns an index without roles or bindings: it allows nothing.
func NewRBAC() *RBAC {
	return &RBAC{
		users:    newTable(),
		groups:   newTable(),
		roles:    map[roleKey]*roleSlot{},
		bindings: map[bindingKey]*binding{},
	}
}

// Batch is many changes that become visible together. See RBAC.Update.
type Batch struct {
	rbac   *RBAC
	users  edit
	groups edit
}

// Update calls change and then publishes all it did at once. Ten thousand bindings in one batch cost
// as much as they are many; one by one, each costs a little copying.
func (x *RBAC) Update(change func(b *Batch)) {
	x.mu.Lock()
	defer x.mu.Unlock()
	b := Batch{rbac: x, users: x.users.edit(), groups: x.groups.edit()}
	change(&b)
	b.users.publish()
	b.groups.publish()
}

// SetClusterRole adds or replaces a cluster role.
func (b *Batch) SetClusterRole(r *rbacv1.ClusterRole) {
	b.rbac.setRole(roleKey{name: r.Name}, compile(r.Rules))
}

// DeleteClusterRole forgets a cluster role; what is bound to it grants nothing from now on.
func (b *Batch) DeleteClusterRole(name string) { b.rbac.setRole(roleKey{name: name}, nil) }

// SetRole adds or replaces a role.
func (b *Batch) SetRole(r *rbacv1.Role) {
	b.rbac.setRole(roleKey{namespace: r.Namespace, name: r.Name}, compile(r.Rules))
}

// DeleteRole forgets a role; what is bound to it grants nothing from now on.
func (b *Batch) DeleteRole(namespace, name string) {
	b.rbac.setRole(roleKey{namespace: namespace, name: name}, nil)
}

// SetClusterRoleBinding adds or replaces a binding that holds everywhere.
func (b *Batch) SetClusterRoleBinding(o *rbacv1.ClusterRoleBinding) {
	b.setBinding(bindingKey{name: o.Name}, o.RoleRef, o.Subjects)
}

// DeleteClusterRoleBinding forgets a cluster role binding.
func (b *Batch) DeleteClusterRoleBinding(name string) { b.deleteBinding(bindingKey{name: name}) }

// SetRoleBinding adds or replaces a binding that holds in its namespace.
func (b *Batch) SetRoleBinding(o *rbacv1.RoleBinding) {
	b.setBinding(bindingKey{namespace: o.Namespace, name: o.Name}, o.RoleRef, o.Subjects)
}

// DeleteRoleBinding forgets a role binding.
func (b *Batch) DeleteRoleBinding(namespace, name string) {
	b.deleteBinding(bindingKey{namespace: namespace, name: name})
}

// setBinding changes nothing for a binding whose labels alone have changed.
func (b *Batch) setBinding(key bindingKey, ref rbacv1.RoleRef, subjects []rbacv1.Subject) {
	x := b.rbac
	if old, ok := x.bindings[key]; ok {
		if old.ref == ref && equality.Semantic.DeepEqual(old.subjects, subjects) {
			return
		}
		b.deleteBinding(key)
	}
	role := roleKey{name: ref.Name}
	if ref.Kind == "Role" {
		role.namespace = key.namespace
	}
	bound := &binding{key: key, ref: ref, subjects: subjects, role: x.slot(role)}
	bound.role.bindings++
	x.bindings[key] = bound
	for i := range subjects {
		b.subject(bound, i, (*edit).add)
	}
}

func (b *Batch) deleteBinding(key bindingKey) {
	x := b.rbac
	old, ok := x.bindings[key]
	if !ok {
		return
	}
	delete(x.bindings, key)
	for i := range old.subjects {
		b.subject(old, i, (*edit).remove)
	}
	old.role.bindings--
	x.release(old.role)
}

// subject applies change to the place where requests of the i-th subject of a binding look.
func (b *Batch) subject(bound *binding, i int, change func(*edit, place, *grant)) {
	s := &bound.subjects[i]
	at := place{namespace: bound.key.namespace, subject: s.Name}
	g := &grant{binding: bound, subject: s}
	switch s.Kind {
	case rbacv1.UserKind:
		change(&b.users, at, g)
	case rbacv1.GroupKind:
		change(&b.groups, at, g)
	case rbacv1.ServiceAccountKind:
		namespace := s.Namespace
		if namespace == "" {
			namespace = bound.key.namespace // a role binding may leave out its own
		}
		if namespace == "" {
			return
		}
		at.subject = "system:serviceaccount:" + namespace + ":" + s.Name
		change(&b.users, at, g)
	}
}

func (x *RBAC) setRole(key roleKey, rules *ruleSet) {
	s := x.slot(key)
	s.rules.Store(rules)
	x.release(s)
}

func (x *RBAC) slot(key roleKey) *roleSlot {
	s, ok := x.roles[key]
	if !ok {
		s = &roleSlot{key: key}
		x.roles[key] = s
	}
	return s
}

// release drops a slot that neither holds a role nor is bound.
func (x *RBAC) release(s *roleSlot) {
	if s.bindings == 0 && s.rules.Load() == nil {
		delete(x.roles, s.key)
	}
}

// SetClusterRole is Update with this one change.
func (x *RBAC) SetClusterRole(r *rbacv1.ClusterRole) {
	x.Update(func(b *Batch) { b.SetClusterRole(r) })
}

// DeleteClusterRole is Update with this one change.
func (x *RBAC) DeleteClusterRole(name string) {
	x.Update(func(b *Batch) { b.DeleteClusterRole(name) })
}

// SetRole is Update with this one change.
func (x *RBAC) SetRole(r *rbacv1.Role) {
	x.Update(func(b *Batch) { b.SetRole(r) })
}

// DeleteRole is Update with this one change.
func (x *RBAC) DeleteRole(namespace, name string) {
	x.Update(func(b *Batch) { b.DeleteRole(namespace, name) })
}

// SetClusterRoleBinding is Update with this one change.
func (x *RBAC) SetClusterRoleBinding(o *rbacv1.ClusterRoleBinding) {
	x.Update(func(b *Batch) { b.SetClusterRoleBinding(o) })
}

// DeleteClusterRoleBinding is Update with this one change.
func (x *RBAC) DeleteClusterRoleBinding(name string) {
	x.Update(func(b *Batch) { b.DeleteClusterRoleBinding(name) })
}

// SetRoleBinding is Update with this one change.
func (x *RBAC) SetRoleBinding(o *rbacv1.RoleBinding) {
	x.Update(func(b *Batch) { b.SetRoleBinding(o) })
}

// DeleteRoleBinding is Update with this one change.
func (x *RBAC) DeleteRoleBinding(namespace, name string) {
	x.Update(func(b *Batch) { b.DeleteRoleBinding(namespace, name) })
}
