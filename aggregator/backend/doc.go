// Package backend knows who is behind an APIService: a request that leaves the house through
// aggregator/proxy learns here which endpoint it goes to, and travels on a connection made here.
//
// A Resolver turns a service and a port into addresses, a Transport spreads the requests of one
// APIService over them and owns the connections. There is no node network and no kube-proxy, so a
// Service means its ready endpoints, never its cluster IP.
package backend
