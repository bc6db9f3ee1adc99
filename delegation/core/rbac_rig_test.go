package core_test

import (
	"context"
	"testing"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"

	"github.com/portico-api/portico/delegation/core"
	"github.com/portico-api/portico/delegation/registry"
	"github.com/portico-api/portico/delegation/storage"
	"github.com/portico-api/portico/handler"
	"github.com/portico-api/portico/handler/authorization"
	"github.com/portico-api/portico/handler/rest"
)

// rbacRig is the four RBAC resources on a store of their own, and an authorizer that follows them.
type rbacRig struct {
	stores     core.RBACStores
	authorizer *authorization.Authorizer
	guarded    map[string]*rest.Resource
	mutate     func(obj runtime.Object) // another admission, before the guard's
}

// Admit and Validate ask the guard about the rig's stores, which are made before what it asks.
func (rig *rbacRig) Admit(ctx context.Context, r *registry.Request) error {
	if rig.mutate != nil {
		rig.mutate(r.Object)
	}
	return core.NewRBACGuard(func() core.RBACStores { return rig.stores }, rig.authorizer, rig.authorizer).Admit(ctx, r)
}

func (rig *rbacRig) Validate(context.Context, *registry.Request) error { return nil }

func newRBACRig(t *testing.T) *rbacRig {
	t.Helper()
	store, err := storage.Open(t.Context(), storage.Config{DataDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	scheme, err := core.NewScheme()
	if err != nil {
		t.Fatal(err)
	}
	rig := &rbacRig{guarded: map[string]*rest.Resource{}}
	fields := []**registry.Store{&rig.stores.Roles, &rig.stores.RoleBindings, &rig.stores.ClusterRoles, &rig.stores.ClusterRoleBindings}
	for i, resource := range core.RBACResources() {
		if *fields[i], err = registry.New(t.Context(), registry.Config{Store: store, Scheme: scheme, Admission: rig}, resource); err != nil {
			t.Fatal(err)
		}
	}
	rbac := authorization.NewRBAC()
	if rig.authorizer, err = authorization.New(authorization.Config{RBAC: rbac}); err != nil {
		t.Fatal(err)
	}
	for _, store := range []*registry.Store{rig.stores.Roles, rig.stores.RoleBindings, rig.stores.ClusterRoles, rig.stores.ClusterRoleBindings} {
		r := store.Rest()
		rig.guarded[r.Name] = r
	}
	synced := make(chan struct{})
	rig.run(t, func(ctx context.Context) error {
		return core.FeedRBAC(ctx, rbac, rig.stores, func() { close(synced) })
	})
	select {
	case <-synced:
	case <-time.After(10 * time.Second):
		t.Fatal("the index has not been filled in 10 s")
	}
	return rig
}

// run runs part until the test ends and waits for its end.
func (rig *rbacRig) run(t *testing.T, part func(ctx context.Context) error) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- part(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// eventually waits for what other goroutines will have done soon.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for range 1000 {
		if is() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("waited 10 s for %s", what)
}

func (rig *rbacRig) may(u user.Info, a authorizer.AttributesRecord) bool {
	a.User = u
	decision, _, err := rig.authorizer.Authorize(context.Background(), a)
	return decision == authorizer.DecisionAllow && err == nil
}

// as is a request's context of u.
func as(t *testing.T, u user.Info) context.Context {
	return handler.WithRequest(t.Context(), &handler.Request{User: u})
}

// create writes obj straight into its store, as a controller would.
func create[T runtime.Object](t *testing.T, store *registry.Store, namespace string, obj T) {
	t.Helper()
	if _, err := registry.CreateAs(t.Context(), store, namespace, obj); err != nil {
		t.Fatal(err)
	}
}

func policyRule(verb, group, resource string) rbacv1.PolicyRule {
	return rbacv1.PolicyRule{Verbs: []string{verb}, APIGroups: []string{group}, Resources: []string{resource}}
}
