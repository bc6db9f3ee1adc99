package authorization_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"

	"github.com/portico-api/portico/handler/authorization"
)

// want reads "user[,group…] verb what [namespace [name]]", where what is /path or resource[.group][/subresource].
func want(text string) authorizer.AttributesRecord {
	words := strings.Fields(text)
	who := strings.Split(words[0], ",")
	a := authorizer.AttributesRecord{User: &user.DefaultInfo{Name: who[0], Groups: who[1:]}, Verb: words[1]}
	if strings.HasPrefix(words[2], "/") {
		a.Path = words[2]
		return a
	}
	a.ResourceRequest = true
	what, sub, _ := strings.Cut(words[2], "/")
	a.Resource, a.APIGroup, _ = strings.Cut(what, ".")
	a.Subresource = sub
	if len(words) > 3 {
		a.Namespace = words[3]
	}
	if len(words) > 4 {
		a.Name = words[4]
	}
	return a
}

func clusterRole(name string, rules ...rbacv1.PolicyRule) *rbacv1.ClusterRole {
	return &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: name}, Rules: rules}
}

func role(namespace, name string, rules ...rbacv1.PolicyRule) *rbacv1.Role {
	return &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, Rules: rules}
}

func pathRule(paths ...string) rbacv1.PolicyRule {
	return rbacv1.PolicyRule{Verbs: []string{"get"}, NonResourceURLs: paths}
}

func TestRulesMatch(t *testing.T) {
	x := authorization.NewRBAC()
	for name, rules := range map[string][]rbacv1.PolicyRule{
		"plain":  {rule("get,list", "", "pods")},
		"sub":    {rule("get", "apps", "deployments/scale")},
		"anysub": {rule("update", "*", "*/status")},
		"all":    {rule("*", "*", "*")},
		"named":  {rule("get,create,list,deletecollection", "", "configmaps", "one", "two")},
		"odd":    {rule("impersonate,use", "", "users")},
		"exact":  {pathRule("/metrics")},
		"prefix": {pathRule("/api/*", "/open*")},
		"paths":  {pathRule("*")},
		"star":   {rule("get", "", "pods/*")},
	} {
		x.SetClusterRole(clusterRole(name, rules...))
		x.SetClusterRoleBinding(clusterRoleBinding(name, name, userSubject(name)))
	}
	for _, c := range []struct {
		name    string
		request string
		allowed bool
	}{
		{"a verb and a resource of the rule", "plain list pods demo", true},
		{"another verb", "plain delete pods demo", false},
		{"another group", "plain get pods.metrics.k8s.io demo", false},
		{"a resource does not cover its subresources", "plain get pods/log demo", false},
		{"a resource rule does not cover a path", "plain get /pods", false},
		{"a subresource", "sub get deployments.apps/scale demo", true},
		{"a subresource does not cover its resource", "sub get deployments.apps demo", false},
		{"a subresource of any resource", "anysub update things.example.org/status demo", true},
		{"another subresource of any resource", "anysub update things.example.org/scale demo", false},
		{"no subresource of any resource", "anysub update things.example.org demo", false},
		{"a star covers resources", "all deletecollection things.example.org demo", true},
		{"a star covers subresources", "all connect pods/exec demo", true},
		{"a star of resources does not cover paths", "all get /metrics", false},
		{"res/* is not special", "star get pods/log demo", false},
		{"a name of the rule", "named get configmaps demo two", true},
		{"another name", "named get configmaps demo three", false},
		{"a create has no name to match", "named create configmaps demo", false},
		{"a list without a name does not match", "named list configmaps demo", false},
		{"a list by metadata.name does", "named list configmaps demo one", true},
		{"a deletecollection never matches a name", "named deletecollection configmaps demo", false},
		{"an unusual verb", "odd impersonate users", true},
		{"another unusual verb", "odd bind users", false},
		{"a path", "exact get /metrics", true},
		{"another method", "exact post /metrics", false},
		{"a path below it", "exact get /metrics/slis", false},
		{"a path with a prefix", "prefix get /api/v1", true},
		{"the prefix without its slash", "prefix get /api", false},
		{"a prefix inside a segment", "prefix get /openapi", true},
		{"every path", "paths get /anything", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			expect(t, x, c.request, c.allowed)
		})
	}
}

func expect(t *testing.T, x authorizer.Authorizer, request string, allowed bool) {
	t.Helper()
	decision, reason, err := x.Authorize(t.Context(), want(request))
	expected := authorizer.DecisionNoOpinion
	if allowed {
		expected = authorizer.DecisionAllow
	}
	if decision != expected || err != nil {
		t.Errorf("%s: got %v, %q, %v, want %v", request, decision, reason, err, expected)
	}
}

