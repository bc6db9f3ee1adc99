package backend

import "math/rand/v2"

// endpointSet is the answer of the resolver for some facts; it is immutable, its endpoints count.
type endpointSet struct {
	facts     facts
	endpoints []*Endpoint
	err       error
}

// newEndpointSet resolves the service of t from f. Endpoints of the former set are taken over with their connections, so that what
// is in flight to an address stays counted when another one comes or goes. Those that come later are joining, and start slowly.
func newEndpointSet(f facts, t *Transport, former *endpointSet) (s *endpointSet, joining []*Endpoint) {
	addresses, err := f.addresses(t.cfg.Service)
	s = &endpointSet{facts: f, err: err}
	known := map[string]*Endpoint{}
	if former != nil {
		for _, e := range former.endpoints {
			known[e.address] = e
		}
	}
	for _, address := range addresses {
		e, ok := known[address]
		if !ok {
			e = newEndpoint(address, t, t.cfg.Observer.Meet(address))
			if former != nil && len(former.endpoints) > 0 {
				e.health.since.Store(t.clock())
				joining = append(joining, e)
			}
		}
		delete(known, address)
		s.endpoints = append(s.endpoints, e)
	}
	for _, e := range known {
		e.retire()
	}
	return s, joining
}

// choose returns the less loaded of two endpoints drawn at random: nearly as even as looking at
// all of them, at a cost that does not grow, and without the stampede to the one best endpoint. Both are shown to
// look. not is where the request has failed already; it is chosen when there is no other.
func (s *endpointSet) choose(not *Endpoint, now int64, look func(e *Endpoint, now int64)) *Endpoint {
	n := len(s.endpoints)
	if n == 1 {
		return s.endpoints[0]
	}
	i := rand.IntN(n)
	a := s.usable(i, not, nil)
	if a == nil {
		// All have been ejected: then that was no help, and each is tried.
		if s.endpoints[i] == not {
			i = (i + 1) % n
		}
		return s.endpoints[i]
	}
	look(a, now)
	b := s.usable(rand.IntN(n), not, a)
	if b == nil {
		return a
	}
	look(b, now)
	if b.inFlight.Load() < a.inFlight.Load() {
		a, b = b, a
	}
	if share := a.health.share(now); share < 1 && rand.Float64() > share {
		return b
	}
	return a
}

// usable returns the first endpoint from the i-th on that is not ejected and none of two others.
func (s *endpointSet) usable(i int, not, other *Endpoint) *Endpoint {
	for range s.endpoints {
		if e := s.endpoints[i]; e != not && e != other && !e.health.ejected.Load() {
			return e
		}
		if i++; i == len(s.endpoints) {
			i = 0
		}
	}
	return nil
}
