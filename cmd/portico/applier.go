package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	restclient "k8s.io/client-go/rest"
	"k8s.io/klog/v2"
)

// manifestsManager is who manages the fields that manifests set.
const manifestsManager = "portico-manifests"

const (
	// applyPatience is how long the server is not ready for want of what manifests need. What is still missing then, such as the server
	// behind an APIService, must not keep everything else from being served.
	applyPatience = 10 * time.Second
	applyPause    = 200 * time.Millisecond
	applyMaxPause = 10 * time.Second
)

// applier applies the manifests of a folder to the server it is part of.
type applier struct {
	manifests []manifest
	client    *frontClient
}

func newApplier(manifests []manifest, loopback *restclient.Config) (*applier, error) {
	client, err := restclient.HTTPClientFor(loopback)
	if err != nil {
		return nil, fmt.Errorf("making a client for --manifests-dir: %w", err)
	}
	return &applier{manifests, &frontClient{http: client, url: loopback.Host, manager: manifestsManager}}, nil
}

// run applies all manifests, those again that wait for something, and then waits for the end. A manifest that is refused ends it.
func (a *applier) run(ctx context.Context, started func()) error {
	pending, pause := a.manifests, applyPause
	deadline := time.Now().Add(applyPatience)
	for told := ""; len(pending) > 0; {
		waiting, why, err := a.pass(ctx, pending)
		if err != nil {
			return err
		}
		if len(waiting) < len(pending) {
			pause = applyPause
		}
		pending = waiting
		if len(pending) == 0 {
			break
		}
		if why != told {
			told = why
			klog.FromContext(ctx).Info("Manifests wait for something", "manifests", len(pending), "first", why)
		}
		if time.Now().After(deadline) {
			started()
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
		pause = min(2*pause, applyMaxPause)
	}
	klog.FromContext(ctx).Info("Applied the manifests", "manifests", len(a.manifests))
	started()
	<-ctx.Done()
	return ctx.Err()
}

// pass applies each manifest once, in order, and returns those that wait for something, and what the first waits for.
func (a *applier) pass(ctx context.Context, manifests []manifest) (waiting []manifest, why string, err error) {
	resources := map[schema.GroupVersion]*metav1.APIResourceList{}
	for _, m := range manifests {
		err := a.apply(ctx, m, resources)
		switch {
		case err == nil:
		case ctx.Err() != nil:
			return nil, "", ctx.Err()
		case isRefusal(err):
			return nil, "", fmt.Errorf("--manifests-dir: %s: %w", m.place, err)
		default:
			if waiting == nil {
				why = fmt.Sprintf("%s: %v", m.place, err)
			}
			waiting = append(waiting, m)
		}
	}
	return waiting, why, nil
}

// isRefusal tells whether an object will not be taken however long one waits.
func isRefusal(err error) bool {
	if apierrors.HasStatusCause(err, "NamespaceTerminating") {
		return false
	}
	return apierrors.IsInvalid(err) || apierrors.IsBadRequest(err) || apierrors.IsForbidden(err) || apierrors.IsMethodNotSupported(err) ||
		apierrors.IsRequestEntityTooLargeError(err) || apierrors.IsUnsupportedMediaType(err)
}

// apply applies one manifest. resources are what is known of group-versions already.
func (a *applier) apply(ctx context.Context, m manifest, resources map[schema.GroupVersion]*metav1.APIResourceList) error {
	path, err := a.pathOf(ctx, m, resources)
	if err != nil {
		return err
	}
	return a.client.apply(ctx, path, m.object.Object)
}

// pathOf is where the object of a manifest is served.
func (a *applier) pathOf(ctx context.Context, m manifest, resources map[schema.GroupVersion]*metav1.APIResourceList) (string, error) {
	gvk := m.object.GroupVersionKind()
	prefix := "/apis/" + gvk.GroupVersion().String()
	if gvk.Group == "" {
		prefix = "/api/" + gvk.Version
	}
	list := resources[gvk.GroupVersion()]
	if list == nil {
		list = &metav1.APIResourceList{}
		if err := a.client.get(ctx, prefix, list); err != nil {
			return "", err
		}
		resources[gvk.GroupVersion()] = list
	}
	for _, r := range list.APIResources {
		if r.Kind != gvk.Kind || strings.Contains(r.Name, "/") {
			continue
		}
		name := r.Name + "/" + url.PathEscape(m.object.GetName())
		if !r.Namespaced {
			return prefix + "/" + name, nil
		}
		namespace := m.object.GetNamespace()
		if namespace == "" {
			namespace = metav1.NamespaceDefault
			m.object.SetNamespace(namespace)
		}
		return prefix + "/namespaces/" + url.PathEscape(namespace) + "/" + name, nil
	}
	return "", errors.New("no kind " + gvk.Kind + " is served in " + gvk.GroupVersion().String())
}
