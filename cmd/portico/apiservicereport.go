package main

import (
	"context"
	"fmt"
	"net"
	"strconv"

	discoveryv1 "k8s.io/api/discovery/v1"
	apiregistrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"
)

// apiServiceReport is one APIService and what is behind it.
type apiServiceReport struct {
	Name           string           `json:"name"`
	Service        string           `json:"service,omitempty"` // empty: a unit of this server
	ReadyEndpoints int              `json:"readyEndpoints"`
	Endpoints      []endpointReport `json:"endpoints,omitempty"`
	Available      bool             `json:"available"`
	Reason         string           `json:"reason,omitempty"`
	Message        string           `json:"message,omitempty"`
	Requests       answers          `json:"requests"`
}

// endpointReport is one replica of a server.
type endpointReport struct {
	Address string `json:"address"`
	Ready   bool   `json:"ready"`             // its service says so
	LeftOut bool   `json:"leftOut,omitempty"` // it fails
}

// apiServices are all, as they are stored and as they fare.
func (c *frontClient) apiServices(ctx context.Context, i *interval) ([]apiregistrationv1.APIService, []apiServiceReport, error) {
	var services apiregistrationv1.APIServiceList
	if err := c.get(ctx, "/apis/apiregistration.k8s.io/v1/apiservices", &services); err != nil {
		return nil, nil, fmt.Errorf("listing APIServices: %w", err)
	}
	endpoints, err := c.endpoints(ctx, services.Items)
	if err != nil {
		return nil, nil, err
	}
	all := make([]apiServiceReport, len(services.Items))
	for n := range services.Items {
		a := &services.Items[n]
		all[n] = i.apiService(a)
		all[n].Endpoints = append([]endpointReport(nil), endpoints[all[n].Service]...) // those of another APIService may fare otherwise
		i.judge(&all[n])
	}
	return services.Items, all, nil
}

// endpoints are those of each service that has any, by namespace/name. Nothing is asked when nothing is served elsewhere.
func (c *frontClient) endpoints(ctx context.Context, services []apiregistrationv1.APIService) (map[string][]endpointReport, error) {
	found := map[string][]endpointReport{}
	for n := range services {
		if s := services[n].Spec.Service; s != nil {
			found[s.Namespace+"/"+s.Name] = nil
		}
	}
	if len(found) == 0 {
		return found, nil
	}
	var list discoveryv1.EndpointSliceList
	if err := c.get(ctx, "/apis/discovery.k8s.io/v1/endpointslices", &list); err != nil {
		return nil, fmt.Errorf("listing the endpoints: %w", err)
	}
	for n := range list.Items {
		slice := &list.Items[n]
		name := slice.Namespace + "/" + slice.Labels[discoveryv1.LabelServiceName]
		if _, wanted := found[name]; wanted {
			found[name] = append(found[name], endpointsOf(slice)...)
		}
	}
	return found, nil
}

func endpointsOf(slice *discoveryv1.EndpointSlice) []endpointReport {
	var all []endpointReport
	for _, e := range slice.Endpoints {
		if len(e.Addresses) == 0 {
			continue
		}
		address := e.Addresses[0] // the others are the same backend
		if len(slice.Ports) > 0 && slice.Ports[0].Port != nil {
			address = net.JoinHostPort(address, strconv.Itoa(int(*slice.Ports[0].Port)))
		}
		all = append(all, endpointReport{Address: address, Ready: e.Conditions.Ready == nil || *e.Conditions.Ready})
	}
	return all
}

func (i *interval) apiService(a *apiregistrationv1.APIService) apiServiceReport {
	r := apiServiceReport{Name: a.Name, Requests: i.answers(labels{"group": a.Spec.Group, "version": a.Spec.Version, "resource": "!"})}
	if s := a.Spec.Service; s != nil {
		r.Service = s.Namespace + "/" + s.Name
	}
	for _, c := range a.Status.Conditions {
		if c.Type == apiregistrationv1.Available {
			r.Available, r.Reason, r.Message = c.Status == apiregistrationv1.ConditionTrue, c.Reason, c.Message
		}
	}
	return r
}

// judge counts the endpoints that have requests.
func (i *interval) judge(r *apiServiceReport) {
	for n := range r.Endpoints {
		e := &r.Endpoints[n]
		e.LeftOut = i.last.sum("portico_backend_left_out", labels{"apiservice": r.Name, "endpoint": e.Address}) > 0
		if e.Ready && !e.LeftOut {
			r.ReadyEndpoints++
		}
	}
}
