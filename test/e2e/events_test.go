package e2e

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"
	"k8s.io/client-go/tools/record"

	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"
)

// An event that was written by one API is read, watched, selected, changed and deleted by the other.
func TestEventsAreOneThingInTwoGroups(t *testing.T) {
	p := startPortico(t)
	g := newGarden(t, p)
	object := g.plant(t, "object")
	ours, theirs := g.client.CoreV1().Events(g.namespace), g.client.EventsV1().Events(g.namespace)
	watching, err := theirs.Watch(t.Context(), metav1.ListOptions{AllowWatchBookmarks: true, FieldSelector: "regarding.name=object"})
	if err != nil {
		t.Fatal(err)
	}
	defer watching.Stop()

	scheme := runtime.NewScheme()
	if err := corev1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	newer := events.NewBroadcaster(&events.EventSinkImpl{Interface: g.client.EventsV1()})
	if err := newer.StartRecordingToSinkWithContext(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer newer.Shutdown()
	newer.NewRecorder(scheme, "example.com/newer").Eventf(object, nil, corev1.EventTypeNormal, "Planted", "Planting", "planted %s", object.Name)
	older := record.NewBroadcaster()
	older.StartRecordingToSink(&corev1client.EventSinkImpl{Interface: g.client.CoreV1().Events("")})
	defer older.Shutdown()
	older.NewRecorder(scheme, corev1.EventSource{Component: "older"}).Event(object, corev1.EventTypeWarning, "Withers", "it withers")

	seen := map[string]*eventsv1.Event{}
	for timeout := time.After(patience); len(seen) < 2; {
		select {
		case e := <-watching.ResultChan():
			event := e.Object.(*eventsv1.Event)
			seen[event.Reason] = event
		case <-timeout:
			t.Fatalf("the watch has shown %v", seen)
		}
	}
	if e := seen["Planted"]; e.Note != "planted object" || e.Regarding.UID != object.UID || e.ReportingController != "example.com/newer" || e.EventTime.IsZero() {
		t.Errorf("the newer one is %+v", e)
	}
	if e := seen["Withers"]; e.Note != "it withers" || e.DeprecatedSource.Component != "older" || e.DeprecatedCount != 1 {
		t.Errorf("the older one is %+v", e)
	}
	planted, err := ours.Get(t.Context(), seen["Planted"].Name, metav1.GetOptions{})
	if err != nil || planted.Message != "planted object" || planted.InvolvedObject.Name != "object" || planted.ReportingController != "example.com/newer" {
		t.Errorf("by the older API the newer one is %+v, %v", planted, err)
	}
	listed, err := theirs.List(t.Context(), metav1.ListOptions{FieldSelector: "reason=Withers,type=Warning"})
	if err != nil || len(listed.Items) != 1 || listed.Items[0].Name != seen["Withers"].Name {
		t.Errorf("selected by the newer names: %+v, %v", listed, err)
	}
	patched, err := theirs.Patch(t.Context(), planted.Name, types.MergePatchType, []byte(`{"metadata":{"labels":{"seen":"yes"}}}`), metav1.PatchOptions{})
	if err != nil || patched.Labels["seen"] != "yes" || patched.Note != "planted object" {
		t.Errorf("patched by the newer API: %+v, %v", patched, err)
	}
	for _, args := range [][]string{{"events"}, {"get", "events"}, {"get", "events.events.k8s.io"}, {"describe", "configmap", "object"}} {
		if out := g.kubectl(t, append([]string{"-n", g.namespace}, args...)...); !strings.Contains(out, "planted object") || !strings.Contains(out, "it withers") {
			t.Errorf("kubectl %s shows %s", strings.Join(args, " "), out)
		}
	}
	if out := g.kubectl(t, "explain", "events.regarding", "--api-version=events.k8s.io/v1"); !strings.Contains(out, "uid\t<string>") {
		t.Errorf("kubectl explain: %s", out)
	}
	_, err = theirs.Create(t.Context(), &eventsv1.Event{ObjectMeta: metav1.ObjectMeta{Name: "bad"}, Type: "Odd", DeprecatedCount: 3}, metav1.CreateOptions{})
	if !apierrors.IsInvalid(err) || !strings.Contains(err.Error(), "eventTime: Required value") || !strings.Contains(err.Error(), "deprecatedCount") || !strings.Contains(err.Error(), "type: Invalid value") {
		t.Errorf("a newer event that is none: %v", err)
	}
	if err := theirs.DeleteCollection(t.Context(), metav1.DeleteOptions{}, metav1.ListOptions{FieldSelector: "regarding.name=object"}); err != nil {
		t.Fatal(err)
	}
	if left, err := ours.List(t.Context(), metav1.ListOptions{FieldSelector: "involvedObject.name=object"}); err != nil || len(left.Items) != 0 {
		t.Errorf("after they were deleted: %+v, %v", left, err)
	}
}
