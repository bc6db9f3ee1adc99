package delegation

import (
	"context"
	"errors"
	"fmt"
	"sync"
)

// hookCheckPrefix begins the names of the checks of hooks.
const hookCheckPrefix = "poststarthook/"

// PostStartHook is started once the chain listens. The chain is healthy when all hooks are done,
// and ends when one of them fails.
type PostStartHook struct {
	Name string

	run      func(ctx context.Context, done func()) error
	informer bool // it is done when it knows all that was stored
	once     sync.Once
	done     chan struct{}
}

// PreShutdownHook runs after the chain was told to end and before it refuses requests.
type PreShutdownHook struct {
	Name string
	Run  func(ctx context.Context) error
}

// AddPostStartHook adds a hook that is done when it returns. Its ctx ends after the last request,
// and with it must end whatever the hook left running. Something that keeps running is better an
// AddController: the end waits for it.
func (s *GenericAPIServer) AddPostStartHook(name string, hook func(ctx context.Context) error) error {
	return s.addPostStartHook(&PostStartHook{Name: name, run: func(ctx context.Context, done func()) error {
		err := hook(ctx)
		if err == nil {
			done()
		}
		return err
	}})
}

// AddController adds a post-start hook that runs until its ctx ends, after the last request. It is
// done when the controller calls started. What is destroyed at the end, such as the store, is
// destroyed after the controller has returned.
func (s *GenericAPIServer) AddController(name string, run func(ctx context.Context, started func()) error) error {
	return s.addPostStartHook(&PostStartHook{Name: name, run: untilTheEnd(run)})
}

// AddInformer adds a controller that keeps in memory what is stored, and calls synced when it knows all that there was. Until all informers do, the
// readiness check informer-sync fails: a server that does not know of a role or an APIService would refuse what it should serve.
func (s *GenericAPIServer) AddInformer(name string, run func(ctx context.Context, synced func()) error) error {
	return s.addPostStartHook(&PostStartHook{Name: name, run: untilTheEnd(run), informer: true})
}

func untilTheEnd(run func(ctx context.Context, started func()) error) func(ctx context.Context, done func()) error {
	return func(ctx context.Context, done func()) error {
		err := run(ctx, done)
		if err == nil && ctx.Err() == nil {
			return errors.New("the controller returned before the end")
		}
		return err
	}
}

func (s *GenericAPIServer) addPostStartHook(h *PostStartHook) error {
	h.done = make(chan struct{})
	err := s.contribute("post-start hook", h.Name, func(c *Contributions) error {
		for _, other := range c.PostStartHooks {
			if other.Name == h.Name {
				return errDuplicate
			}
		}
		c.PostStartHooks = append(c.PostStartHooks, h)
		return nil
	})
	if err != nil {
		return err
	}
	return s.AddBootSequenceHealthChecks(h.healthCheck())
}

// AddPreShutdownHook adds a hook that runs when the chain was told to end, while it still serves:
// the place to withdraw leases and endpoints. Hooks run one after another.
func (s *GenericAPIServer) AddPreShutdownHook(name string, run func(ctx context.Context) error) error {
	return s.contribute("pre-shutdown hook", name, func(c *Contributions) error {
		for _, other := range c.PreShutdownHooks {
			if other.Name == name {
				return errDuplicate
			}
		}
		c.PreShutdownHooks = append(c.PreShutdownHooks, PreShutdownHook{Name: name, Run: run})
		return nil
	})
}

func (h *PostStartHook) healthCheck() HealthCheck {
	return HealthCheck{
		Name: hookCheckPrefix + h.Name,
		Check: func(context.Context) error {
			if !h.isDone() {
				return errors.New("not finished")
			}
			return nil
		},
	}
}

func (h *PostStartHook) isDone() bool {
	select {
	case <-h.done:
		return true
	default:
		return false
	}
}

func (h *PostStartHook) start(ctx context.Context) error {
	err := h.run(ctx, func() { h.once.Do(func() { close(h.done) }) })
	if err == nil || ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return nil // the end of ctx is how a controller ends
	}
	return fmt.Errorf("running post-start hook %q: %w", h.Name, err)
}
