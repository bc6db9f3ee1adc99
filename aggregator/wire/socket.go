package wire

import (
	"net"
	"syscall"
)

// socket is the connection below TLS. While it is only looking, a read returns what has arrived and
// never waits: that is how an idle connection is asked whether its peer has closed it or has sent
// what nobody asked for, without a goroutine that waits for either.
type socket struct {
	net.Conn
	raw     syscall.RawConn // nil when the platform cannot look
	looking bool

	look func(fd uintptr) bool // made once: a closure for each look would be an allocation
	into []byte
	n    int
	err  error
}

func newSocket(c net.Conn) *socket {
	s := &socket{Conn: c}
	if sc, ok := c.(syscall.Conn); ok && canLook {
		if raw, err := sc.SyscallConn(); err == nil {
			s.raw = raw
			s.look = func(fd uintptr) bool {
				s.n, s.err = readNow(fd, s.into)
				return true
			}
		}
	}
	return s
}

// Read implements net.Conn.
func (s *socket) Read(p []byte) (int, error) {
	if !s.looking {
		return s.Conn.Read(p)
	}
	if s.raw == nil {
		return 0, errNothing{}
	}
	s.into = p
	err := s.raw.Read(s.look)
	s.into = nil
	if err != nil {
		return 0, err
	}
	return s.n, s.err
}

// errNothing tells that nothing has arrived. It is temporary, so that TLS goes on after it.
type errNothing struct{}

func (errNothing) Error() string   { return "nothing has arrived" }
func (errNothing) Timeout() bool   { return true }
func (errNothing) Temporary() bool { return true }
