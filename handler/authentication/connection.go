package authentication

import (
	"context"
	"net"
	"sync/atomic"
)

// connection keeps what was found out about the client certificate of one connection. Requests of one HTTP/2
// connection read and write it at the same time.
type connection struct {
	client atomic.Pointer[verdict]
	proxy  atomic.Pointer[verdict]
}

type connectionKey struct{}

// WithConnection returns a context in which the verdict on the connection's client certificate is kept for
// its later requests. It is an http.Server's ConnContext; without it, every request verifies again.
func WithConnection(ctx context.Context, _ net.Conn) context.Context {
	return context.WithValue(ctx, connectionKey{}, new(connection))
}

func connectionFrom(ctx context.Context) (*connection, bool) {
	c, ok := ctx.Value(connectionKey{}).(*connection)
	return c, ok
}
