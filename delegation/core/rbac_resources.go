package core

import (
	"strings"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/validation/path"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/portico-api/portico/delegation/registry"
	"github.com/portico-api/portico/delegation/registry/declare"
)

// RBACResources declares roles, rolebindings, clusterroles and clusterrolebindings, in this order. An
// RBACGuard is part of their admission.
func RBACResources() []registry.Resource {
	return []registry.Resource{roles(), roleBindings(), clusterRoles(), clusterRoleBindings()}
}

func roles() registry.Resource {
	return registry.Resource{
		GroupVersion: rbacv1.SchemeGroupVersion,
		Kind:         "Role",
		Name:         "roles",
		SingularName: "role",
		Namespaced:   true,
		New:          func() runtime.Object { return &rbacv1.Role{} },
		NewList:      func() runtime.Object { return &rbacv1.RoleList{} },
		Strategy:     rbacStrategy(declare.Rules[*rbacv1.Role]{Validate: validateRole}),
	}
}

func clusterRoles() registry.Resource {
	return registry.Resource{
		GroupVersion: rbacv1.SchemeGroupVersion,
		Kind:         "ClusterRole",
		Name:         "clusterroles",
		SingularName: "clusterrole",
		New:          func() runtime.Object { return &rbacv1.ClusterRole{} },
		NewList:      func() runtime.Object { return &rbacv1.ClusterRoleList{} },
		Strategy:     rbacStrategy(declare.Rules[*rbacv1.ClusterRole]{Validate: validateClusterRole}),
	}
}

func roleBindings() registry.Resource {
	return registry.Resource{
		GroupVersion: rbacv1.SchemeGroupVersion,
		Kind:         "RoleBinding",
		Name:         "rolebindings",
		SingularName: "rolebinding",
		Namespaced:   true,
		New:          func() runtime.Object { return &rbacv1.RoleBinding{} },
		NewList:      func() runtime.Object { return &rbacv1.RoleBindingList{} },
		Strategy: rbacStrategy(declare.Rules[*rbacv1.RoleBinding]{
			SetDefaults:    func(b *rbacv1.RoleBinding) { defaultBinding(&b.RoleRef, b.Subjects) },
			Validate:       validateRoleBinding,
			ValidateUpdate: func(b, old *rbacv1.RoleBinding) field.ErrorList { return validateRoleRefKept(b.RoleRef, old.RoleRef) },
		}),
		Table: declare.Table(func(b *rbacv1.RoleBinding) []any {
			return bindingCells(&b.ObjectMeta, b.RoleRef, b.Subjects)
		}, bindingColumns(rbacv1.RoleBinding{}.SwaggerDoc())...),
	}
}

func clusterRoleBindings() registry.Resource {
	return registry.Resource{
		GroupVersion: rbacv1.SchemeGroupVersion,
		Kind:         "ClusterRoleBinding",
		Name:         "clusterrolebindings",
		SingularName: "clusterrolebinding",
		New:          func() runtime.Object { return &rbacv1.ClusterRoleBinding{} },
		NewList:      func() runtime.Object { return &rbacv1.ClusterRoleBindingList{} },
		Strategy: rbacStrategy(declare.Rules[*rbacv1.ClusterRoleBinding]{
			SetDefaults: func(b *rbacv1.ClusterRoleBinding) { defaultBinding(&b.RoleRef, b.Subjects) },
			Validate:    validateClusterRoleBinding,
			ValidateUpdate: func(b, old *rbacv1.ClusterRoleBinding) field.ErrorList {
				return validateRoleRefKept(b.RoleRef, old.RoleRef)
			},
		}),
		Table: declare.Table(func(b *rbacv1.ClusterRoleBinding) []any {
			return bindingCells(&b.ObjectMeta, b.RoleRef, b.Subjects)
		}, bindingColumns(rbacv1.ClusterRoleBinding{}.SwaggerDoc())...),
	}
}

// rbacStrategy adds what the four kinds have in common. Their names may be any path segment:
// "system:discovery" is one.
func rbacStrategy[T runtime.Object](r declare.Rules[T]) registry.Strategy {
	s := r.Strategy()
	s.AllowCreateOnUpdate = true
	s.AllowUnconditionalUpdate = true
	s.ValidateName = path.ValidatePathSegmentName
	return s
}

// defaultBinding fills in the only group that roles, users and groups can have.
func defaultBinding(ref *rbacv1.RoleRef, subjects []rbacv1.Subject) {
	if ref.APIGroup == "" {
		ref.APIGroup = rbacv1.GroupName
	}
	for i := range subjects {
		s := &subjects[i]
		if s.APIGroup == "" && (s.Kind == rbacv1.UserKind || s.Kind == rbacv1.GroupKind) {
			s.APIGroup = rbacv1.GroupName
		}
	}
}

func bindingColumns(doc map[string]string) []metav1.TableColumnDefinition {
	return []metav1.TableColumnDefinition{
		declare.NameColumn(),
		declare.Column("Role", doc["roleRef"]),
		declare.AgeColumn(),
		declare.Wide(declare.Column("Users", "Users in the binding's subjects.")),
		declare.Wide(declare.Column("Groups", "Groups in the binding's subjects.")),
		declare.Wide(declare.Column("ServiceAccounts", "Service accounts in the binding's subjects, as namespace/name.")),
	}
}

func bindingCells(meta *metav1.ObjectMeta, ref rbacv1.RoleRef, subjects []rbacv1.Subject) []any {
	var users, groups, accounts []string
	for _, s := range subjects {
		switch s.Kind {
		case rbacv1.UserKind:
			users = append(users, s.Name)
		case rbacv1.GroupKind:
			groups = append(groups, s.Name)
		case rbacv1.ServiceAccountKind:
			accounts = append(accounts, s.Namespace+"/"+s.Name)
		}
	}
	return []any{
		meta.Name, ref.Kind + "/" + ref.Name, declare.Age(meta),
		strings.Join(users, ", "), strings.Join(groups, ", "), strings.Join(accounts, ", "),
	}
}
