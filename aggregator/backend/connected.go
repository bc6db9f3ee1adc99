package backend

import "slices"

// Connected returns the address of an endpoint, not except, that a connection waits for or that has a shared one. Our own requests go there: they are few
// and come from nobody who has to be spread, and a server at rest then costs one connection, however many endpoints it has.
func (t *Transport) Connected(except string) (address string, ok bool) {
	current := t.connections.Load()
	if current == nil {
		return "", false
	}
	for _, e := range t.endpoints().endpoints {
		if e.address != except && !e.health.ejected.Load() && e.isConnected(current) {
			return e.address, true
		}
	}
	return "", false
}

// isConnected tells whether a connection with the certificate of p waits, or is shared by whoever comes.
func (e *Endpoint) isConnected(p *pool) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if n := len(e.idle); n > 0 && e.idle[n-1].certificate == p.certificate {
		return true
	}
	return slices.ContainsFunc(e.shared.all, func(c *sharedConn) bool { return c.certificate == p.certificate })
}
