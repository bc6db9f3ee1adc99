package authorization_test

import (
	"strings"
	"testing"

	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"

	"github.com/portico-api/portico/handler/authorization"
)

func TestModes(t *testing.T) {
	x := authorization.NewRBAC()
	x.SetClusterRole(clusterRole("reader", rule("get", "", "pods")))
	x.SetClusterRoleBinding(clusterRoleBinding("c", "reader", userSubject("alice")))
	const (
		allow = authorizer.DecisionAllow
		none  = authorizer.DecisionNoOpinion
	)
	for _, c := range []struct {
		name    string
		modes   []authorization.Mode
		request string
		want    authorizer.Decision
	}{
		{"RBAC is what there is by default", nil, "alice get pods", allow},
		{"RBAC allows only what is bound", nil, "bob get pods", none},
		{"system:masters may always", []authorization.Mode{authorization.ModeAlwaysDeny}, "root,system:masters delete nodes", allow},
		{"health is always allowed", []authorization.Mode{authorization.ModeAlwaysDeny}, "system:anonymous,system:unauthenticated get /readyz", allow},
		{"what is below health is not", nil, "system:anonymous,system:unauthenticated get /readyz/etcd", none},
		{"a resource of that name is not", nil, "bob get healthz", none},
		{"AlwaysAllow allows", []authorization.Mode{authorization.ModeAlwaysAllow}, "bob delete nodes", allow},
		{"AlwaysDeny leaves the last word to the next mode", []authorization.Mode{authorization.ModeAlwaysDeny, authorization.ModeRBAC}, "alice get pods", allow},
		{"AlwaysDeny refuses what nobody allows", []authorization.Mode{authorization.ModeAlwaysDeny, authorization.ModeRBAC}, "bob get pods", none},
	} {
		t.Run(c.name, func(t *testing.T) {
			z, err := authorization.New(authorization.Config{Modes: c.modes, RBAC: x})
			if err != nil {
				t.Fatal(err)
			}
			if got, reason, err := z.Authorize(t.Context(), want(c.request)); got != c.want || err != nil {
				t.Errorf("%v, %s: got %v, %q, %v, want %v", c.modes, c.request, got, reason, err, c.want)
			}
		})
	}
}

func TestAlwaysAllowPathsMayBePrefixes(t *testing.T) {
	z, err := authorization.New(authorization.Config{AlwaysAllowPaths: []string{"/open/*"}})
	if err != nil {
		t.Fatal(err)
	}
	expect(t, z, "x get /open/door", true)
	expect(t, z, "x get /open", false)
	expect(t, z, "x get /healthz", false)
}

func TestBadConfigurationIsRefused(t *testing.T) {
	for _, c := range []struct {
		name string
		cfg  authorization.Config
		want string
	}{
		{"an unknown mode", authorization.Config{Modes: []authorization.Mode{"Node"}}, `"Node" is none of AlwaysAllow, AlwaysDeny and RBAC`},
		{"a mode twice", authorization.Config{Modes: []authorization.Mode{"RBAC", "RBAC"}}, "RBAC is given twice"},
		{"a star inside a path", authorization.Config{AlwaysAllowPaths: []string{"/a/*/b"}}, `"/a/*/b"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := authorization.New(c.cfg); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

func TestAlwaysAllowListsEverything(t *testing.T) {
	z, err := authorization.New(authorization.Config{Modes: []authorization.Mode{authorization.ModeAlwaysAllow}})
	if err != nil {
		t.Fatal(err)
	}
	resources, paths, incomplete, err := z.RulesFor(t.Context(), &user.DefaultInfo{Name: "x"}, "demo")
	if len(resources) != 1 || len(paths) != 1 || incomplete || err != nil || resources[0].GetVerbs()[0] != "*" || paths[0].GetNonResourceURLs()[0] != "*" {
		t.Errorf("got %v, %v, %v, %v, want one rule of stars each", resources, paths, incomplete, err)
	}
}
