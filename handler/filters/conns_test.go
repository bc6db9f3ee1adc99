package filters_test

import (
	"context"
	"net"
	"net/http/httptrace"
)

// withConns notes the connection of each request.
func withConns(ctx context.Context, conns *[]net.Conn) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(info httptrace.GotConnInfo) { *conns = append(*conns, info.Conn) },
	})
}
