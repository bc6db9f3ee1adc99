package main

import (
	"context"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apiregistrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"
)

// remove deletes the APIService, and what was made for it if no other needs it.
func (r *registration) remove(ctx context.Context, client *frontClient) error {
	var mine apiregistrationv1.APIService
	if err := client.get(ctx, apiServicePath(r.apiServiceName()), &mine); err != nil {
		return err
	}
	if mine.Spec.Service == nil {
		return errServedHere
	}
	if err := client.delete(ctx, apiServicePath(mine.Name)); err != nil {
		return err
	}
	return r.sweep(ctx, client, &mine)
}

// sweep deletes what was made for an APIService as it was, and is needed by none that is there.
func (r *registration) sweep(ctx context.Context, client *frontClient, former *apiregistrationv1.APIService) error {
	made := servicesOf(former)
	if len(made) == 0 {
		return nil
	}
	var all apiregistrationv1.APIServiceList
	if err := client.get(ctx, "/apis/apiregistration.k8s.io/v1/apiservices", &all); err != nil {
		return err
	}
	for _, name := range made {
		if slices.ContainsFunc(all.Items, func(a apiregistrationv1.APIService) bool { return slices.Contains(servicesOf(&a), name) }) {
			continue
		}
		unneeded := *r
		unneeded.namespace, unneeded.service, _ = strings.Cut(name, "/")
		if err := unneeded.dropService(ctx, client); err != nil {
			return err
		}
	}
	return nil
}

// servicesOf are the Service that an APIService points to, and the one that was made for it if that is another: who applies a manifest after a
// registration has it point elsewhere. Each is namespace/name.
func servicesOf(a *apiregistrationv1.APIService) []string {
	var all []string
	if s := a.Spec.Service; s != nil {
		all = append(all, s.Namespace+"/"+s.Name)
	}
	if made := a.Annotations[madeFor]; made != "" && !slices.Contains(all, made) {
		all = append(all, made)
	}
	return all
}

// dropService deletes a Service and its slices, as far as they were made by a registration.
func (r *registration) dropService(ctx context.Context, client *frontClient) error {
	if err := r.dropSlices(ctx, client, nil); err != nil {
		return err
	}
	var service corev1.Service
	err := client.get(ctx, r.servicePath(), &service)
	if apierrors.IsNotFound(err) || err == nil && service.Labels[madeBy] != registrar {
		return nil
	}
	if err != nil {
		return err
	}
	return client.delete(ctx, r.servicePath())
}
