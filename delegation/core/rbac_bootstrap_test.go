package core_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"

	"github.com/portico-api/portico/delegation/core"
	"github.com/portico-api/portico/delegation/registry"
)

func TestBootstrapRolesAllowWhatTheContractSays(t *testing.T) {
	rig := newRBACRig(t)
	if err := core.BootstrapRBAC(t.Context(), rig.stores); err != nil {
		t.Fatal(err)
	}
	rig.run(t, func(ctx context.Context) error { return core.AggregateClusterRoles(ctx, rig.stores.ClusterRoles) })
	for _, role := range []string{"admin", "edit", "view"} {
		create(t, rig.stores.RoleBindings, "demo", &rbacv1.RoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: role},
			RoleRef:    rbacv1.RoleRef{Kind: "ClusterRole", Name: role},
			Subjects:   []rbacv1.Subject{{Kind: "User", Name: role}},
		})
	}
	path := func(path string) authorizer.AttributesRecord {
		return authorizer.AttributesRecord{Verb: "get", Path: path}
	}
	in := func(namespace, verb, group, resource, sub string) authorizer.AttributesRecord {
		return authorizer.AttributesRecord{Verb: verb, APIGroup: group, Resource: resource, Subresource: sub, Namespace: namespace, ResourceRequest: true}
	}
	anonymous := &user.DefaultInfo{Name: user.Anonymous, Groups: []string{user.AllUnauthenticated}}
	someone := &user.DefaultInfo{Name: "someone", Groups: []string{user.AllAuthenticated}}
	monitor := &user.DefaultInfo{Name: "prometheus", Groups: []string{user.MonitoringGroup}}
	scheduler := &user.DefaultInfo{Name: user.KubeScheduler}
	admin, edit, view := &user.DefaultInfo{Name: "admin"}, &user.DefaultInfo{Name: "edit"}, &user.DefaultInfo{Name: "view"}

	eventually(t, "the rules of admin, edit and view to be put together", func() bool {
		return rig.may(admin, in("demo", "get", "", "configmaps", "")) && rig.may(edit, in("demo", "get", "", "configmaps", "")) &&
			rig.may(view, in("demo", "get", "", "configmaps", "")) && rig.may(admin, in("demo", "create", "", "secrets", ""))
	})
	trust := in("kube-system", "get", "", "configmaps", "")
	trust.Name = "extension-apiserver-authentication"
	other := trust
	other.Name = "other"
	for _, c := range []struct {
		name string
		user user.Info
		ask  authorizer.AttributesRecord
		want bool
	}{
		{"anonymous reads the version", anonymous, path("/version"), true},
		{"anonymous does not discover", anonymous, path("/apis"), false},
		{"everybody known discovers", someone, path("/apis/apps/v1"), true},
		{"everybody known reads OpenAPI", someone, path("/openapi/v3"), true},
		{"everybody known asks what they may do", someone, in("", "create", "authorization.k8s.io", "selfsubjectrulesreviews", ""), true},
		{"everybody known asks who they are", someone, in("", "create", "authentication.k8s.io", "selfsubjectreviews", ""), true},
		{"nobody asks for others by default", someone, in("", "create", "authorization.k8s.io", "subjectaccessreviews", ""), false},
		{"nobody scrapes by default", someone, path("/metrics"), false},
		{"monitoring scrapes", monitor, path("/metrics/slis"), true},
		{"the scheduler reads the trust of extension servers", scheduler, trust, true},
		{"the scheduler reads no other config map there", scheduler, other, false},
		{"view reads", view, in("demo", "list", "", "pods", "log"), true},
		{"view reads no secrets", view, in("demo", "get", "", "secrets", ""), false},
		{"view writes nothing", view, in("demo", "create", "", "configmaps", ""), false},
		{"view is for one namespace", view, in("other", "list", "", "pods", ""), false},
		{"edit reads secrets", edit, in("demo", "get", "", "secrets", ""), true},
		{"edit writes", edit, in("demo", "deletecollection", "apps", "deployments", ""), true},
		{"edit writes no endpoints", edit, in("demo", "update", "", "endpoints", ""), false},
		{"edit changes no roles", edit, in("demo", "update", rbacv1.GroupName, "roles", ""), false},
		{"admin changes roles", admin, in("demo", "update", rbacv1.GroupName, "roles", ""), true},
		{"admin asks for others in the namespace", admin, in("demo", "create", "authorization.k8s.io", "localsubjectaccessreviews", ""), true},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := rig.may(c.user, c.ask); got != c.want {
				t.Errorf("%s, %+v: got %v, want %v", c.user.GetName(), c.ask, got, c.want)
			}
		})
	}
}

