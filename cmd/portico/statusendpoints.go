package main

import (
	"cmp"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"

	discoveryv1 "k8s.io/api/discovery/v1"
)

// The states of an endpoint.
const (
	endpointReady    = "ready"
	endpointLeftOut  = "left out"  // it failed, and has no requests until it can be reached again
	endpointFailing  = "failing"   // the last one is never left out, but the APIService is: its server does not answer as it should
	endpointNotReady = "not ready" // its EndpointSlice says so
)

// endpointReport is one endpoint of an APIService and what the proxy saw of it.
type endpointReport struct {
	Address     string  `json:"address"`
	State       string  `json:"state"`
	Requests    answers `json:"requests"`
	InFlight    int     `json:"inFlight"`
	Connections int     `json:"connections"`
	Retries     int64   `json:"retries"`
	BrokenOff   int64   `json:"brokenOff"` // and connections that could not be made
	Ejections   int64   `json:"ejections"`
}

// endpointsOf are those that the proxy knows of an APIService: the ready ones.
func (i *interval) endpointsOf(apiService string) []endpointReport {
	var all []endpointReport
	for address := range i.last.values("portico_backend_inflight_requests", "endpoint", labels{"apiservice": apiService}) {
		all = append(all, i.endpoint(labels{"apiservice": apiService, "endpoint": address}, address))
	}
	slices.SortFunc(all, func(a, b endpointReport) int { return cmp.Compare(a.Address, b.Address) })
	return all
}

func (i *interval) endpoint(l labels, address string) endpointReport {
	const requests = "portico_backend_requests_total"
	total := func(name string) int64 { return int64(i.last.sum(name, l)) }
	e := endpointReport{
		Address: address, State: endpointReady,
		Requests: answers{
			PerSecond: i.perSecond(requests, l), Total: total(requests), Failed: int64(i.last.failed(requests, l)),
			P99Seconds: i.last.within(0.99, "portico_backend_request_duration_seconds", l),
		},
		InFlight: int(total("portico_backend_inflight_requests")), Connections: int(total("portico_backend_connections")),
		Retries: total("portico_backend_retries_total"), BrokenOff: total("portico_backend_failures_total"), Ejections: total("portico_backend_ejections_total"),
	}
	if total("portico_backend_left_out") > 0 {
		e.State = endpointLeftOut
	}
	return e
}

// unused are the endpoints that slices have and the proxy does not know: because they are not ready, or not yet.
func unused(found []discoveryv1.EndpointSlice, known []endpointReport) []endpointReport {
	var all []endpointReport
	for _, slice := range found {
		for _, e := range slice.Endpoints {
			if len(e.Addresses) == 0 {
				continue
			}
			host, state := e.Addresses[0], endpointReady // other addresses are of the same backend
			if !isReady(&e) {
				state = endpointNotReady
			}
			address := withPort(host, slice.Ports)
			if !slices.ContainsFunc(known, func(k endpointReport) bool { return isAt(k.Address, address) }) {
				all = append(all, endpointReport{Address: address, State: state})
			}
		}
	}
	return all
}

// isAt tells whether an endpoint is at an address, which has no port when nobody knows which of several it is.
func isAt(endpoint, address string) bool {
	if endpoint == address {
		return true
	}
	host, _, err := net.SplitHostPort(endpoint)
	return err == nil && host == address
}

func isReady(e *discoveryv1.Endpoint) bool { return e.Conditions.Ready == nil || *e.Conditions.Ready }

// withPort names an address by its only port, or by none.
func withPort(host string, ports []discoveryv1.EndpointPort) string {
	if len(ports) != 1 || ports[0].Port == nil {
		return host
	}
	return net.JoinHostPort(host, strconv.Itoa(int(*ports[0].Port)))
}

func (r *report) printEndpoints(w io.Writer) {
	begun := false
	for _, a := range r.APIServices {
		for _, e := range a.Endpoints {
			if !begun {
				fmt.Fprintln(w, "ENDPOINT\tAPISERVICE\tSTATE\tIN FLIGHT\tCONNECTIONS\tREQUESTS/S\tTOTAL\tFAILED\t99% WITHIN\tTRIED AGAIN\tBROKEN OFF\tLEFT OUT")
				begun = true
			}
			q := &e.Requests
			fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%d\t%s\t%d\t%s\t%s\t%d\t%d\t%d\n", e.Address, a.Name, e.State, e.InFlight, e.Connections,
				rate(q.PerSecond), q.Total, share(q.Failed, q.Total), seconds(q.P99Seconds), e.Retries, e.BrokenOff, e.Ejections)
		}
	}
	if begun {
		fmt.Fprintln(w)
	}
}
