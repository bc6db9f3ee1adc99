package filters_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"k8s.io/apiserver/pkg/authorization/authorizer"

	"github.com/portico-api/portico/handler"
)

func TestImpersonation(t *testing.T) {
	for name, test := range map[string]struct {
		header []string
		checks []string // what is asked of the authorizer, sorted
		user   string
		groups []string
		extra  string
	}{
		"a user": {
			[]string{"Impersonate-User", "jane"},
			[]string{"/users/ /jane"}, "jane", []string{"system:authenticated"}, "map[]",
		},
		"a user in groups": {
			[]string{"Impersonate-User", "jane", "Impersonate-Group", "a", "Impersonate-Group", "b"},
			[]string{"/groups/ /a", "/groups/ /b", "/users/ /jane"}, "jane", []string{"a", "b", "system:authenticated"}, "map[]",
		},
		"a user that is given the group of all": {
			[]string{"Impersonate-User", "jane", "Impersonate-Group", "system:unauthenticated"},
			[]string{"/groups/ /system:unauthenticated", "/users/ /jane"}, "jane", []string{"system:unauthenticated"}, "map[]",
		},
		"a service account": {
			[]string{"Impersonate-User", "system:serviceaccount:ns:robot"},
			[]string{"/serviceaccounts/ ns/robot"}, "system:serviceaccount:ns:robot",
			[]string{"system:serviceaccounts", "system:serviceaccounts:ns", "system:authenticated"}, "map[]",
		},
		"a service account in other groups": {
			[]string{"Impersonate-User", "system:serviceaccount:ns:robot", "Impersonate-Group", "a"},
			[]string{"/groups/ /a", "/serviceaccounts/ ns/robot"}, "system:serviceaccount:ns:robot", []string{"a", "system:authenticated"}, "map[]",
		},
		"nobody": {
			[]string{"Impersonate-User", "system:anonymous"},
			[]string{"/users/ /system:anonymous"}, "system:anonymous", []string{"system:unauthenticated"}, "map[]",
		},
		"a user with UID and extra fields": {
			[]string{"Impersonate-User", "jane", "Impersonate-Uid", "7", "Impersonate-Extra-Acme.com%2fscopes", "x", "Impersonate-Extra-Acme.com%2fscopes", "y"},
			[]string{"/users/ /jane", "authentication.k8s.io/uids/ /7", "authentication.k8s.io/userextras/acme.com/scopes /x", "authentication.k8s.io/userextras/acme.com/scopes /y"},
			"jane", []string{"system:authenticated"}, "map[acme.com/scopes:[x y]]",
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := config()
			var checks []string
			var last authorizer.Attributes
			c.Authorizer = authorizer.AuthorizerFunc(func(_ context.Context, a authorizer.Attributes) (authorizer.Decision, string, error) {
				if last = a; a.GetVerb() == "impersonate" {
					checks = append(checks, fmt.Sprintf("%s/%s/%s %s/%s", a.GetAPIGroup(), a.GetResource(), a.GetSubresource(), a.GetNamespace(), a.GetName()))
					if a.GetUser() != someone {
						t.Errorf("the authorizer is asked about %v, want the real user", a.GetUser())
					}
				}
				return authorizer.DecisionAllow, "", nil
			})
			var got *handler.Request
			var header http.Header
			ask(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				got, _ = handler.RequestFrom(r.Context())
				header = r.Header
			}), c, "GET", "/api/v1/nodes", test.header...)
			if got == nil {
				t.Fatal("the request was refused")
			}
			if slices.Sort(checks); !slices.Equal(checks, test.checks) {
				t.Errorf("the authorizer is asked\n%q, want\n%q", checks, test.checks)
			}
			u := got.User
			if u.GetName() != test.user || !slices.Equal(u.GetGroups(), test.groups) || fmt.Sprint(u.GetExtra()) != test.extra {
				t.Errorf("the director sees %v %q %v, want %v %q %v", u.GetName(), u.GetGroups(), u.GetExtra(), test.user, test.groups, test.extra)
			}
			if got.Impersonator != someone || last.GetUser() != u || len(header) != 0 {
				t.Errorf("impersonator is %v, authorized is %v, headers are %v", got.Impersonator, last.GetUser(), header)
			}
		})
	}
}

func TestImpersonationIsRefused(t *testing.T) {
	c := config()
	c.Authorizer = authorizer.AuthorizerFunc(func(_ context.Context, a authorizer.Attributes) (authorizer.Decision, string, error) {
		if a.GetResource() == "groups" {
			return authorizer.DecisionNoOpinion, "", nil
		}
		return authorizer.DecisionAllow, "", nil
	})
	for name, test := range map[string]struct {
		header []string
		code   int
		text   string
	}{
		"without a user":         {[]string{"Impersonate-Group", "a"}, 400, "without impersonating a user"},
		"with only extra fields": {[]string{"Impersonate-Extra-X", "a"}, 400, "without impersonating a user"},
		"with a group too many":  {[]string{"Impersonate-User", "jane", "Impersonate-Group", "a"}, 403, `groups "a" is forbidden: User "someone" cannot impersonate resource "groups" in API group "" at the cluster scope`},
	} {
		t.Run(name, func(t *testing.T) {
			w := ask(t, ok, c, "GET", "/api/v1/nodes", test.header...)
			if s := status(t, w); w.Code != test.code || !strings.Contains(s.Message, test.text) {
				t.Errorf("got %d %q, want %d %q", w.Code, s.Message, test.code, test.text)
			}
		})
	}
}

func FuzzImpersonation(f *testing.F) {
	f.Add("jane", "a", "Scopes%2fx", "v")
	f.Add("system:serviceaccount:a:b", "", "%zz", "")
	f.Add("", "g", "", "v")
	f.Fuzz(func(t *testing.T, name, group, key, value string) {
		w := ask(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			for header := range r.Header {
				if strings.HasPrefix(header, "Impersonate-") {
					t.Errorf("%q reaches the director", header)
				}
			}
		}), config(), "GET", "/", "Impersonate-User", name, "Impersonate-Group", group, "Impersonate-Extra-"+key, value)
		if (w.Code == 200) != (name != "") {
			t.Errorf("impersonating %q is answered %d", name, w.Code)
		}
	})
}