func TestBootstrapAddsAndNeverRemoves(t *testing.T) {
	rig := newRBACRig(t)
	extra := policyRule("get", "example.org", "widgets")
	create(t, rig.stores.ClusterRoles, "", &rbacv1.ClusterRole{
		ObjectMeta: metav1.ObjectMeta{Name: "system:basic-user", Labels: map[string]string{"mine": "kept"}},
		Rules:      []rbacv1.PolicyRule{extra},
	})
	create(t, rig.stores.ClusterRoles, "", &rbacv1.ClusterRole{
		ObjectMeta: metav1.ObjectMeta{Name: "system:discovery", Annotations: map[string]string{rbacv1.AutoUpdateAnnotationKey: "false"}},
	})
	create(t, rig.stores.ClusterRoleBindings, "", &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "system:monitoring"},
		RoleRef:    rbacv1.RoleRef{Kind: "ClusterRole", Name: "system:monitoring"},
		Subjects:   []rbacv1.Subject{{Kind: "User", Name: "prometheus"}},
	})
	create(t, rig.stores.ClusterRoleBindings, "", &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "system:discovery"},
		RoleRef:    rbacv1.RoleRef{Kind: "ClusterRole", Name: "something-else"},
	})
	if err := core.BootstrapRBAC(t.Context(), rig.stores); err != nil {
		t.Fatal(err)
	}

	basic := get[*rbacv1.ClusterRole](t, rig.stores.ClusterRoles, "system:basic-user")
	if len(basic.Rules) != 4 || !slices.Equal(basic.Rules[0].Resources, extra.Resources) {
		t.Errorf("system:basic-user: got rules %v, want the stored one and one for each of three resources", basic.Rules)
	}
	if basic.Labels["mine"] != "kept" || basic.Labels["kubernetes.io/bootstrapping"] != "rbac-defaults" || basic.Annotations[rbacv1.AutoUpdateAnnotationKey] != "true" {
		t.Errorf("system:basic-user: got labels %v and annotations %v", basic.Labels, basic.Annotations)
	}
	if r := get[*rbacv1.ClusterRole](t, rig.stores.ClusterRoles, "system:discovery"); len(r.Rules) != 0 {
		t.Errorf("system:discovery opted out: got rules %v, want none", r.Rules)
	}
	if b := get[*rbacv1.ClusterRoleBinding](t, rig.stores.ClusterRoleBindings, "system:monitoring"); len(b.Subjects) != 2 {
		t.Errorf("binding system:monitoring: got subjects %v, want the stored one and one more", b.Subjects)
	}
	if b := get[*rbacv1.ClusterRoleBinding](t, rig.stores.ClusterRoleBindings, "system:discovery"); b.RoleRef.Name != "system:discovery" {
		t.Errorf("binding system:discovery: got role %v, want its own", b.RoleRef)
	}

	if err := core.BootstrapRBAC(t.Context(), rig.stores); err != nil {
		t.Fatal(err)
	}
	if again := get[*rbacv1.ClusterRole](t, rig.stores.ClusterRoles, "system:basic-user"); again.ResourceVersion != basic.ResourceVersion {
		t.Errorf("the second start wrote again: %s, then %s", basic.ResourceVersion, again.ResourceVersion)
	}
}

func TestBootstrapEndsWithTheServer(t *testing.T) {
	rig := newRBACRig(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := core.BootstrapRBAC(ctx, rig.stores); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want the end of the context", err)
	}
}

func TestAggregatedRolesFollowTheirParts(t *testing.T) {
	rig := newRBACRig(t)
	rig.run(t, func(ctx context.Context) error { return core.AggregateClusterRoles(ctx, rig.stores.ClusterRoles) })
	create(t, rig.stores.ClusterRoles, "", &rbacv1.ClusterRole{
		ObjectMeta:      metav1.ObjectMeta{Name: "whole"},
		AggregationRule: &rbacv1.AggregationRule{ClusterRoleSelectors: []metav1.LabelSelector{{MatchLabels: map[string]string{"part-of": "whole"}}}},
	})
	for _, name := range []string{"b", "a"} {
		create(t, rig.stores.ClusterRoles, "", &rbacv1.ClusterRole{
			ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"part-of": "whole"}},
			Rules:      []rbacv1.PolicyRule{policyRule("get", "", name), policyRule("get", "", "shared")},
		})
	}
	resources := func() []string {
		var all []string
		for _, r := range get[*rbacv1.ClusterRole](t, rig.stores.ClusterRoles, "whole").Rules {
			all = append(all, r.Resources...)
		}
		return all
	}
	eventually(t, "the rules of both parts, by name and each once", func() bool { return slices.Equal(resources(), []string{"a", "shared", "b"}) })
	if _, _, err := rig.stores.ClusterRoles.Delete(t.Context(), "", "a", &metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the rules of the part that is left", func() bool { return slices.Equal(resources(), []string{"b", "shared"}) })
}

func get[T runtime.Object](t *testing.T, store *registry.Store, name string) T {
	t.Helper()
	obj, err := registry.GetAs[T](t.Context(), store, "", name)
	if err != nil {
		t.Fatal(err)
	}
	return obj
}
