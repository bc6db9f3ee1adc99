package controller

import (
	"context"
	"time"

	"k8s.io/client-go/util/workqueue"
	"k8s.io/klog/v2"
)

// Queue handles keys, one worker at a time for each: what is added again meanwhile is handled
// again after, and what fails is tried again later and later.
type Queue struct {
	queue  workqueue.TypedRateLimitingInterface[string]
	handle func(ctx context.Context, key string) (again time.Duration, err error)
}

// NewQueue returns a queue whose keys are handled by handle. A positive time that it returns asks to
// be called again after that time.
func NewQueue(name string, handle func(context.Context, string) (time.Duration, error)) *Queue {
	limits := workqueue.NewTypedItemExponentialFailureRateLimiter[string](5*time.Millisecond, time.Minute)
	return &Queue{
		queue:  workqueue.NewTypedRateLimitingQueueWithConfig(limits, workqueue.TypedRateLimitingQueueConfig[string]{Name: name}),
		handle: handle,
	}
}

// Len is how many keys wait to be handled.
func (q *Queue) Len() int { return q.queue.Len() }

// Add has key handled.
func (q *Queue) Add(key string) { q.queue.Add(key) }

// Run works, beside the sources that add keys, until ctx ends or a source fails, and leaves nothing running.
func (q *Queue) Run(ctx context.Context, workers int, sources ...func(context.Context) error) error {
	parts := append([]func(context.Context) error{func(ctx context.Context) error {
		<-ctx.Done()
		q.queue.ShutDown()
		return ctx.Err()
	}}, sources...)
	for range workers {
		parts = append(parts, q.work)
	}
	return RunAll(ctx, parts...)
}

func (q *Queue) work(ctx context.Context) error {
	for {
		key, end := q.queue.Get()
		if end {
			return ctx.Err()
		}
		again, err := q.handle(ctx, key)
		switch {
		case err != nil && ctx.Err() == nil:
			klog.FromContext(ctx).Error(err, "Will try again", "key", key)
			q.queue.AddRateLimited(key)
		case again > 0:
			q.queue.Forget(key)
			q.queue.AddAfter(key, again)
		default:
			q.queue.Forget(key)
		}
		q.queue.Done(key)
	}
}
