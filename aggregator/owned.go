package aggregator

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	apidiscoveryv2 "k8s.io/api/apidiscovery/v2"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/apiserver/pkg/authentication/user"

	"github.com/portico-api/portico/delegation"
)

const (
	oneAccept   = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json"
	listTimeout = 30 * time.Second
	// ownedWatch is how long one watch for owners lasts. A server that has stopped says nothing, so it may not last for ever.
	ownedWatch = 5 * time.Minute
	// rewriteAttempts is how often a change is tried again on a newer state.
	rewriteAttempts = 4
)

// garbageCollector is who collects in other servers. It is of the privileged group for the reason that the namespace
// controller is.
func garbageCollector() user.Info {
	return &user.DefaultInfo{
		Name:   "system:serviceaccount:kube-system:generic-garbage-collector",
		Groups: []string{user.SystemPrivilegedGroup},
	}
}

// OwnedResources are the resources of the servers behind APIServices that can be followed and deleted, each in its most
// mature version.
func (s *Server) OwnedResources() []delegation.OwnedResource {
	s.router.moving.RLock()
	defer s.router.moving.RUnlock()
	return s.router.catalogs.ownedResources()
}

// OnOwnedResourcesChange has on called when there are others, or a server can be asked again.
func (s *Server) OnOwnedResourcesChange(on func()) (stop func()) {
	return s.router.catalogs.reachable.Add(on)
}

func (cs *catalogs) ownedResources() []delegation.OwnedResource {
	cs.mu.Lock()
	all := make([]*catalog, 0, len(cs.servers))
	for _, c := range cs.servers {
		all = append(all, c)
	}
	cs.mu.Unlock()
	var owned []delegation.OwnedResource
	served := map[schema.GroupResource]bool{}
	for _, c := range all {
		known := cs.discoveryOf(c)
		for _, m := range cs.membersOf(c) {
			gv := m.route.gv
			for _, r := range known[gv].Resources {
				resource := gv.WithResource(r.Resource)
				if !isCollectable(r) || served[resource.GroupResource()] {
					continue
				}
				served[resource.GroupResource()] = true
				o := ownedRemotely{remote: m.remote, resource: resource, kind: r.ResponseKind.Kind}
				owned = append(owned, delegation.OwnedResource{
					Resource: resource, Kind: o.kind, Namespaced: r.Scope == apidiscoveryv2.ScopeNamespace, Reader: o, Writer: o,
				})
			}
		}
	}
	return owned
}

// isCollectable tells whether objects of r can be followed and deleted. Measured values cannot.
func isCollectable(r apidiscoveryv2.APIResourceDiscovery) bool {
	return r.ResponseKind != nil && slices.Contains(r.Verbs, "list") && slices.Contains(r.Verbs, "watch") && slices.Contains(r.Verbs, "delete")
}

// ownedRemotely reads and writes who owns the objects of one resource of a remote server.
type ownedRemotely struct {
	remote   *remote
	resource schema.GroupVersionResource
	kind     string
}

// ownedMetadata is what is looked at of an object, whether the server sends its metadata or all of it.
type ownedMetadata struct {
	Metadata struct {
		Namespace         string                  `json:"namespace"`
		Name              string                  `json:"name"`
		UID               types.UID               `json:"uid"`
		ResourceVersion   string                  `json:"resourceVersion"`
		OwnerReferences   []metav1.OwnerReference `json:"ownerReferences"`
		Finalizers        []string                `json:"finalizers"`
		DeletionTimestamp *metav1.Time            `json:"deletionTimestamp"`
	} `json:"metadata"`
}

func (m *ownedMetadata) object() *delegation.OwnedObject {
	d := &m.Metadata
	return &delegation.OwnedObject{
		Namespace: d.Namespace, Name: d.Name, UID: d.UID, ResourceVersion: d.ResourceVersion,
		Owners: d.OwnerReferences, Finalizers: d.Finalizers, Deleting: d.DeletionTimestamp != nil,
	}
}

// Observe implements delegation.OwnershipReader.
func (o ownedRemotely) Observe(ctx context.Context, to delegation.OwnershipObserver) error {
	objects, version, err := o.list(ctx)
	if err != nil {
		return err
	}
	to.Begin()
	for _, object := range objects {
		to.Changed(object, false)
	}
	to.Listed()
	for {
		if version, err = o.watch(ctx, version, to); err != nil {
			return err
		}
	}
}

func (o ownedRemotely) list(ctx context.Context) (objects []*delegation.OwnedObject, version string, err error) {
	for next := ""; ; {
		var page struct {
			Metadata metav1.ListMeta `json:"metadata"`
			Items    []ownedMetadata `json:"items"`
		}
		query := url.Values{"limit": {strconv.Itoa(emptyingPage)}}
		if next != "" {
			query.Set("continue", next)
		}
		limited, cancel := context.WithTimeout(ctx, listTimeout)
		err := o.ask(limited, question{path: o.path("", ""), query: query.Encode(), accept: metadataAccept}, &page)
		cancel()
		if err != nil {
			return nil, "", fmt.Errorf("listing %s: %w", o.resource, err)
		}
		for i := range page.Items {
			objects = append(objects, page.Items[i].object())
		}
		if next = page.Metadata.Continue; next == "" {
			return objects, page.Metadata.ResourceVersion, nil
		}
	}
}

