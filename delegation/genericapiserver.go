package delegation

import (
	"fmt"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/portico-api/portico/handler"
)

// GenericAPIServer is one unit of the chain. It is made by Config.New, filled with groups, hooks
// and checks, prepared and, if it is the front, run.
type GenericAPIServer struct {
	// Name tells the units apart in logs and errors.
	Name string
	// Handler dispatches requests inside the unit.
	Handler *handler.APIServerHandler

	config        Config
	delegate      DelegationTarget
	delegatePaths func() []string
	inherited     inherited
	created       time.Time
	muxCompleted  atomic.Bool
	groups        *groupIndex
	prepare       sync.Once

	mu            sync.Mutex
	contributions Contributions
	// sealed says why nothing can be contributed any more; empty while it can.
	sealed string
}

// UnprotectedHandler is the unit without filters, for the unit in front of it.
func (s *GenericAPIServer) UnprotectedHandler() http.Handler { return s.Handler.Director }

// ListedPaths are the paths that GET / shows: the unit's and, behind them, its delegates'.
func (s *GenericAPIServer) ListedPaths() []string {
	paths := s.Handler.ListedPaths()
	if s.delegatePaths != nil {
		paths = append(paths, s.delegatePaths()...)
	}
	slices.Sort(paths)
	return slices.Compact(paths)
}

// Contributions implements DelegationTarget.
func (s *GenericAPIServer) Contributions() Contributions {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seal("belongs to the unit in front of it already")
	c := s.contributions
	c.ListedPaths, c.Units = s.ListedPaths, s.Units
	return c
}

// AddDestroyFunc adds what is to be freed after the last request, hook and controller, the last
// added first.
func (s *GenericAPIServer) AddDestroyFunc(name string, destroy func() error) error {
	return s.contribute("destroy function", name, func(c *Contributions) error {
		c.Destroy = slices.Insert(slices.Clone(c.Destroy), 0, func() error {
			if err := destroy(); err != nil {
				return fmt.Errorf("destroying %s: %w", name, err)
			}
			return nil
		})
		return nil
	})
}

// takeOver makes what the delegate contributes this unit's own. It comes first: nothing of the
// unit's own, but for the checks of the configuration, is there yet to clash with.
func (s *GenericAPIServer) takeOver(c Contributions) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.contributions.PostStartHooks = slices.Clone(c.PostStartHooks)
	s.contributions.PreShutdownHooks = slices.Clone(c.PreShutdownHooks)
	s.contributions.MuxCompleteSignals = slices.Clone(c.MuxCompleteSignals)
	s.contributions.Destroy = slices.Clone(c.Destroy)
	s.contributions.HealthChecks.takeOver(c.HealthChecks)
	s.delegatePaths = c.ListedPaths
	s.inherited = inherited{c.Units, len(c.PostStartHooks), c.HealthChecks.Readyz}
}

func (s *GenericAPIServer) seal(why string) {
	if s.sealed == "" {
		s.sealed = why
	}
}

// contribute makes one change to what the unit contributes, unless nobody would hear of it.
func (s *GenericAPIServer) contribute(what, name string, change func(*Contributions) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sealed != "" {
		return fmt.Errorf("adding %s %q to unit %s: it %s", what, name, s.Name, s.sealed)
	}
	if name == "" {
		return fmt.Errorf("adding %s to unit %s: it has no name", what, s.Name)
	}
	if err := change(&s.contributions); err != nil {
		return fmt.Errorf("adding %s %q to unit %s: %w", what, name, s.Name, err)
	}
	return nil
}
