// Package serving is where the client meets us: sockets, TLS, HTTP/2, drain.
package serving
