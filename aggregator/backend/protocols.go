package backend

import (
	"sync/atomic"
	"time"

	"github.com/portico-api/portico/aggregator/wire"
)

// askAgain is how long it is believed that an endpoint does not speak one of the protocols.
const askAgain = int64(time.Minute)

// protocols is what is known of what an endpoint speaks. It comes from handshakes that were made anyway: that with an API server, which has both
// protocols, is the one that it always was until there is a watch. An endpoint may come back as another server at any time, so all of it is only what was
// seen last, and each new connection may change it.
type protocols struct {
	// When HTTP/1.1 was chosen although both were offered, and when it was refused, by the transport's clock; 0 if it was not.
	onlyHTTP1, refused atomic.Int64
}

// share tells whether a request goes over a shared connection.
func (s *protocols) share(need wire.Need, t *Transport) bool {
	if need.Alone || s.refused.Load() != 0 {
		return !need.Alone
	}
	if !need.Long {
		return false
	}
	since := s.onlyHTTP1.Load()
	return since == 0 || t.clock()-since > askAgain
}

// askOnce tells whether HTTP/1.1 is to be tried for a request although it was refused, which is long ago.
func (s *protocols) askOnce(need wire.Need, now int64) bool {
	refused := s.refused.Load()
	return !need.Long && refused != 0 && now-refused > askAgain
}

// doubt tells whether a connection for which HTTP/1.1 alone was offered turned out to be of no use. A server that confirms no protocol either knows nothing of
// this choice, and speaks HTTP/1.1, or it has HTTP/2 alone and shows it only to who offers that.
func (s *protocols) doubt(c *wire.Conn, err error, now int64) bool {
	switch {
	case err != nil && !wire.Refuses(err):
		return false
	case err == nil && c.Negotiated() == wire.HTTP1:
		if s.refused.Load() != 0 {
			s.refused.Store(0)
		}
		return false
	case err == nil && s.onlyHTTP1.Load() != 0:
		return false
	}
	s.refused.Store(now)
	return true
}

// chose notes what an endpoint chose when it was offered both.
func (s *protocols) chose(protocol string, now int64) {
	if protocol == wire.HTTP2 {
		s.onlyHTTP1.Store(0)
		return
	}
	s.onlyHTTP1.Store(now)
	s.refused.Store(0)
}
