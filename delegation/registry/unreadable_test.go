package registry_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/portico-api/portico/delegation/registry"
	"github.com/portico-api/portico/delegation/storage"
	"github.com/portico-api/portico/handler/rest"
)

// A time is stored in UTC. One that is valid in its own zone can then lie in a year of five digits, which nobody can read.
const afterTheLastYear = "9999-12-31T23:59:59-05:00"

func TestWhatCouldNotBeReadBackIsNotStored(t *testing.T) {
	s := open(t, services())
	srv := server(t, rest.Config{}, s)
	const path = "/api/v1/namespaces/demo/services"
	want(t, 201, call(t, srv, "POST", path, `{"metadata":{"name":"s"}}`))
	body := fmt.Sprintf(`{"status":{"conditions":[{"type":"A","status":"True","reason":"B","message":"","lastTransitionTime":%q}]}}`, afterTheLastYear)
	a := want(t, 400, call(t, srv, "PATCH", path+"/s/status", body, "Content-Type", "application/merge-patch+json"))
	if !strings.Contains(string(a.body), "10000-01-01") {
		t.Errorf("got %s, want the time that cannot be read", a.body)
	}

	s = open(t, resourceAt("events", &corev1.Event{}, &corev1.EventList{}))
	late := metav1.NewTime(time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)) // as protobuf can carry it
	if _, err := s.Create(t.Context(), "demo", "e", &corev1.Event{FirstTimestamp: late}, nil); err == nil {
		t.Error("an event that nobody can read was stored")
	}
}

func TestOnlyWhatMayHaveAnUnreadableTimeIsReadAgain(t *testing.T) {
	for body, want := range map[string]bool{
		`{"a":"9999-12-31T23:59:59Z"}`:        false,
		`{"a":"0001-01-01T00:00:00Z","b":10}`: false,
		`{"a":"10000-01-01T00:00:00Z"}`:       true,
		`{"a":"x","b":["-0001-01-01"]}`:       true,
		`{"a":"123456"`:                       false,
		`{"a":"-"}`:                           false,
		`{"a":"12345`:                         false,
		``:                                    false,
	} {
		if got := registry.MayHaveUnreadableTime([]byte(body)); got != want {
			t.Errorf("%s: got %v", body, got)
		}
	}
}

func resourceAt(name string, obj, list runtime.Object) registry.Resource {
	return registry.Resource{
		GroupVersion: corev1.SchemeGroupVersion, Kind: "Event", Name: name, SingularName: "event", Namespaced: true,
		New: func() runtime.Object { return obj.DeepCopyObject() }, NewList: func() runtime.Object { return list.DeepCopyObject() },
	}
}

func TestFollowPassesOverWhatCannotBeDecoded(t *testing.T) {
	// Another program has stored something that is JSON, but no config map.
	cache, err := shared.OpenResource(t.Context(), storage.ResourceConfig{Resource: "configmaps", Path: t.Name() + "/configmaps", Namespaced: true})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := cache.Create(t.Context(), "demo", "broken", []byte(`{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"broken"},"data":3}`), 0); err != nil {
		t.Fatal(err)
	}
	cache.Close()

	s := open(t, configMaps())
	fill(t, s, 1, "demo")
	ctx, cancel := context.WithCancel(t.Context())
	told := make(chan string, 10)
	synced := make(chan struct{})
	var running sync.WaitGroup
	running.Go(func() {
		err := s.Follow(ctx, func(ev registry.Change) { told <- ev.Object.(*corev1.ConfigMap).Name }, func() { close(synced) })
		if err != context.Canceled {
			t.Errorf("got %v, want context.Canceled", err)
		}
	})
	<-synced
	fill(t, s, 1, "later")
	for range 2 {
		if got := <-told; got != "c000" {
			t.Errorf("told of %s, want c000", got)
		}
	}
	cancel()
	running.Wait()
}