// watch tells of changes after version until the server ends the watch, and returns the version it came to.
func (o ownedRemotely) watch(ctx context.Context, version string, to delegation.OwnershipObserver) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, ownedWatch+listTimeout)
	defer cancel()
	query := url.Values{
		"watch": {"true"}, "resourceVersion": {version}, "allowWatchBookmarks": {"true"},
		"timeoutSeconds": {strconv.Itoa(int(ownedWatch.Seconds()))},
	}
	stream, err := o.remote.open(ctx, question{path: o.path("", ""), query: query.Encode(), accept: oneAccept, as: garbageCollector()})
	if err != nil {
		return "", fmt.Errorf("watching %s: %w", o.resource, err)
	}
	defer stream.Close()
	frames := json.NewDecoder(stream)
	for {
		var frame struct {
			Type   watch.EventType `json:"type"`
			Object ownedMetadata   `json:"object"`
		}
		err := frames.Decode(&frame)
		switch {
		case isEnd(err):
			return version, nil
		case err != nil:
			return "", fmt.Errorf("watching %s: %w", o.resource, err)
		case frame.Type == watch.Error:
			return "", fmt.Errorf("watching %s: the server cannot go on from version %s", o.resource, version)
		}
		version = frame.Object.Metadata.ResourceVersion
		if frame.Type != watch.Bookmark {
			to.Changed(frame.Object.object(), frame.Type == watch.Deleted)
		}
	}
}

// Get implements delegation.OwnershipReader.
func (o ownedRemotely) Get(ctx context.Context, namespace, name string) (*delegation.OwnedObject, error) {
	var found ownedMetadata
	if err := o.ask(ctx, question{path: o.path(namespace, name), accept: oneAccept}, &found); err != nil {
		return nil, err
	}
	return found.object(), nil
}

// Rewrite implements delegation.OwnershipWriter.
func (o ownedRemotely) Rewrite(ctx context.Context, namespace, name string, uid types.UID, change func(o *delegation.OwnedObject) bool) error {
	for attempt := 1; ; attempt++ {
		current, err := o.Get(ctx, namespace, name)
		if err != nil {
			return err
		}
		if current.UID != uid {
			return apierrors.NewNotFound(o.resource.GroupResource(), name)
		}
		if !change(current) {
			return nil
		}
		err = o.patch(ctx, current)
		if !apierrors.IsConflict(err) || attempt == rewriteAttempts {
			return err
		}
	}
}

// patch writes owners and finalizers, if the object is still in the version that they were made of.
func (o ownedRemotely) patch(ctx context.Context, to *delegation.OwnedObject) error {
	body, err := json.Marshal(map[string]any{"metadata": map[string]any{
		"uid": to.UID, "resourceVersion": to.ResourceVersion, "ownerReferences": to.Owners, "finalizers": to.Finalizers,
	}})
	if err != nil {
		return fmt.Errorf("writing a patch of %s: %w", o.resource, err)
	}
	return o.ask(ctx, question{
		method: http.MethodPatch, path: o.path(to.Namespace, to.Name), accept: oneAccept, body: body, contentType: string(types.MergePatchType),
	}, nil)
}

// Delete implements delegation.OwnershipWriter.
func (o ownedRemotely) Delete(ctx context.Context, seen *delegation.OwnedObject, policy metav1.DeletionPropagation) error {
	body, err := json.Marshal(&metav1.DeleteOptions{
		TypeMeta:          metav1.TypeMeta{Kind: "DeleteOptions", APIVersion: "v1"},
		PropagationPolicy: &policy,
		Preconditions:     &metav1.Preconditions{UID: &seen.UID, ResourceVersion: &seen.ResourceVersion},
	})
	if err != nil {
		return fmt.Errorf("writing the options of a delete: %w", err)
	}
	return o.ask(ctx, question{method: http.MethodDelete, path: o.path(seen.Namespace, seen.Name), accept: "application/json", body: body}, nil)
}

// ask sends one request as the garbage collector and decodes the answer into into, unless it is nil.
func (o ownedRemotely) ask(ctx context.Context, q question, into any) error {
	q.as = garbageCollector()
	doc, _, err := o.remote.get(ctx, q)
	if err != nil {
		return err
	}
	if err := doc.failure(); err != nil || into == nil {
		return err
	}
	if err := json.Unmarshal(doc.body, into); err != nil {
		return errors.New("the server's answer is no JSON of an object")
	}
	return nil
}

func (o ownedRemotely) path(namespace, name string) string {
	path := documentPath(o.resource.GroupVersion())
	if namespace != "" {
		path += "/namespaces/" + namespace
	}
	path += "/" + o.resource.Resource
	if name != "" {
		path += "/" + name
	}
	return path
}
