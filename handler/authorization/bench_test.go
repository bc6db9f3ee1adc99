package authorization_test

import (
	"fmt"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"

	"github.com/portico-api/portico/handler/authorization"
	"github.com/portico-api/portico/metrics"
)

// withBindings returns an authorizer that knows n role bindings, each of its own user to a shared role, and two
// cluster role bindings of groups.
func withBindings(tb testing.TB, n int) *authorization.Authorizer {
	tb.Helper()
	x := authorization.NewRBAC()
	x.Update(func(b *authorization.Batch) {
		b.SetClusterRole(&rbacv1.ClusterRole{
			ObjectMeta: metav1.ObjectMeta{Name: "discovery"},
			Rules:      []rbacv1.PolicyRule{{Verbs: []string{"get"}, NonResourceURLs: []string{"/api", "/api/*", "/apis", "/apis/*"}}},
		})
		b.SetClusterRoleBinding(clusterRoleBinding("discovery", "discovery", group("system:authenticated")))
		b.SetClusterRole(&rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: "editor"}, Rules: []rbacv1.PolicyRule{
			rule("get,list,watch", "apps", "deployments,replicasets"),
			rule("get,list,watch,create,update,patch,delete", "", "configmaps,secrets,services,pods,pods/log"),
		}})
		for i := range n {
			b.SetRoleBinding(roleBinding(fmt.Sprintf("ns-%d", i%100), fmt.Sprintf("b-%d", i), "ClusterRole", "editor", userSubject(fmt.Sprintf("user-%d", i))))
		}
	})
	z, err := authorization.New(authorization.Config{RBAC: x, Metrics: metrics.New().Authorization})
	if err != nil {
		tb.Fatal(err)
	}
	return z
}

func BenchmarkAuthorize(b *testing.B) {
	for _, n := range []int{10, 10_000} {
		for _, c := range []struct {
			name string
			verb string
			want authorizer.Decision
		}{
			{"allowed", "update", authorizer.DecisionAllow},
			{"refused", "deletecollection", authorizer.DecisionNoOpinion},
		} {
			b.Run(fmt.Sprintf("bindings=%d/%s", n, c.name), func(b *testing.B) {
				z := withBindings(b, n)
				var a authorizer.Attributes = &authorizer.AttributesRecord{
					User: &user.DefaultInfo{Name: "user-7", Groups: []string{"team-a", "team-b", "system:authenticated"}},
					Verb: c.verb, Namespace: "ns-7", Resource: "pods", Name: "p", ResourceRequest: true,
				}
				ctx := b.Context()
				b.ReportAllocs()
				for b.Loop() {
					if got, _, err := z.Authorize(ctx, a); got != c.want || err != nil {
						b.Fatalf("got %v, %v, want %v", got, err, c.want)
					}
				}
			})
		}
	}
}

func BenchmarkFeed(b *testing.B) {
	bindings := make([]*rbacv1.RoleBinding, 10_000)
	for i := range bindings {
		bindings[i] = roleBinding(fmt.Sprintf("ns-%d", i%100), fmt.Sprintf("b-%d", i), "ClusterRole", "editor", userSubject(fmt.Sprintf("user-%d", i)), group("everybody"))
	}
	b.Run("10000 bindings in one batch", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			authorization.NewRBAC().Update(func(batch *authorization.Batch) {
				for _, o := range bindings {
					batch.SetRoleBinding(o)
				}
			})
		}
	})
	b.Run("one change among 10000", func(b *testing.B) {
		x := authorization.NewRBAC()
		x.Update(func(batch *authorization.Batch) {
			for _, o := range bindings {
				batch.SetRoleBinding(o)
			}
		})
		b.ReportAllocs()
		for b.Loop() {
			x.DeleteRoleBinding("ns-7", "b-7")
			x.SetRoleBinding(bindings[7])
		}
	})
}
