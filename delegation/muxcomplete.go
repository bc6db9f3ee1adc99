package delegation

// MuxCompleteSignal is closed when a unit has installed all that it knows of at start.
type MuxCompleteSignal struct {
	Name   string
	Closed <-chan struct{}
}

// AddMuxCompleteSignal makes a path that nobody claims 503 instead of 404 until closed is closed.
func (s *GenericAPIServer) AddMuxCompleteSignal(name string, closed <-chan struct{}) error {
	return s.contribute("mux-completeness signal", name, func(c *Contributions) error {
		for _, other := range c.MuxCompleteSignals {
			if other.Name == name {
				return errDuplicate
			}
		}
		c.MuxCompleteSignals = append(c.MuxCompleteSignals, MuxCompleteSignal{Name: name, Closed: closed})
		s.muxCompleted.Store(false)
		return nil
	})
}

// muxComplete tells whether every signal of the unit and its delegates is closed. Each request
// asks, so the answer yes, which is final, costs one load.
func (s *GenericAPIServer) muxComplete() bool {
	if s.muxCompleted.Load() {
		return true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, signal := range s.contributions.MuxCompleteSignals {
		select {
		case <-signal.Closed:
		default:
			return false
		}
	}
	s.muxCompleted.Store(true)
	return true
}
