package fault

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/tools/cache"
	watchtools "k8s.io/client-go/tools/watch"
)

// witness watches over all faults as a controller does: where a watch ends, it goes on.
type witness struct {
	watcher *watchtools.RetryWatcher
	told    chan string // what it saw that must not be; "" at the end
	steps   map[string]int
	last    int64
}

// newWitness begins to watch what happens from now on.
func newWitness(t *testing.T, client corev1client.ConfigMapInterface) *witness {
	t.Helper()
	list, err := client.List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	watcher, err := watchtools.NewRetryWatcherWithContext(t.Context(), list.ResourceVersion, &cache.ListWatch{
		WatchFuncWithContext: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
			return client.Watch(ctx, options)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(watcher.Stop)
	w := &witness{watcher: watcher, told: make(chan string, 100), steps: map[string]int{}}
	go w.run()
	return w
}

// run reads until the object "end" is created.
func (w *witness) run() {
	defer close(w.told)
	for e := range w.watcher.ResultChan() {
		o, ok := e.Object.(*corev1.ConfigMap)
		if !ok {
			w.told <- fmt.Sprintf("the watch could not go on: %s %v", e.Type, e.Object)
			return
		}
		if o.Name == "end" {
			return
		}
		if !strings.HasPrefix(o.Name, "w") {
			continue
		}
		if complaint := w.see(e.Type, o); complaint != "" && len(w.told) < cap(w.told)-1 {
			w.told <- complaint
		}
	}
}

// see holds each event to the one before it: none is missing, none comes twice.
func (w *witness) see(typ watch.EventType, o *corev1.ConfigMap) string {
	revision, err := strconv.ParseInt(o.ResourceVersion, 10, 64)
	if err != nil || revision <= w.last {
		return fmt.Sprintf("%s %s at revision %q came after revision %d", typ, o.Name, o.ResourceVersion, w.last)
	}
	w.last = revision
	step, err := stepOf(o)
	if err != nil {
		return err.Error()
	}
	want := watch.Modified
	switch {
	case typ == watch.Deleted:
		step, want = step+1, watch.Deleted
	case step == 1:
		want = watch.Added
	}
	before := w.steps[o.Name]
	w.steps[o.Name] = step
	if typ != want || step != before+1 {
		return fmt.Sprintf("%s %s brought it to step %d, after step %d", typ, o.Name, step, before)
	}
	return ""
}

// testify ends the watch and compares what it has told with what is stored.
func (w *witness) testify(t *testing.T, client corev1client.ConfigMapInterface, l *ledger) {
	t.Helper()
	if _, err := client.Create(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "end"}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	deadline := time.After(patience)
	for over := false; !over; {
		select {
		case complaint, more := <-w.told:
			if over = !more; more {
				t.Error(complaint)
			}
		case <-deadline:
			t.Fatalf("the watch did not see the end; its last revision was %d", w.last)
		}
	}
	for name, e := range l.objects {
		if w.steps[name] != e.step {
			t.Errorf("%s: the watch told of step %d, stored is step %d", name, w.steps[name], e.step)
		}
	}
}
