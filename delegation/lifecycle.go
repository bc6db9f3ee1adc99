package delegation

import (
	"context"
	"sync"

	"k8s.io/klog/v2"
)

// Lifecycle are the points that a chain passes on its way out, in this order (contract 11.2). All
// units of a chain share one: whoever must end in time waits for the signal that concerns it.
type Lifecycle struct {
	// ShutdownInitiated: readyz fails, everything else goes on.
	ShutdownInitiated *Signal
	// AfterShutdownDelay: load balancers have had their time to notice.
	AfterShutdownDelay *Signal
	// PreShutdownHooksStopped: the hooks have run; they do so during the delay.
	PreShutdownHooksStopped *Signal
	// NotAcceptingNewRequest: the listener closes, and new requests on open connections are refused.
	NotAcceptingNewRequest *Signal
	// InFlightRequestsDrained: every short request has its answer.
	InFlightRequestsDrained *Signal
	// WatchesTerminating: watches and other streams end by themselves now.
	WatchesTerminating *Signal
	// HTTPServerStopped: there are no connections any more.
	HTTPServerStopped *Signal
}

// NewLifecycle returns the lifecycle of one chain, before its start.
func NewLifecycle() *Lifecycle {
	return &Lifecycle{
		ShutdownInitiated:       newSignal("ShutdownInitiated"),
		AfterShutdownDelay:      newSignal("AfterShutdownDelayDuration"),
		PreShutdownHooksStopped: newSignal("PreShutdownHooksStopped"),
		NotAcceptingNewRequest:  newSignal("NotAcceptingNewRequest"),
		InFlightRequestsDrained: newSignal("InFlightRequestsDrained"),
		WatchesTerminating:      newSignal("WatchesTerminating"),
		HTTPServerStopped:       newSignal("HTTPServerStoppedListening"),
	}
}

// Signal is a point in time that is passed once.
type Signal struct {
	name   string
	once   sync.Once
	passed context.Context
	pass   context.CancelFunc
}

func newSignal(name string) *Signal {
	passed, pass := context.WithCancel(context.Background())
	return &Signal{name: name, passed: passed, pass: pass}
}

// Signaled is closed when the point has been passed.
func (s *Signal) Signaled() <-chan struct{} { return s.passed.Done() }

// Context ends when the point has been passed: thousands can wait for that without a goroutine each.
func (s *Signal) Context() context.Context { return s.passed }

func (s *Signal) String() string { return s.name }

func (s *Signal) signal(ctx context.Context) {
	s.once.Do(func() {
		klog.FromContext(ctx).V(1).Info("Shutdown passed a point", "signal", s.name)
		s.pass()
	})
}

func (s *Signal) isPassed() bool {
	select {
	case <-s.passed.Done():
		return true
	default:
		return false
	}
}
