package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync/atomic"
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
	// applyPatience is how long the server is not ready because a manifest could not be applied. What keeps it from that, such as the server
	// behind an APIService, an object that another has made immutable or a policy, must not keep everything else from being served: the
	// way to mend it leads through this server.
	applyPatience = 10 * time.Second
	applyTimeout  = 10 * time.Second // of one request
	applyPause    = 200 * time.Millisecond
	applyMaxPause = 10 * time.Second
)

// applier applies the manifests of a folder to the server it is part of.
type applier struct {
	all    []*appliedManifest
	client *frontClient
}

// appliedManifest is one that is applied until it is taken, and what was told of it last.
type appliedManifest struct {
	manifest
	told  string
	taken atomic.Bool
}

func newApplier(manifests []manifest, loopback *restclient.Config) (*applier, error) {
	client, err := restclient.HTTPClientFor(loopback)
	if err != nil {
		return nil, fmt.Errorf("making a client for --manifests-dir: %w", err)
	}
	client.Timeout = applyTimeout
	a := &applier{client: &frontClient{http: client, url: loopback.Host, manager: manifestsManager}}
	for _, m := range manifests {
		a.all = append(a.all, &appliedManifest{manifest: m})
	}
	return a, nil
}

// run applies all manifests, those again that could not be, and then waits for the end.
func (a *applier) run(ctx context.Context, started func()) error {
	defer a.client.http.CloseIdleConnections()
	late := time.AfterFunc(applyPatience, func() {
		klog.Warning(a.lacking())
		started()
	})
	defer late.Stop()
	pending, pause := a.all, applyPause
	for {
		left := a.pass(ctx, pending)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if len(left) == 0 {
			break
		}
		if len(left) < len(pending) {
			pause = applyPause
		}
		pending = left
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pause):
		}
		pause = min(2*pause, applyMaxPause)
	}
	late.Stop()
	klog.FromContext(ctx).Info("Applied the manifests", "manifests", len(a.all))
	started()
	<-ctx.Done()
	return ctx.Err()
}

// lackingNamed bounds how many manifests are named on one line.
const lackingNamed = 5

// lacking says which manifests are not taken.
func (a *applier) lacking() string {
	var places []string
	for _, m := range a.all {
		if !m.taken.Load() {
			places = append(places, m.place)
		}
	}
	number := len(places)
	if number > lackingNamed {
		places = append(places[:lackingNamed], "…")
	}
	return fmt.Sprintf("Ready without %d of %d manifests, which will be tried again: %s", number, len(a.all), strings.Join(places, "; "))
}

// pass applies each manifest once, in order, and returns those that could not be. Why is told of each, and again when it is something else.
func (a *applier) pass(ctx context.Context, pending []*appliedManifest) (left []*appliedManifest) {
	resources := map[schema.GroupVersion]*metav1.APIResourceList{}
	for _, m := range pending {
		err := a.apply(ctx, m.manifest, resources)
		if ctx.Err() != nil {
			return nil
		}
		if err == nil {
			m.taken.Store(true)
			continue
		}
		left = append(left, m)
		if err.Error() == m.told {
			continue
		}
		m.told = err.Error()
		if isRefusal(err) {
			klog.FromContext(ctx).Error(err, "A manifest is refused and will be tried again", "manifest", m.place)
		} else {
			klog.FromContext(ctx).Info("A manifest waits", "manifest", m.place, "reason", m.told)
		}
	}
	return left
}

// isRefusal tells whether an object was not taken because of what it is.
func isRefusal(err error) bool {
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
