package fault

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"
)

// ledger is what clients have been promised. Each object is written by one writer, one step after the other: created in step
// 1, updated in steps 2 and 3, and every other object deleted in step 4.
type ledger struct {
	mu      sync.Mutex
	objects map[string]*entry
	acks    int
}

// entry is what is known of one object.
type entry struct {
	step     int    // the last acknowledged one
	revision string // of that step; "" when it was the deletion
	pending  bool   // the next step was asked for and not acknowledged: it has happened or it has not
}

const (
	lastUpdate = 3
	deletion   = 4
)

func newLedger() *ledger { return &ledger{objects: map[string]*entry{}} }

func (l *ledger) acknowledged() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.acks
}

// object is a config map at a step. Its data is of one piece: half of it would not fit the rest.
func object(name string, step int) *corev1.ConfigMap {
	return &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Data:       map[string]string{"step": strconv.Itoa(step), "first": content(name, step), "second": content(name, step)},
	}
}

func content(name string, step int) string {
	return strings.Repeat(fmt.Sprint(name, "/", step, " "), 20)
}

// stepOf is the step that an object is at; an error when it is not the whole of it.
func stepOf(o *corev1.ConfigMap) (int, error) {
	step, err := strconv.Atoi(o.Data["step"])
	if err != nil {
		return 0, err
	}
	want := object(o.Name, step).Data
	if !maps.Equal(o.Data, want) {
		return 0, fmt.Errorf("%s at %s is mutilated: %v", o.Name, o.ResourceVersion, o.Data)
	}
	return step, nil
}

// write writes objects of one name prefix until enough is closed or a step is not acknowledged. It never leaves a request
// behind: that could still be carried out after the next look.
func (l *ledger) write(ctx context.Context, client corev1client.ConfigMapInterface, prefix string, enough <-chan struct{}) {
	for i := 0; ; i++ {
		name := fmt.Sprint(prefix, "-", i)
		steps := lastUpdate
		if i%2 == 1 {
			steps = deletion
		}
		for step := 1; step <= steps; step++ {
			select {
			case <-enough:
				return
			default:
			}
			if !l.do(ctx, client, name, step) {
				return
			}
		}
	}
}

// do makes one step and tells whether it was acknowledged.
func (l *ledger) do(ctx context.Context, client corev1client.ConfigMapInterface, name string, step int) bool {
	l.mu.Lock()
	e := l.objects[name]
	if e == nil {
		e = &entry{}
		l.objects[name] = e
	}
	e.pending = true
	l.mu.Unlock()

	var result *corev1.ConfigMap
	var err error
	switch step {
	case 1:
		result, err = client.Create(ctx, object(name, step), metav1.CreateOptions{})
	case deletion:
		result, err = &corev1.ConfigMap{}, client.Delete(ctx, name, metav1.DeleteOptions{})
	default:
		o := object(name, step)
		o.ResourceVersion = e.revision
		result, err = client.Update(ctx, o, metav1.UpdateOptions{})
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil {
		return false
	}
	e.step, e.revision, e.pending = step, result.ResourceVersion, false
	l.acks++
	return true
}

// writeUntil lets so many writers write until n more steps are acknowledged and fault has been made, and returns when all
// have ended.
func (l *ledger) writeUntil(t *testing.T, client corev1client.ConfigMapInterface, prefix string, writers, n int, fault func()) {
	t.Helper()
	enough := make(chan struct{})
	var running sync.WaitGroup
	for w := range writers {
		running.Go(func() { l.write(t.Context(), client, fmt.Sprint(prefix, "-", w), enough) })
	}
	want := l.acknowledged() + n
	eventually(t, fmt.Sprint(n, " writes are acknowledged"), func() bool { return l.acknowledged() >= want })
	fault()
	close(enough)
	running.Wait()
}

// settle compares what is stored with what was promised, and takes what was in doubt as it is.
func (l *ledger) settle(t *testing.T, client corev1client.ConfigMapInterface) {
	t.Helper()
	list, err := client.List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatalf("listing what is stored: %v", err)
	}
	stored := map[string]*corev1.ConfigMap{}
	for i := range list.Items {
		o := &list.Items[i]
		if stored[o.Name] != nil {
			t.Errorf("%s is listed twice", o.Name)
		}
		stored[o.Name] = o
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(l.objects)) {
		e := l.objects[name]
		step, revision := 0, ""
		if o := stored[name]; o != nil {
			if step, err = stepOf(o); err != nil {
				t.Error(err)
				continue
			}
			revision = o.ResourceVersion
		} else if e.step == deletion || e.step == lastUpdate && e.pending {
			step = deletion
		}
		switch {
		case step == e.step && revision == e.revision:
		case step == e.step+1 && e.pending:
			e.step, e.revision = step, revision
		default:
			t.Errorf("%s is at step %d, revision %q; acknowledged was step %d, revision %q (the next one asked for: %v)", name, step, revision, e.step, e.revision, e.pending)
		}
		e.pending = false
	}
	for name := range stored {
		if strings.HasPrefix(name, "w") && l.objects[name] == nil {
			t.Errorf("%s is stored and nobody wrote it", name)
		}
	}
}
