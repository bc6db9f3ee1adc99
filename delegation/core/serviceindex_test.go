package core_test

import (
	"context"
	"fmt"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/portico-api/portico/delegation/core"
	"github.com/portico-api/portico/delegation/registry"
)

// script is a follower that delivers what a test says, one change at a time.
type script struct {
	changes chan registry.Change
	seen    chan struct{}
}

func newScript() script {
	return script{changes: make(chan registry.Change), seen: make(chan struct{})}
}

func (s script) Follow(ctx context.Context, on func(registry.Change), synced func()) error {
	synced()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case change := <-s.changes:
			on(change)
			s.seen <- struct{}{}
		}
	}
}

func (s script) deliver(object runtime.Object, deleted bool) {
	s.changes <- registry.Change{Object: object, Deleted: deleted}
	<-s.seen
}

func slice(name, service string) *discoveryv1.EndpointSlice {
	s := &discoveryv1.EndpointSlice{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: name}}
	if service != "" {
		s.Labels = map[string]string{discoveryv1.LabelServiceName: service}
	}
	return s
}

func TestTheServiceIndexFollowsSlicesFromServiceToService(t *testing.T) {
	services, slicesOf, endpoints := newScript(), newScript(), newScript()
	index := core.NewServices(services, slicesOf, endpoints)
	var told []string
	index.OnChange(func(namespace, service string) { told = append(told, namespace+"/"+service) })

	ctx, stop := context.WithCancel(t.Context())
	synced, ended := make(chan struct{}), make(chan error)
	select {
	case <-index.Synced():
		t.Error("the index is called complete before it is followed")
	default:
	}
	go func() { ended <- index.Run(ctx, func() { close(synced) }) }()
	<-synced
	<-index.Synced()

	for _, step := range []struct {
		name    string
		slice   *discoveryv1.EndpointSlice
		deleted bool
		told    []string
		a, b    []string
	}{
		{"a slice belongs to the service of its label", slice("2", "a"), false, []string{"ns/a"}, []string{"2"}, nil},
		{"slices come in the order of their names", slice("1", "a"), false, []string{"ns/a"}, []string{"1", "2"}, nil},
		{"a relabelled slice moves, and both services hear of it", slice("2", "b"), false, []string{"ns/a", "ns/b"}, []string{"1"}, []string{"2"}},
		{"a slice without a label leaves", slice("2", ""), false, []string{"ns/b"}, []string{"1"}, nil},
		{"a slice of no service is nobody's", slice("3", ""), false, nil, []string{"1"}, nil},
		{"a deleted slice is gone", slice("1", "a"), true, []string{"ns/a"}, nil, nil},
	} {
		t.Run(step.name, func(t *testing.T) {
			told = nil
			slicesOf.deliver(step.slice, step.deleted)
			if !slices.Equal(told, step.told) {
				t.Errorf("told %q, want %q", told, step.told)
			}
			for service, want := range map[string][]string{"a": step.a, "b": step.b} {
				var got []string
				for _, s := range index.EndpointSlices("ns", service) {
					got = append(got, s.Name)
				}
				if !slices.Equal(got, want) {
					t.Errorf("slices of %s: got %q, want %q", service, got, want)
				}
			}
		})
	}

	services.deliver(&corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "a"}}, false)
	endpoints.deliver(&corev1.Endpoints{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "a"}}, false)
	_, service := index.Service("ns", "a")
	_, found := index.Endpoints("ns", "a")
	if !service || !found {
		t.Errorf("service known: %v, endpoints known: %v", service, found)
	}
	services.deliver(&corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: "ns", Name: "a"}}, true)
	if _, ok := index.Service("ns", "a"); ok {
		t.Error("a deleted service is still known")
	}
	stop()
	if err := <-ended; err != nil {
		t.Errorf("the index ended with %v", err)
	}
}

// What a connection to a service costs must not depend on how many other services there are.
func BenchmarkEndpointSlices(b *testing.B) {
	for _, n := range []int{10, 10_000} {
		b.Run(fmt.Sprintf("%d services", n), func(b *testing.B) {
			slicesOf := newScript()
			index := core.NewServices(newScript(), slicesOf, newScript())
			ctx, stop := context.WithCancel(b.Context())
			ended := make(chan error)
			go func() { ended <- index.Run(ctx, func() {}) }()
			for i := range n {
				slicesOf.deliver(slice(fmt.Sprint(i), fmt.Sprint("service-", i)), false)
			}
			b.ReportAllocs()
			for b.Loop() {
				if len(index.EndpointSlices("ns", "service-5")) != 1 {
					b.Fatal("no slice")
				}
			}
			stop()
			<-ended
		})
	}
}
