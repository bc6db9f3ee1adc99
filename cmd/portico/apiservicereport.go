package main

import (
	"context"
	"fmt"

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

// apiServices are all, as they are stored and as they fare.
func (c *frontClient) apiServices(ctx context.Context, i *interval) ([]apiregistrationv1.APIService, []apiServiceReport, error) {
	var services apiregistrationv1.APIServiceList
	if err := c.get(ctx, "/apis/apiregistration.k8s.io/v1/apiservices", &services); err != nil {
		return nil, nil, fmt.Errorf("listing APIServices: %w", err)
	}
	slices, err := c.endpointSlices(ctx, services.Items)
	if err != nil {
		return nil, nil, err
	}
	all := make([]apiServiceReport, len(services.Items))
	for n := range services.Items {
		a := &services.Items[n]
		all[n] = i.apiService(a)
		all[n].setEndpoints(i.endpointsOf(a.Name), slices[all[n].Service])
	}
	return services.Items, all, nil
}

// endpointSlices are those of each service that has any, by namespace/name. Nothing is asked when nothing is served elsewhere.
func (c *frontClient) endpointSlices(ctx context.Context, services []apiregistrationv1.APIService) (map[string][]discoveryv1.EndpointSlice, error) {
	found := map[string][]discoveryv1.EndpointSlice{}
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
	for _, slice := range list.Items {
		name := slice.Namespace + "/" + slice.Labels[discoveryv1.LabelServiceName]
		if _, wanted := found[name]; wanted {
			found[name] = append(found[name], slice)
		}
	}
	return found, nil
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

// setEndpoints has those that the proxy knows, and those that it does not use.
func (r *apiServiceReport) setEndpoints(known []endpointReport, found []discoveryv1.EndpointSlice) {
	r.Endpoints = append(known, unused(found, known)...)
	for n := range r.Endpoints {
		e := &r.Endpoints[n]
		if e.State == endpointReady && r.Reason == "FailedDiscoveryCheck" {
			e.State = endpointFailing
		}
		if e.State == endpointReady {
			r.ReadyEndpoints++
		}
	}
}
