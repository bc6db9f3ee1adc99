// Package aggregator is the first unit a request meets: what an APIService claims leaves through the proxy.
package aggregator
