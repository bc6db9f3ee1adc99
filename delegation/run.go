package delegation

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"k8s.io/klog/v2"
)

// PreparedAPIServer is a unit on which PrepareRun was called, and so one that may run. That of the
// empty delegate has nothing to serve and runs until it is told to end.
type PreparedAPIServer struct {
	*GenericAPIServer
}

// PrepareRun prepares the delegates, then installs what depends on all that the unit has: OpenAPI
// and the health endpoints. Nothing can be contributed afterwards.
func (s *GenericAPIServer) PrepareRun() PreparedAPIServer {
	s.prepare.Do(func() {
		s.delegate.PrepareRun()
		s.installOpenAPI()
		s.installHealth()
		s.config.Metrics.SetBuildInfo(s.config.Version)
	})
	return PreparedAPIServer{s}
}

// installHealth adds /healthz, /livez and /readyz with the checks that there are now.
func (s *GenericAPIServer) installHealth() {
	s.mu.Lock()
	s.seal("is prepared already")
	checks, hooks := s.contributions.HealthChecks, s.contributions.PostStartHooks
	s.mu.Unlock()

	mux, observer := s.Handler.NonGoRestfulMux, s.config.Metrics.Health
	_ = add(&checks.Readyz, informerSyncHealthCheck(hooks))          // of this unit and those behind
	_ = add(&checks.Readyz, shutdownHealthCheck(s.config.Lifecycle)) // a delegate has it too
	(&healthEndpoint{name: "healthz", checks: checks.Healthz, observer: observer}).install(mux)
	(&healthEndpoint{name: "livez", checks: checks.Livez, observer: observer}).install(mux)
	(&healthEndpoint{name: "readyz", checks: checks.Readyz, observer: observer}).install(mux)
}

// Run serves until ctx ends or something the chain cannot do without fails, then ends gracefully,
// and returns once everything it started has stopped. The end of ctx is not an error.
func (p PreparedAPIServer) Run(ctx context.Context) error {
	running, err := p.NonBlockingRun(ctx)
	if err != nil {
		return err
	}
	return running.Wait()
}

// NonBlockingRun is Run without waiting: it returns once the chain listens, and before the
// post-start hooks are done.
func (p PreparedAPIServer) NonBlockingRun(ctx context.Context) (*Running, error) {
	r := &Running{failed: make(chan struct{}), ended: make(chan struct{})}
	if p.GenericAPIServer == nil {
		go r.idle(ctx)
		return r, nil
	}
	stopped, listenerStopped, err := p.serve()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("starting %s: %w", p.Name, err), p.destroy())
	}
	r.server, r.stopped, r.listenerStopped = p.GenericAPIServer, stopped, listenerStopped
	// The hooks outlive ctx: requests that are being drained still need their controllers.
	hooks, cancel := context.WithCancel(context.WithoutCancel(ctx))
	r.startHooks(hooks)
	go r.terminate(ctx, cancel)
	return r, nil
}

// serve attaches the chain to its listener, until NotAcceptingNewRequest. stopped is closed when the
// last connection has ended, listenerStopped when no new one is accepted.
func (s *GenericAPIServer) serve() (stopped, listenerStopped <-chan struct{}, err error) {
	notAccepting := s.config.Lifecycle.NotAcceptingNewRequest.Signaled()
	if s.config.Serving == nil {
		return notAccepting, notAccepting, nil
	}
	if _, ok := s.Handler.FullHandlerChain.(unguarded); ok {
		return nil, nil, errUnguarded
	}
	timeout := s.config.RequestTimeout + s.config.watchGracePeriod()
	return s.config.Serving.Serve(s.Handler, timeout, notAccepting)
}

// Running is a chain that serves.
type Running struct {
	server          *GenericAPIServer
	stopped         <-chan struct{} // no connection is left
	listenerStopped <-chan struct{} // no connection is accepted
	hooks           sync.WaitGroup
	ended           chan struct{} // everything has stopped

	failOnce sync.Once
	failed   chan struct{} // the first failure has been stored in failure
	failure  error

	err error // what Wait returns; set before ended is closed
}

// Wait returns when everything has stopped, with the reason if it is not the end of ctx.
func (r *Running) Wait() error {
	<-r.ended
	return r.err
}

// Ended is closed when everything has stopped.
func (r *Running) Ended() <-chan struct{} { return r.ended }

func (r *Running) idle(ctx context.Context) {
	<-ctx.Done()
	close(r.ended)
}

func (r *Running) startHooks(ctx context.Context) {
	r.hooks.Go(func() { r.server.config.logs.run(ctx) })
	hooks := r.server.contributions.PostStartHooks
	for _, h := range hooks {
		r.hooks.Go(func() {
			if err := h.start(ctx); err != nil {
				r.fail(err)
			}
		})
	}
	r.hooks.Go(func() { r.announce(ctx, hooks) })
}

// announce tells the log when the last hook is done, however long it is until somebody asks.
func (r *Running) announce(ctx context.Context, hooks []*PostStartHook) {
	for _, h := range hooks {
		select {
		case <-h.done:
		case <-ctx.Done():
			return
		}
	}
	klog.FromContext(ctx).Info("Ready", "unit", r.server.Name, "after", time.Since(r.server.created).Round(time.Millisecond))
}

// fail ends the chain because of err, unless it ends because of something else already.
func (r *Running) fail(err error) {
	r.failOnce.Do(func() {
		r.failure = err
		close(r.failed)
	})
}
