package core_test

import (
	"context"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"

	"github.com/portico-api/portico/handler/rest"
)

func TestNobodyGrantsWhatTheyDoNotHold(t *testing.T) {
	rig := newRBACRig(t)
	bind := func(name, user, roleKind, role string) {
		create(t, rig.stores.ClusterRoleBindings, "", &rbacv1.ClusterRoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: name},
			RoleRef:    rbacv1.RoleRef{Kind: roleKind, Name: role},
			Subjects:   []rbacv1.Subject{{Kind: "User", Name: user}},
		})
	}
	role := func(name string, rules ...rbacv1.PolicyRule) *rbacv1.ClusterRole {
		return &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: name}, Rules: rules}
	}
	binding := func(name, role string) *rbacv1.ClusterRoleBinding {
		return &rbacv1.ClusterRoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: name}, RoleRef: rbacv1.RoleRef{Kind: "ClusterRole", Name: role},
			Subjects: []rbacv1.Subject{{Kind: "User", Name: "friend"}},
		}
	}
	pods, secrets := policyRule("get", "", "pods"), policyRule("get", "", "secrets")
	binder := policyRule("bind", rbacv1.GroupName, "clusterroles")
	binder.ResourceNames = []string{"secret-reader"}
	everything := []rbacv1.PolicyRule{policyRule("*", "*", "*"), {Verbs: []string{"*"}, NonResourceURLs: []string{"*"}}}

	create(t, rig.stores.ClusterRoles, "", role("pod-reader", pods))
	create(t, rig.stores.ClusterRoles, "", role("secret-reader", secrets))
	create(t, rig.stores.ClusterRoles, "", role("escalator", policyRule("escalate", rbacv1.GroupName, "clusterroles")))
	create(t, rig.stores.ClusterRoles, "", role("binder", binder))
	create(t, rig.stores.ClusterRoles, "", role("everything", everything...))
	create(t, rig.stores.ClusterRoles, "", role("kept", secrets))
	bind("b1", "reader", "ClusterRole", "pod-reader")
	bind("b2", "escalator", "ClusterRole", "escalator")
	bind("b3", "binder", "ClusterRole", "binder")
	bind("b4", "chief", "ClusterRole", "everything")
	named := func(name string) user.Info {
		return &user.DefaultInfo{Name: name, Groups: []string{user.AllAuthenticated}}
	}
	reader, escalator, chief := named("reader"), named("escalator"), named("chief")
	eventually(t, "the index to have followed", func() bool {
		return rig.mayGet(reader, "pods") && rig.mayGet(chief, "secrets")
	})

	aggregated := role("aggregated")
	aggregated.AggregationRule = &rbacv1.AggregationRule{ClusterRoleSelectors: []metav1.LabelSelector{{MatchLabels: map[string]string{"a": "b"}}}}
	for _, c := range []struct {
		name     string
		user     user.Info
		resource string
		obj      runtime.Object
		want     string // part of the refusal; "" is no refusal
	}{
		{"a role of rules that the writer holds", reader, "clusterroles", role("r1", pods), ""},
		{"a role of rules that the writer does not hold", reader, "clusterroles", role("r2", pods, secrets),
			"user \"reader\" (groups=[\"system:authenticated\"]) is attempting to grant RBAC permissions not currently held:\n{APIGroups:[\"\"], Resources:[\"secrets\"], Verbs:[\"get\"]}"},
		{"any role for who may escalate", escalator, "clusterroles", role("r3", secrets), ""},
		{"any role for system:masters", &user.DefaultInfo{Name: "root", Groups: []string{user.SystemPrivilegedGroup}}, "clusterroles", role("r4", everything...), ""},
		{"an aggregation rule", reader, "clusterroles", aggregated.DeepCopy(), "must have cluster-admin privileges to use the aggregationRule"},
		{"an aggregation rule for who holds everything", chief, "clusterroles", aggregated.DeepCopy(), ""},
		{"a binding to a role that the writer holds", reader, "clusterrolebindings", binding("w1", "pod-reader"), ""},
		{"a binding to a role that the writer does not hold", reader, "clusterrolebindings", binding("w2", "secret-reader"), "not currently held"},
		{"a binding to a role that the writer may bind", named("binder"), "clusterrolebindings", binding("w3", "secret-reader"), ""},
		{"a binding to a role that the writer may not bind", named("binder"), "clusterrolebindings", binding("w4", "everything"), "not currently held"},
		{"a binding to a role that does not exist", reader, "clusterrolebindings", binding("w5", "absent"), `clusterroles.rbac.authorization.k8s.io "absent" not found`},
		{"nobody known", nil, "clusterroles", role("r5", pods), "Unauthorized"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := rig.guarded[c.resource].Storage.(rest.Creater).Create(as(t, c.user), "", "", c.obj, &metav1.CreateOptions{})
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}

	update := func(u user.Info, name string, change func(r *rbacv1.ClusterRole)) error {
		_, _, err := rig.guarded["clusterroles"].Storage.(rest.Updater).Update(as(t, u), "", name, func(_ context.Context, current runtime.Object) (runtime.Object, error) {
			if current == nil {
				current = role(name)
			}
			change(current.(*rbacv1.ClusterRole))
			return current, nil
		}, &rest.UpdateOptions{})
		return err
	}
	t.Run("an update that adds a rule", func(t *testing.T) {
		err := update(reader, "pod-reader", func(r *rbacv1.ClusterRole) { r.Rules = append(r.Rules, secrets) })
		if !apierrors.IsForbidden(err) {
			t.Errorf("got %v, want 403", err)
		}
	})
	t.Run("an update that creates", func(t *testing.T) {
		err := update(reader, "new", func(r *rbacv1.ClusterRole) { r.Rules = []rbacv1.PolicyRule{secrets} })
		if !apierrors.IsForbidden(err) {
			t.Errorf("got %v, want 403", err)
		}
	})
	t.Run("an update of labels, of a role that the writer does not hold", func(t *testing.T) {
		err := update(reader, "kept", func(r *rbacv1.ClusterRole) {
			r.Labels = map[string]string{"rbac.authorization.k8s.io/aggregate-to-view": "true"}
		})
		if !apierrors.IsForbidden(err) {
			t.Errorf("got %v, want 403", err)
		}
	})
	t.Run("a role that admission adds a rule to", func(t *testing.T) {
		rig.mutate = func(obj runtime.Object) {
			if r, ok := obj.(*rbacv1.ClusterRole); ok {
				r.Rules = append(r.Rules, secrets)
			}
		}
		defer func() { rig.mutate = nil }()
		_, err := rig.guarded["clusterroles"].Storage.(rest.Creater).Create(as(t, reader), "", "", role("mutated", pods), &metav1.CreateOptions{})
		if !apierrors.IsForbidden(err) {
			t.Errorf("created: got %v, want 403", err)
		}
		if err := update(reader, "pod-reader", func(r *rbacv1.ClusterRole) { r.Labels = map[string]string{"a": "b"} }); !apierrors.IsForbidden(err) {
			t.Errorf("updated: got %v, want 403", err)
		}
	})
	t.Run("an update of finalizers, which grants nothing", func(t *testing.T) {
		if err := update(reader, "kept", func(r *rbacv1.ClusterRole) { r.Finalizers = []string{"example.org/keep"} }); err != nil {
			t.Error(err)
		}
	})
}

func (rig *rbacRig) mayGet(u user.Info, resource string) bool {
	return rig.may(u, authorizer.AttributesRecord{Verb: "get", Resource: resource, ResourceRequest: true})
}
