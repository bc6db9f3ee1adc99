package controller_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/portico-api/portico/delegation/controller"
	"github.com/portico-api/portico/metrics"
)

func TestWhatIsAddedBeforeAQueueRunsIsHandledOnce(t *testing.T) {
	defer goleak.VerifyNone(t)
	ctx, cancel := context.WithCancel(t.Context())
	var mu sync.Mutex
	var handled []string
	queue := controller.NewQueue("test", func(_ context.Context, key string) (time.Duration, error) {
		mu.Lock()
		defer mu.Unlock()
		if handled = append(handled, key); len(handled) == 2 {
			cancel()
		}
		return 0, nil
	})
	queue.Add("a")
	queue.Add("b")
	queue.Add("a")
	if n := queue.Len(); n != 2 {
		t.Errorf("%d keys wait, want 2", n)
	}
	if err := queue.Run(ctx, 1); err != nil {
		t.Errorf("the queue ended with %v", err)
	}
	if slices.Sort(handled); !slices.Equal(handled, []string{"a", "b"}) {
		t.Errorf("handled %v, want a and b", handled)
	}
}

func TestAQueueIsObservedByWhatItsContextCarries(t *testing.T) {
	m := metrics.New()
	ctx, cancel := context.WithCancel(controller.WithInstruments(t.Context(), m.Workqueues))
	failed := false
	queue := controller.NewQueue("things", func(context.Context, string) (time.Duration, error) {
		if !failed {
			failed = true
			return 0, errors.New("not yet")
		}
		cancel()
		return 0, nil
	})
	queue.Add("a")
	if err := queue.Run(ctx, 1); err != nil {
		t.Errorf("the queue ended with %v", err)
	}
	for name, want := range map[string]float64{"workqueue_adds_total": 2, "workqueue_retries_total": 1, "workqueue_depth": 0, "workqueue_queue_duration_seconds": 2} {
		if got := observed(t, m.Gatherer(), name); got != want {
			t.Errorf("%s = %v, want %v", name, got, want)
		}
	}
}

// observed is the value of the only series of a metric.
func observed(t *testing.T, g prometheus.Gatherer, name string) float64 {
	t.Helper()
	families, err := g.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name && len(f.Metric) == 1 {
			s := f.Metric[0]
			return s.GetCounter().GetValue() + s.GetGauge().GetValue() + float64(s.GetHistogram().GetSampleCount())
		}
	}
	t.Fatalf("%s has no series", name)
	return 0
}
