// Package proxy sends one request to one backend: a request that an APIService claims leaves the
// house here, with its user named in headers that only a front proxy may set, and its answer comes
// back as the backend gave it.
//
// A request passes, in this order: the choice of an endpoint, the rewriting of URL and headers, the
// round trip, and the streaming of the answer; one that asks for another protocol (WebSocket, SPDY)
// becomes two connections joined together.
package proxy
