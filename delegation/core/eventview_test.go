package core_test

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
	eventsv1ac "k8s.io/client-go/applyconfigurations/events/v1"
	"k8s.io/client-go/kubernetes"
	restclient "k8s.io/client-go/rest"
)

// What is applied by one group's names is managed, contended for and taken away by the other's, too.
func TestAnEventIsAppliedInEitherGroup(t *testing.T) {
	u := start(t)
	client, err := kubernetes.NewForConfig(&restclient.Config{Host: u.url, QPS: -1})
	if err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	newer := func(manager, note string, force bool) (*eventsv1.Event, error) {
		return client.EventsV1().Events("default").Apply(ctx, eventsv1ac.Event("e", "default").
			WithEventTime(metav1.NewMicroTime(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))).WithType(corev1.EventTypeNormal).WithReason("R").WithAction("A").WithNote(note).
			WithReportingController("test.example/c").WithReportingInstance("i").
			WithRegarding(corev1ac.ObjectReference().WithKind("Namespace").WithName("default").WithNamespace("default")),
			metav1.ApplyOptions{FieldManager: manager, Force: force})
	}
	made, err := newer("one", "first", false)
	if err != nil || made.Note != "first" || made.UID == "" {
		t.Fatalf("got %+v, %v", made, err)
	}
	if mine, err := eventsv1ac.ExtractEvent(made, "one"); err != nil || mine.Note == nil || *mine.Note != "first" || mine.DeprecatedCount != nil {
		t.Errorf("of %+v, one has applied %+v, %v", made, mine, err)
	}
	again, err := newer("one", "first", false)
	if err != nil || again.ResourceVersion != made.ResourceVersion {
		t.Errorf("applied again, it was written: %+v, %v", again, err)
	}

	// The core group calls the note a message, and knows whose it is, by the name that they have given it.
	older := func(message string, force bool) (*corev1.Event, error) {
		return client.CoreV1().Events("default").Apply(ctx, corev1ac.Event("e", "default").WithMessage(message), metav1.ApplyOptions{FieldManager: "two", Force: force})
	}
	if _, err = older("second", false); !apierrors.IsConflict(err) || !strings.Contains(err.Error(), `conflict with "one": .note`) {
		t.Errorf("another's field: %v", err)
	}
	taken, err := older("second", true)
	if err != nil || taken.Message != "second" || taken.Reason != "R" {
		t.Fatalf("taken by force: %+v, %v", taken, err)
	}
	if _, err = newer("one", "third", false); !apierrors.IsConflict(err) || !strings.Contains(err.Error(), `conflict with "two": .message`) {
		t.Errorf("the other's field: %v", err)
	}
	if last, err := newer("one", "third", true); err != nil || last.Note != "third" {
		t.Errorf("taken back: %+v, %v", last, err)
	}

	// Who writes without applying leaves the account of the others as it is.
	if _, err := client.CoreV1().Events("default").Patch(ctx, "e", "application/merge-patch+json", []byte(`{"metadata":{"labels":{"a":"b"}}}`), metav1.PatchOptions{FieldManager: "three"}); err != nil {
		t.Fatal(err)
	}
	var managers []string
	seen, err := client.EventsV1().Events("default").Get(ctx, "e", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range seen.ManagedFields {
		managers = append(managers, entry.Manager+" "+entry.APIVersion)
	}
	if got := strings.Join(managers, ", "); got != "one events.k8s.io/v1, three v1" {
		t.Errorf("managers are %s", got)
	}
	if _, err := client.EventsV1().Events("default").Apply(ctx, eventsv1ac.Event("bad", "default").WithNote("x"), metav1.ApplyOptions{FieldManager: "one"}); !apierrors.IsInvalid(err) {
		t.Errorf("an event that the newer group does not take: %v", err)
	}
}