func TestSubjectsAndScopes(t *testing.T) {
	x := authorization.NewRBAC()
	pods := rule("get", "", "pods")
	x.SetClusterRole(clusterRole("reader", pods, pathRule("/metrics")))
	x.SetRole(role("demo", "reader", rule("get", "", "secrets")))
	x.SetClusterRoleBinding(clusterRoleBinding("c", "reader", group("everywhere"), serviceAccount("demo", "robot"), serviceAccount("", "lost")))
	x.SetRoleBinding(roleBinding("demo", "a", "ClusterRole", "reader", group("here"), serviceAccount("", "own")))
	x.SetRoleBinding(roleBinding("demo", "b", "Role", "reader", userSubject("alice")))
	x.SetRoleBinding(roleBinding("other", "b", "Role", "reader", userSubject("bob")))
	for _, c := range []struct {
		name    string
		request string
		allowed bool
	}{
		{"a group everywhere, in a namespace", "x,everywhere get pods demo", true},
		{"a group everywhere, at the cluster scope", "x,everywhere get pods", true},
		{"a group is no user", "everywhere get pods demo", false},
		{"a cluster role bound in a namespace", "x,other,here get pods demo", true},
		{"it does not hold elsewhere", "x,here get pods other", false},
		{"it does not hold at the cluster scope", "x,here get pods", false},
		{"paths are for cluster role bindings", "x,here get /metrics", false},
		{"paths of a cluster role binding", "x,everywhere get /metrics", true},
		{"a role of the namespace", "alice get secrets demo", true},
		{"a role of the same name elsewhere does not exist", "bob get secrets other", false},
		{"a service account by its namespace and name", "system:serviceaccount:demo:robot get pods other", true},
		{"the same name in another namespace", "system:serviceaccount:other:robot get pods other", false},
		{"a service account of the binding's namespace", "system:serviceaccount:demo:own get pods demo", true},
		{"a service account of no namespace is nobody", "system:serviceaccount::lost get pods demo", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			expect(t, x, c.request, c.allowed)
		})
	}
}

func TestChangesTakeEffectAtOnce(t *testing.T) {
	x := authorization.NewRBAC()
	request := "alice get pods demo"
	steps := []struct {
		name    string
		change  func()
		allowed bool
	}{
		{"a binding alone", func() { x.SetRoleBinding(roleBinding("demo", "b", "Role", "r", userSubject("alice"))) }, false},
		{"the role comes after it", func() { x.SetRole(role("demo", "r", rule("get", "", "pods"))) }, true},
		{"the role loses the rule", func() { x.SetRole(role("demo", "r", rule("list", "", "pods"))) }, false},
		{"the role gets it back", func() { x.SetRole(role("demo", "r", rule("get", "", "pods"))) }, true},
		{"the subject leaves", func() { x.SetRoleBinding(roleBinding("demo", "b", "Role", "r", userSubject("bob"))) }, false},
		{"the subject returns", func() {
			x.SetRoleBinding(roleBinding("demo", "b", "Role", "r", userSubject("bob"), userSubject("alice"), userSubject("alice")))
		}, true},
		{"a second binding", func() { x.SetRoleBinding(roleBinding("demo", "b2", "Role", "r", userSubject("alice"))) }, true},
		{"the first goes", func() { x.DeleteRoleBinding("demo", "b") }, true},
		{"the second goes", func() { x.DeleteRoleBinding("demo", "b2") }, false},
		{"a binding everywhere", func() { x.SetClusterRoleBinding(clusterRoleBinding("c", "cr", userSubject("alice"))) }, false},
		{"its role", func() { x.SetClusterRole(clusterRole("cr", rule("*", "*", "*"))) }, true},
		{"its role goes", func() { x.DeleteClusterRole("cr") }, false},
		{"its role returns", func() { x.SetClusterRole(clusterRole("cr", rule("*", "*", "*"))) }, true},
		{"it goes", func() { x.DeleteClusterRoleBinding("c") }, false},
		{"what is not there may go", func() { x.DeleteRole("demo", "absent"); x.DeleteRoleBinding("demo", "absent") }, false},
		{"one batch that adds, takes and adds", func() {
			x.Update(func(b *authorization.Batch) {
				b.SetClusterRoleBinding(clusterRoleBinding("c", "cr", userSubject("alice")))
				b.DeleteClusterRoleBinding("c")
				b.SetClusterRoleBinding(clusterRoleBinding("c", "cr", userSubject("alice")))
			})
		}, true},
	}
	for _, step := range steps {
		step.change()
		t.Run(step.name, func(t *testing.T) { expect(t, x, request, step.allowed) })
	}
}

