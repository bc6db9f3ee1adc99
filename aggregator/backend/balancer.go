package backend

import (
	"math/rand/v2"
	"sync/atomic"
)

// endpoint is one address of a service and how many requests are on their way to it.
type endpoint struct {
	address  string
	inFlight atomic.Int64
	// release is e.done, bound once: a method value made for each request would be an allocation.
	release func()
}

func newEndpoint(address string) *endpoint {
	e := &endpoint{address: address}
	e.release = e.done
	return e
}

func (e *endpoint) done() { e.inFlight.Add(-1) }

// endpointSet is the answer of the resolver for some facts; it is immutable, its endpoints count.
type endpointSet struct {
	facts     facts
	endpoints []*endpoint
	err       error
}

// newEndpointSet resolves ref from f. Endpoints of the former set are taken over, so that what is
// in flight to an address stays counted when another one comes or goes.
func newEndpointSet(f facts, ref ServiceReference, former *endpointSet) *endpointSet {
	addresses, err := f.addresses(ref)
	s := &endpointSet{facts: f, err: err}
	known := map[string]*endpoint{}
	if former != nil {
		for _, e := range former.endpoints {
			known[e.address] = e
		}
	}
	for _, address := range addresses {
		e, ok := known[address]
		if !ok {
			e = newEndpoint(address)
		}
		s.endpoints = append(s.endpoints, e)
	}
	return s
}

// choose returns the less loaded of two endpoints drawn at random: nearly as even as looking at
// all of them, at a cost that does not grow, and without the stampede to the one best endpoint.
func (s *endpointSet) choose() *endpoint {
	n := len(s.endpoints)
	if n == 1 {
		return s.endpoints[0]
	}
	i := rand.IntN(n)
	j := rand.IntN(n - 1)
	if j >= i {
		j++
	}
	a, b := s.endpoints[i], s.endpoints[j]
	if b.inFlight.Load() < a.inFlight.Load() {
		return b
	}
	return a
}
