package controller

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"k8s.io/client-go/util/workqueue"
	"k8s.io/klog/v2"
)

// Queue handles keys, one worker at a time for each: what is added again meanwhile is handled
// again after, and what fails is tried again later and later.
type Queue struct {
	name   string
	handle func(ctx context.Context, key string) (again time.Duration, err error)

	running atomic.Pointer[runningQueue] // nil before Run

	mu    sync.Mutex
	early map[string]struct{} // what was added before Run
}

type runningQueue = workqueue.TypedRateLimitingInterface[string]

// NewQueue returns a queue whose keys are handled by handle. A positive time that it returns asks to
// be called again after that time.
func NewQueue(name string, handle func(context.Context, string) (time.Duration, error)) *Queue {
	return &Queue{name: name, handle: handle, early: map[string]struct{}{}}
}

// Len is how many keys wait to be handled.
func (q *Queue) Len() int {
	if running := q.running.Load(); running != nil {
		return (*running).Len()
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.early)
}

// Add has key handled, once the queue runs.
func (q *Queue) Add(key string) {
	if running := q.running.Load(); running != nil {
		(*running).Add(key)
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if running := q.running.Load(); running != nil {
		(*running).Add(key)
		return
	}
	q.early[key] = struct{}{}
}

// begin makes the queue that client-go runs, with goroutines of its own, and gives it what was added before.
func (q *Queue) begin(ctx context.Context) runningQueue {
	config := workqueue.TypedRateLimitingQueueConfig[string]{Name: q.name}
	if p, ok := instrumentsFrom(ctx); ok {
		config.MetricsProvider = p
	}
	limits := workqueue.NewTypedItemExponentialFailureRateLimiter[string](5*time.Millisecond, time.Minute)
	queue := workqueue.NewTypedRateLimitingQueueWithConfig(limits, config)
	q.mu.Lock()
	defer q.mu.Unlock()
	for key := range q.early {
		queue.Add(key)
	}
	clear(q.early)
	q.running.Store(&queue)
	return queue
}

// Run works, beside the sources that add keys, until ctx ends or a source fails, and leaves nothing running.
func (q *Queue) Run(ctx context.Context, workers int, sources ...func(context.Context) error) error {
	queue := q.begin(ctx)
	parts := append([]func(context.Context) error{func(ctx context.Context) error {
		<-ctx.Done()
		queue.ShutDown()
		return ctx.Err()
	}}, sources...)
	for range workers {
		parts = append(parts, func(ctx context.Context) error { return q.work(ctx, queue) })
	}
	return RunAll(ctx, parts...)
}

func (q *Queue) work(ctx context.Context, queue runningQueue) error {
	for {
		key, end := queue.Get()
		if end {
			return ctx.Err()
		}
		again, err := q.handle(ctx, key)
		switch {
		case err != nil && ctx.Err() == nil:
			klog.FromContext(ctx).Error(err, "Will try again", "key", key)
			queue.AddRateLimited(key)
		case again > 0:
			queue.Forget(key)
			queue.AddAfter(key, again)
		default:
			queue.Forget(key)
		}
		queue.Done(key)
	}
}