func TestReasons(t *testing.T) {
	x := authorization.NewRBAC()
	x.SetClusterRole(clusterRole("reader", rule("get", "", "pods")))
	x.SetClusterRoleBinding(clusterRoleBinding("c", "reader", group("dev")))
	x.SetClusterRoleBinding(clusterRoleBinding("d", "absent", userSubject("alice")))
	x.SetRoleBinding(roleBinding("demo", "e", "Role", "gone", userSubject("alice"), serviceAccount("demo", "robot")))
	x.SetRole(role("demo", "reader", rule("get", "", "pods")))
	x.SetRoleBinding(roleBinding("demo", "f", "Role", "reader", serviceAccount("demo", "robot")))
	for _, c := range []struct{ name, request, want string }{
		{"an allowed request tells by what", "x,dev get pods", `RBAC: allowed by ClusterRoleBinding "c" of ClusterRole "reader" to Group "dev"`},
		{"and in which namespace", "system:serviceaccount:demo:robot get pods demo", `RBAC: allowed by RoleBinding "f/demo" of Role "reader" to ServiceAccount "robot/demo"`},
		{"a refused request tells of a missing role", "alice get pods", `RBAC: clusterrole.rbac.authorization.k8s.io "absent" not found`},
		{"and of all of them", "alice get pods demo", `RBAC: [clusterrole.rbac.authorization.k8s.io "absent" not found, role.rbac.authorization.k8s.io "gone" not found]`},
		{"and of no other's", "bob get pods demo", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, got, err := x.Authorize(t.Context(), want(c.request)); got != c.want || err != nil {
				t.Errorf("%s: got %q, %v, want %q", c.request, got, err, c.want)
			}
		})
	}
}

func TestRulesForListsWhatHoldsThere(t *testing.T) {
	x := authorization.NewRBAC()
	x.SetClusterRole(clusterRole("reader", rule("get", "", "pods"), pathRule("/metrics")))
	x.SetClusterRole(clusterRole("local", rule("list", "", "secrets"), pathRule("/hidden")))
	x.SetClusterRoleBinding(clusterRoleBinding("c", "reader", group("dev")))
	x.SetRoleBinding(roleBinding("demo", "r", "ClusterRole", "local", userSubject("alice")))
	u := &user.DefaultInfo{Name: "alice", Groups: []string{"dev"}}
	for _, c := range []struct{ namespace, resources, paths string }{
		{"demo", "pods secrets", "/metrics"},
		{"other", "pods", "/metrics"},
	} {
		resources, paths, incomplete, err := x.RulesFor(t.Context(), u, c.namespace)
		var gotResources, gotPaths []string
		for _, r := range resources {
			gotResources = append(gotResources, r.GetResources()...)
		}
		for _, r := range paths {
			gotPaths = append(gotPaths, r.GetNonResourceURLs()...)
		}
		if got := strings.Join(gotResources, " "); got != c.resources || strings.Join(gotPaths, " ") != c.paths || incomplete || err != nil {
			t.Errorf("namespace %s: got %q, %q, %v, %v, want %q, %q", c.namespace, got, gotPaths, incomplete, err, c.resources, c.paths)
		}
	}
}

func TestAuthorizeAllocatesNothing(t *testing.T) {
	z := withBindings(t, 100)
	for _, request := range []string{"user-7,team,system:authenticated get pods ns-7", "user-7,system:authenticated delete nodes ns-7", "user-7,system:authenticated get /api/v1"} {
		var a authorizer.Attributes = ptr(want(request))
		ctx := t.Context()
		if allocs := testing.AllocsPerRun(100, func() { _, _, _ = z.Authorize(ctx, a) }); allocs != 0 {
			t.Errorf("%s: got %v allocations, want none", request, allocs)
		}
	}
}

func ptr[T any](v T) *T { return &v }

// TestReadersSeeWholeBindings runs readers against a writer: a user that is bound throughout is allowed throughout.
func TestReadersSeeWholeBindings(t *testing.T) {
	x := authorization.NewRBAC()
	x.SetClusterRole(clusterRole("reader", rule("get", "", "pods")))
	x.SetClusterRoleBinding(clusterRoleBinding("fixed", "reader", userSubject("alice")))
	stop := make(chan struct{})
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			a := want("alice get pods demo")
			for {
				select {
				case <-stop:
					return
				default:
				}
				if decision, _, _ := x.Authorize(t.Context(), a); decision != authorizer.DecisionAllow {
					t.Error("a bound user was refused while others were bound")
					return
				}
			}
		})
	}
	for i := range 2000 {
		name := fmt.Sprintf("b-%d", i%50)
		x.SetRoleBinding(roleBinding("demo", name, "ClusterRole", "reader", userSubject("alice"), userSubject(name)))
		if i%3 == 0 {
			x.DeleteRoleBinding("demo", name)
		}
	}
	close(stop)
	readers.Wait()
}
