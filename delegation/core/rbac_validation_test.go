package core_test

import (
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/portico-api/portico/delegation/core"
	"github.com/portico-api/portico/delegation/registry"
)

func rbacResource(t *testing.T, name string) registry.Resource {
	t.Helper()
	for _, r := range core.RBACResources() {
		if r.Name == name {
			return r
		}
	}
	t.Fatalf("no resource %q", name)
	return registry.Resource{}
}

func TestRBACObjectsAreValid(t *testing.T) {
	role := func(rules ...rbacv1.PolicyRule) runtime.Object { return &rbacv1.Role{Rules: rules} }
	cluster := func(rules ...rbacv1.PolicyRule) runtime.Object { return &rbacv1.ClusterRole{Rules: rules} }
	ref := rbacv1.RoleRef{Kind: "ClusterRole", Name: "view"}
	binding := func(ref rbacv1.RoleRef, subjects ...rbacv1.Subject) runtime.Object {
		return &rbacv1.RoleBinding{RoleRef: ref, Subjects: subjects}
	}
	clusterBinding := func(ref rbacv1.RoleRef, subjects ...rbacv1.Subject) runtime.Object {
		return &rbacv1.ClusterRoleBinding{RoleRef: ref, Subjects: subjects}
	}
	paths := rbacv1.PolicyRule{Verbs: []string{"get"}, NonResourceURLs: []string{"/metrics"}}
	both := policyRule("get", "", "pods")
	both.NonResourceURLs = paths.NonResourceURLs

	for _, c := range []struct {
		name     string
		resource string
		obj      runtime.Object
		want     string // the errors, in order, separated by " | "
	}{
		{"a role with a rule", "roles", role(policyRule("get", "", "pods")), ""},
		{"a role without rules", "roles", role(), ""},
		{"a rule without verbs", "roles", role(rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"pods"}}),
			"rules[0].verbs: Required value: verbs must contain at least one value"},
		{"a rule without groups and resources", "clusterroles", cluster(rbacv1.PolicyRule{Verbs: []string{"get"}}),
			"rules[0].apiGroups: Required value: resource rules must supply at least one api group | rules[0].resources: Required value: resource rules must supply at least one resource"},
		{"a path in a cluster role", "clusterroles", cluster(paths), ""},
		{"a path in a role", "roles", role(paths), `rules[0].nonResourceURLs: Invalid value: ["/metrics"]: namespaced rules cannot apply to non-resource URLs`},
		{"a path and resources in one rule", "clusterroles", cluster(both), `rules[0].nonResourceURLs: Invalid value: ["/metrics"]: rules cannot apply to both regular resources and non-resource URLs`},
		{"an aggregation rule that selects nothing", "clusterroles", &rbacv1.ClusterRole{AggregationRule: &rbacv1.AggregationRule{}},
			"aggregationRule.clusterRoleSelectors: Required value: at least one clusterRoleSelector required if aggregationRule is non-nil"},
		{"an aggregation rule with a bad selector", "clusterroles", &rbacv1.ClusterRole{AggregationRule: &rbacv1.AggregationRule{
			ClusterRoleSelectors: []metav1.LabelSelector{{MatchLabels: map[string]string{"-": "x"}}}}}, "aggregationRule.clusterRoleSelectors[0].matchLabels: Invalid value"},

		{"a binding of each kind of subject", "rolebindings", binding(ref, rbacv1.Subject{Kind: "User", Name: "alice"}, rbacv1.Subject{Kind: "Group", Name: "dev"}, rbacv1.Subject{Kind: "ServiceAccount", Name: "robot", Namespace: "demo"}), ""},
		{"a service account of the binding's own namespace", "rolebindings", binding(ref, rbacv1.Subject{Kind: "ServiceAccount", Name: "robot"}), ""},
		{"a service account without namespace, everywhere", "clusterrolebindings", clusterBinding(ref, rbacv1.Subject{Kind: "ServiceAccount", Name: "robot"}), "subjects[0].namespace: Required value"},
		{"a service account in the group of users", "rolebindings", binding(ref, rbacv1.Subject{Kind: "ServiceAccount", APIGroup: rbacv1.GroupName, Name: "robot"}), `subjects[0].apiGroup: Unsupported value: "rbac.authorization.k8s.io"`},
		{"a service account's name", "rolebindings", binding(ref, rbacv1.Subject{Kind: "ServiceAccount", Name: "No Name"}), `subjects[0].name: Invalid value: "No Name"`},
		{"a subject without name", "rolebindings", binding(ref, rbacv1.Subject{Kind: "User"}), "subjects[0].name: Required value"},
		{"an unknown kind of subject", "rolebindings", binding(ref, rbacv1.Subject{Kind: "Robot", Name: "r"}), `subjects[0].kind: Unsupported value: "Robot"`},
		{"a binding without role", "rolebindings", binding(rbacv1.RoleRef{}), `roleRef.kind: Unsupported value: "" | roleRef.name: Required value`},
		{"a binding to another group", "rolebindings", binding(rbacv1.RoleRef{APIGroup: "example.org", Kind: "Role", Name: "r"}), `roleRef.apiGroup: Unsupported value: "example.org"`},
		{"a cluster role binding to a role", "clusterrolebindings", clusterBinding(rbacv1.RoleRef{Kind: "Role", Name: "r"}), `roleRef.kind: Unsupported value: "Role"`},
		{"a role's name with a slash", "rolebindings", binding(rbacv1.RoleRef{Kind: "Role", Name: "a/b"}), `roleRef.name: Invalid value: "a/b"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			strategy := rbacResource(t, c.resource).Strategy
			if strategy.Default != nil {
				strategy.Default(c.obj)
			}
			var got []string
			for _, err := range strategy.Validate(t.Context(), c.obj) {
				got = append(got, err.Error())
			}
			var want []string
			if c.want != "" {
				want = strings.Split(c.want, " | ")
			}
			if len(got) != len(want) {
				t.Fatalf("got %q, want %q", got, want)
			}
			for i := range want {
				if !strings.HasPrefix(got[i], want[i]) {
					t.Errorf("got %q, want %q", got[i], want[i])
				}
			}
		})
	}
}

func TestRoleRefIsKept(t *testing.T) {
	old := &rbacv1.ClusterRoleBinding{RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "view"}}
	changed := old.DeepCopy()
	changed.RoleRef.Name = "cluster-admin"
	errs := rbacResource(t, "clusterrolebindings").Strategy.ValidateUpdate(t.Context(), changed, old)
	if len(errs) != 1 || !strings.HasPrefix(errs[0].Error(), "roleRef: Invalid value") || !strings.HasSuffix(errs[0].Error(), "cannot change roleRef") {
		t.Errorf("got %v, want one: cannot change roleRef", errs)
	}
}

func TestBindingsShowWhoHasWhichRole(t *testing.T) {
	table := rbacResource(t, "rolebindings").Table
	cells := table.Cells(&rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "b"},
		RoleRef:    rbacv1.RoleRef{Kind: "Role", Name: "r"},
		Subjects: []rbacv1.Subject{
			{Kind: "User", Name: "alice"}, {Kind: "User", Name: "bob"}, {Kind: "Group", Name: "dev"}, {Kind: "ServiceAccount", Namespace: "demo", Name: "robot"},
		},
	})
	want := map[string]any{"Name": "b", "Role": "Role/r", "Age": "<unknown>", "Users": "alice, bob", "Groups": "dev", "ServiceAccounts": "demo/robot"}
	if len(table.Columns) != len(want) || len(cells) != len(want) {
		t.Fatalf("got %d columns and %d cells, want %d", len(table.Columns), len(cells), len(want))
	}
	for i, column := range table.Columns {
		if cells[i] != want[column.Name] {
			t.Errorf("%s: got %v, want %v", column.Name, cells[i], want[column.Name])
		}
	}
}
