package controller

import (
	"context"
	"time"

	"k8s.io/klog/v2"
)

// Every does what at once and then again and again, until ctx ends. What fails has another try the next time.
func Every(ctx context.Context, interval time.Duration, what func(context.Context) error) error {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		if err := what(ctx); err != nil && ctx.Err() == nil {
			klog.FromContext(ctx).Error(err, "Will try again", "after", interval)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}
