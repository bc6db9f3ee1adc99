package delegation

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// HealthCheck is one line of /readyz?verbose.
type HealthCheck struct {
	Name string
	// Group lets several checks be excluded with one ?exclude=; it may be empty.
	Group string
	// Check returns why it fails. Only the log and the check's own path tell clients.
	Check func(ctx context.Context) error
}

// HealthChecks are the checks of each endpoint, in the order they are shown.
type HealthChecks struct {
	Healthz, Livez, Readyz []HealthCheck
}

// NewHealthCheck returns a check that fails when check does not answer within timeout.
func NewHealthCheck(name string, timeout time.Duration, check func(ctx context.Context) error) HealthCheck {
	return HealthCheck{Name: name, Check: func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, timeout)
		defer cancel()
		return check(ctx)
	}}
}

// AddHealthChecks adds checks to /healthz, /livez and /readyz.
func (s *GenericAPIServer) AddHealthChecks(checks ...HealthCheck) error {
	return s.addChecks(checks, func(c HealthCheck, to *HealthChecks) error {
		return errors.Join(add(&to.Healthz, c), add(&to.Livez, c), add(&to.Readyz, c))
	})
}

// AddLivezChecks adds checks to /healthz and /livez: what only a restart would cure.
func (s *GenericAPIServer) AddLivezChecks(checks ...HealthCheck) error {
	return s.addChecks(checks, func(c HealthCheck, to *HealthChecks) error {
		return errors.Join(add(&to.Healthz, c), add(&to.Livez, c))
	})
}

// AddReadyzChecks adds checks to /readyz only: what makes a server useless for now, and what a
// restart would not cure.
func (s *GenericAPIServer) AddReadyzChecks(checks ...HealthCheck) error {
	return s.addChecks(checks, func(c HealthCheck, to *HealthChecks) error {
		return add(&to.Readyz, c)
	})
}

// AddBootSequenceHealthChecks adds checks that fail at start to /healthz, /livez and /readyz.
// /livez takes them for passed during the LivezGracePeriod: who restarts what is not alive must
// not restart what is still starting.
func (s *GenericAPIServer) AddBootSequenceHealthChecks(checks ...HealthCheck) error {
	return s.addChecks(checks, func(c HealthCheck, to *HealthChecks) error {
		lenient := c
		lenient.Check = graceful(c.Check, s.created.Add(s.config.LivezGracePeriod))
		return errors.Join(add(&to.Healthz, c), add(&to.Livez, lenient), add(&to.Readyz, c))
	})
}

func (s *GenericAPIServer) addChecks(checks []HealthCheck, to func(HealthCheck, *HealthChecks) error) error {
	for _, c := range checks {
		err := s.contribute("health check", c.Name, func(all *Contributions) error { return to(c, &all.HealthChecks) })
		if err != nil {
			return err
		}
	}
	return nil
}

// add appends c unless its name is taken.
func add(checks *[]HealthCheck, c HealthCheck) error {
	for _, other := range *checks {
		if other.Name == c.Name {
			return errDuplicate
		}
	}
	*checks = append(*checks, c)
	return nil
}

// takeOver appends the checks of a delegate. A check that the unit in front has too is skipped:
// ping and etcd are the same for the whole chain.
func (h *HealthChecks) takeOver(delegate HealthChecks) {
	for _, c := range delegate.Healthz {
		_ = add(&h.Healthz, c)
	}
	for _, c := range delegate.Livez {
		_ = add(&h.Livez, c)
	}
	for _, c := range delegate.Readyz {
		_ = add(&h.Readyz, c)
	}
}

func graceful(check func(context.Context) error, until time.Time) func(context.Context) error {
	return func(ctx context.Context) error {
		err := check(ctx)
		if err != nil && time.Now().Before(until) {
			return nil
		}
		return err
	}
}

// pingHealthCheck passes whenever the process can answer at all.
func pingHealthCheck() HealthCheck {
	return HealthCheck{Name: "ping", Check: func(context.Context) error { return nil }}
}

// informerSyncHealthCheck fails until what is kept in memory of the store is there.
func informerSyncHealthCheck(hooks []*PostStartHook) HealthCheck {
	return HealthCheck{Name: "informer-sync", Check: func(context.Context) error {
		var missing []string
		for _, h := range hooks {
			if h.informer && !h.isDone() {
				missing = append(missing, h.Name)
			}
		}
		if len(missing) > 0 {
			return fmt.Errorf("%d informers not synced yet: %v", len(missing), missing)
		}
		return nil
	}}
}

// shutdownHealthCheck fails from the first moment of the end.
func shutdownHealthCheck(l *Lifecycle) HealthCheck {
	return HealthCheck{Name: "shutdown", Check: func(context.Context) error {
		if l.ShutdownInitiated.isPassed() {
			return errors.New("process is shutting down")
		}
		return nil
	}}
}
