package core_test

import (
	"regexp"
	"slices"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/portico-api/portico/delegation/core"
	"github.com/portico-api/portico/delegation/registry"
	"github.com/portico-api/portico/delegation/storage"
)

// openLeases opens the leases alone.
func openLeases(t *testing.T) *registry.Store {
	t.Helper()
	store, err := storage.Open(t.Context(), storage.Config{DataDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	scheme, err := core.NewScheme()
	if err != nil {
		t.Fatal(err)
	}
	leases, err := registry.New(t.Context(), registry.Config{Store: store, Scheme: scheme}, core.DeclaredResources()["leases"])
	if err != nil {
		t.Fatal(err)
	}
	return leases
}

func listLeases(t *testing.T, leases *registry.Store) []*coordinationv1.Lease {
	t.Helper()
	all, err := registry.ListAs[*coordinationv1.Lease](t.Context(), leases, "kube-system")
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestEachReplicaRenewsALeaseOfItsOwn(t *testing.T) {
	leases := openLeases(t)
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	one, two := core.Replica{Host: "host", Address: "127.0.0.1:6443"}, core.Replica{Host: "host", Address: "127.0.0.1:6444"}
	for i, replica := range []core.Replica{one, two, one} {
		if err := core.RenewIdentityLease(t.Context(), leases, replica, at.Add(time.Duration(i)*time.Minute)); err != nil {
			t.Fatal(err)
		}
	}
	all := listLeases(t, leases)
	if len(all) != 2 {
		t.Fatalf("%d leases of two replicas: %v", len(all), all)
	}
	var renewed []time.Duration
	for _, l := range all {
		renewed = append(renewed, l.Spec.RenewTime.Sub(at))
		if !regexp.MustCompile(`^apiserver-[a-z2-7]{26}$`).MatchString(l.Name) || l.Labels["apiserver.kubernetes.io/identity"] != "kube-apiserver" || l.Labels["kubernetes.io/hostname"] != "host" ||
			*l.Spec.LeaseDurationSeconds != 3600 || !regexp.MustCompile("^"+l.Name+"_.").MatchString(*l.Spec.HolderIdentity) {
			t.Errorf("got %+v", l)
		}
	}
	slices.Sort(renewed)
	if renewed[0] != time.Minute || renewed[1] != 2*time.Minute {
		t.Errorf("renewed after %v", renewed)
	}
}

func TestLeasesOfServersThatAreNoMoreAreDeleted(t *testing.T) {
	leases := openLeases(t)
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	ended := core.Replica{Host: "ended"}
	if err := core.RenewIdentityLease(t.Context(), leases, ended, at); err != nil {
		t.Fatal(err)
	}
	if err := core.RenewIdentityLease(t.Context(), leases, core.Replica{Host: "lives"}, at.Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	others := func(name string, labels map[string]string) {
		if _, err := registry.CreateAs(t.Context(), leases, "kube-system", &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: "kube-system", Name: name, Labels: labels}}); err != nil {
			t.Fatal(err)
		}
	}
	others("a-controller", nil)
	others("another-server", map[string]string{"apiserver.kubernetes.io/identity": "other"})
	others("nobodys", map[string]string{"apiserver.kubernetes.io/identity": "kube-apiserver"})
	if err := core.CleanIdentityLeases(t.Context(), leases, at.Add(time.Hour+time.Second)); err != nil {
		t.Fatal(err)
	}
	var left []string
	for _, l := range listLeases(t, leases) {
		if host := l.Labels["kubernetes.io/hostname"]; host != "" {
			left = append(left, host)
		} else {
			left = append(left, l.Name)
		}
	}
	slices.Sort(left)
	if want := []string{"a-controller", "another-server", "lives"}; !slices.Equal(left, want) {
		t.Errorf("left are %v, want %v", left, want)
	}
}
