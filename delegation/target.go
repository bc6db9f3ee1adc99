package delegation

import (
	"errors"
	"net/http"
)

// DelegationTarget is what a unit sees of the next one.
type DelegationTarget interface {
	// UnprotectedHandler answers requests that have passed the filters of the front already.
	UnprotectedHandler() http.Handler
	// Contributions are what the unit in front takes over. Taking them ends the time in which
	// more may be added.
	Contributions() Contributions
	// PrepareRun installs what depends on everything else being installed, delegate first.
	PrepareRun() PreparedAPIServer
}

// Contributions are what a unit and all units behind it add to the unit in front.
type Contributions struct {
	PostStartHooks   []*PostStartHook
	PreShutdownHooks []PreShutdownHook
	HealthChecks     HealthChecks
	// MuxCompleteSignals are closed when a path that nobody claims is known to exist nowhere.
	MuxCompleteSignals []MuxCompleteSignal
	// ListedPaths are what GET / shows; nil lists nothing.
	ListedPaths func() []string
	// Units tells of the units that contribute; nil tells of none.
	Units func() []UnitStatus
	// Destroy is called after the last request, outermost unit first.
	Destroy []func() error
}

// errDuplicate tells that a contribution of that name was made before, here or by a delegate.
var errDuplicate = errors.New("there is one of that name already")
