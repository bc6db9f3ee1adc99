// Package serving is where the client meets us: sockets, TLS, HTTP/2, drain. Every request goes to
// one handler, of which this package knows nothing.
//
// A connection passes, in this order: the keep-alive listener, the TLS handshake (which asks for a
// client certificate but leaves judging it to authentication), for HTTP/1.1 the check of message
// framing, and net/http's server.
package serving
