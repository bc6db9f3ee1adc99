package serving

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"syscall"
)

// Listen opens the TCP port that the server is reached on; port 0 takes a free one. Its errors say
// in one line what is wrong and what to do about it.
func Listen(addr string, port int) (net.Listener, error) {
	hostPort := net.JoinHostPort(addr, strconv.Itoa(port))
	ln, err := new(net.ListenConfig).Listen(context.Background(), "tcp", hostPort)
	switch {
	case err == nil:
		return ln, nil
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("address %s is in use: stop the other program or choose --secure-port", hostPort)
	case errors.Is(err, syscall.EACCES):
		return nil, fmt.Errorf("address %s is not permitted to this user: choose a --secure-port above 1023", hostPort)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return nil, fmt.Errorf("address %s is not one of this machine: choose another --bind-address", hostPort)
	}
	return nil, fmt.Errorf("listening on %s: %w", hostPort, err)
}

// keepAliveListener makes the kernel probe silent connections, so that clients that have vanished
// do not stay open for ever.
type keepAliveListener struct {
	net.Listener
}

func (l keepAliveListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	// Listeners of tests may hand out other connections, which have nothing to probe.
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetKeepAliveConfig(net.KeepAliveConfig{Enable: true, Idle: keepAlivePeriod, Interval: keepAlivePeriod})
	}
	return c, nil
}
