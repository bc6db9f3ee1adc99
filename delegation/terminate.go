package delegation

import (
	"context"
	"errors"
	"fmt"
	"time"

	"k8s.io/klog/v2"
)

const (
	// defaultWatchGracePeriod is how long watches may take to end (contract 13).
	defaultWatchGracePeriod = 15 * time.Second
	// longestWatch is how long watches go on while slow requests are still being answered.
	longestWatch = 10 * time.Second
	// hookPatience is how long a controller may take to end once nothing is asked of it any more.
	hookPatience = 10 * time.Second
)

func (c *Config) watchGracePeriod() time.Duration {
	if c.ShutdownWatchTerminationGracePeriod > 0 {
		return c.ShutdownWatchTerminationGracePeriod
	}
	return defaultWatchGracePeriod
}

// terminate waits for the end of ctx or a failure, and then ends the chain in this order
// (contract 11.2):
//
//	ShutdownInitiated            readyz fails; requests are served as before
//	 ├ AfterShutdownDelay        load balancers have noticed
//	 └ PreShutdownHooksStopped   hooks ran, one after another, during the delay
//	NotAcceptingNewRequest       the listener is closed; open connections are told to go away and
//	 │                           their new requests are refused
//	 ├ InFlightRequestsDrained   every short request has its answer
//	 └ WatchesTerminating        watches end by themselves: after the drain, but 10 s at the latest
//	HTTPServerStopped            no connection is left; those that would not end were cut
//	(hooks)                      controllers end and are waited for
//	(destroy)                    the outermost unit's first, the store's last
func (r *Running) terminate(ctx context.Context, endHooks context.CancelFunc) {
	s, lifecycle := r.server, r.server.config.Lifecycle
	select {
	case <-ctx.Done():
	case <-r.failed:
	case <-r.listenerStopped:
		r.fail(errors.New("serving: the listener was closed by somebody else"))
	}
	ctx = context.WithoutCancel(ctx) // the end must not be cut short by what asked for it
	lifecycle.ShutdownInitiated.signal(ctx)

	hooksErr := r.withdraw(ctx)
	s.config.HandlerChainWaitGroup.Refuse()
	lifecycle.NotAcceptingNewRequest.signal(ctx)
	r.drain(ctx)
	<-r.stopped
	lifecycle.HTTPServerStopped.signal(ctx)

	endHooks()
	hooksErr = errors.Join(hooksErr, r.awaitHooks())
	destroyErr := s.destroy()

	r.failOnce.Do(func() {}) // from here on, failure does not change
	r.err = errors.Join(r.failure, hooksErr, destroyErr)
	close(r.ended)
}

// withdraw runs the pre-shutdown hooks and lets the shutdown delay pass, at the same time. A chain
// that ends because it failed does not make anybody wait.
func (r *Running) withdraw(ctx context.Context) error {
	lifecycle := r.server.config.Lifecycle
	hooks := make(chan error, 1)
	go r.runPreShutdownHooks(ctx, hooks)

	delay := time.NewTimer(r.server.config.ShutdownDelayDuration)
	defer delay.Stop()
	select {
	case <-delay.C:
	case <-r.failed:
	}
	lifecycle.AfterShutdownDelay.signal(ctx)
	return <-hooks
}

func (r *Running) runPreShutdownHooks(ctx context.Context, done chan<- error) {
	var errs []error
	for _, h := range r.server.contributions.PreShutdownHooks {
		if err := h.Run(ctx); err != nil {
			errs = append(errs, fmt.Errorf("running pre-shutdown hook %q: %w", h.Name, err))
		}
	}
	r.server.config.Lifecycle.PreShutdownHooksStopped.signal(ctx)
	done <- errors.Join(errs...)
}

// drain waits for the short requests in flight, and tells watches to end.
func (r *Running) drain(ctx context.Context) {
	lifecycle := r.server.config.Lifecycle
	drained := make(chan struct{})
	go r.awaitRequests(ctx, drained)

	patience := time.NewTimer(longestWatch)
	defer patience.Stop()
	select {
	case <-drained:
	case <-patience.C:
	}
	lifecycle.WatchesTerminating.signal(ctx)
	<-drained
}

func (r *Running) awaitRequests(ctx context.Context, drained chan<- struct{}) {
	config := &r.server.config
	ctx, cancel := context.WithTimeout(ctx, config.RequestTimeout)
	defer cancel()
	if err := config.HandlerChainWaitGroup.Wait(ctx); err != nil {
		klog.FromContext(ctx).Error(err, "Requests in flight did not end in time and are cut", "after", config.RequestTimeout)
	}
	config.Lifecycle.InFlightRequestsDrained.signal(ctx)
	close(drained)
}

// awaitHooks waits for hooks and controllers to return, but not for ever: one that does not listen
// to its context must not keep the store from being closed.
func (r *Running) awaitHooks() error {
	returned := make(chan struct{})
	go r.awaitReturn(returned)
	patience := time.NewTimer(hookPatience)
	defer patience.Stop()
	select {
	case <-returned:
		return nil
	case <-patience.C:
		return fmt.Errorf("post-start hooks have not ended %s after they were told to", hookPatience)
	}
}

func (r *Running) awaitReturn(returned chan<- struct{}) {
	r.hooks.Wait()
	close(returned)
}

// destroy frees what the chain holds, outermost unit first.
func (s *GenericAPIServer) destroy() error {
	var errs []error
	for _, destroy := range s.contributions.Destroy {
		errs = append(errs, destroy())
	}
	return errors.Join(errs...)
}
