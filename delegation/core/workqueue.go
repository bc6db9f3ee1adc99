package core

import (
	"context"
	"time"

	"k8s.io/client-go/util/workqueue"
	"k8s.io/klog/v2"
)

// workQueue handles keys, one worker at a time for each: what is added again meanwhile is handled
// again after, and what fails is tried again later and later.
type workQueue struct {
	queue workqueue.TypedRateLimitingInterface[string]
	// handle does what a key needs. A positive again asks to be called again after that time.
	handle func(ctx context.Context, key string) (again time.Duration, err error)
}

func newWorkQueue(name string, handle func(context.Context, string) (time.Duration, error)) *workQueue {
	limits := workqueue.NewTypedItemExponentialFailureRateLimiter[string](5*time.Millisecond, time.Minute)
	return &workQueue{
		queue:  workqueue.NewTypedRateLimitingQueueWithConfig(limits, workqueue.TypedRateLimitingQueueConfig[string]{Name: name}),
		handle: handle,
	}
}

func (q *workQueue) add(key string) { q.queue.Add(key) }

// run works until ctx ends, and leaves nothing running.
func (q *workQueue) run(ctx context.Context, workers int) error {
	parts := []func(context.Context) error{func(ctx context.Context) error {
		<-ctx.Done()
		q.queue.ShutDown()
		return ctx.Err()
	}}
	for range workers {
		parts = append(parts, q.work)
	}
	return runAll(ctx, parts...)
}

func (q *workQueue) work(ctx context.Context) error {
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
