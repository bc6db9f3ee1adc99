package controller

import (
	"context"

	"k8s.io/client-go/util/workqueue"
)

type instrumentsKey struct{}

// WithInstruments has the queues that run in ctx observed by what p provides: like the log, that belongs to who runs a
// controller and not to the controller.
func WithInstruments(ctx context.Context, p workqueue.MetricsProvider) context.Context {
	return context.WithValue(ctx, instrumentsKey{}, p)
}

// instrumentsFrom returns what queues in ctx are observed by, and whether there is anything.
func instrumentsFrom(ctx context.Context) (workqueue.MetricsProvider, bool) {
	p, ok := ctx.Value(instrumentsKey{}).(workqueue.MetricsProvider)
	return p, ok && p != nil
}
