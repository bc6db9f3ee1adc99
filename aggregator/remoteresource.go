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

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apiserver/pkg/authentication/user"

	"github.com/portico-api/portico/delegation"
)

const (
	// emptyingPage is how many objects are looked at at once.
	emptyingPage = 500
	// metadataAccept asks for no more of an object than is looked at; old servers send all of it.
	metadataAccept = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json"
)

// namespaceController is who empties namespaces (contract 8.2). It is of the privileged group, because
// no role of ours could know the resources of other servers.
func namespaceController() user.Info {
	return &user.DefaultInfo{
		Name:   "system:serviceaccount:kube-system:namespace-controller",
		Groups: []string{user.SystemPrivilegedGroup},
	}
}

// remoteResource is one resource of a remote server, with what can be done to it.
type remoteResource struct {
	remote   *remote
	resource schema.GroupVersionResource
	verbs    []string
}

func (r remoteResource) groupResource() schema.GroupResource { return r.resource.GroupResource() }

// errOneByOne tells that a resource has to be deleted object by object.
var errOneByOne = errors.New("collections are not deleted at once")

// empty deletes what there is in a namespace and adds what is still there after to remaining.
func (r remoteResource) empty(ctx context.Context, namespace string, remaining *delegation.Remaining) error {
	err := errOneByOne
	if slices.Contains(r.verbs, "deletecollection") {
		err = r.deleteCollection(ctx, namespace)
	}
	if errors.Is(err, errOneByOne) {
		err = r.deleteEach(ctx, namespace)
	}
	if err != nil {
		return fmt.Errorf("deleting: %w", err)
	}
	if !slices.Contains(r.verbs, "list") {
		return nil
	}
	page, err := r.list(ctx, namespace, "")
	if err != nil {
		return fmt.Errorf("counting what remains: %w", err)
	}
	page.addTo(remaining, r.groupResource())
	return nil
}

// deleteCollection deletes the objects in a namespace with one request.
func (r remoteResource) deleteCollection(ctx context.Context, namespace string) error {
	_, err := r.do(ctx, question{
		method: http.MethodDelete,
		path:   r.path(namespace),
		accept: metadataAccept, // it answers with what it has deleted
		body:   deleteOptions(nil),
	})
	switch {
	case apierrors.IsMethodNotSupported(err):
		return errOneByOne
	case apierrors.IsNotFound(err):
		return nil
	}
	return err
}

// deleteEach deletes the objects in a namespace one after the other.
func (r remoteResource) deleteEach(ctx context.Context, namespace string) error {
	for next := ""; ; {
		page, err := r.list(ctx, namespace, next)
		if err != nil {
			return err
		}
		for _, o := range page.Items {
			_, err := r.do(ctx, question{
				method: http.MethodDelete,
				path:   r.path(namespace) + "/" + o.Metadata.Name,
				accept: "application/json",
				body:   deleteOptions(&o.Metadata.UID),
			})
			// A conflict is another object of that name: the next pass finds it.
			if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
				return fmt.Errorf("%s: %w", o.Metadata.Name, err)
			}
		}
		if next = page.Metadata.Continue; next == "" {
			return nil
		}
	}
}

// metadataPage is what is looked at of a list, whether it is of metadata or of whole objects.
type metadataPage struct {
	Metadata metav1.ListMeta `json:"metadata"`
	Items    []struct {
		Metadata struct {
			Name       string    `json:"name"`
			UID        types.UID `json:"uid"`
			Finalizers []string  `json:"finalizers"`
		} `json:"metadata"`
	} `json:"items"`
}

// addTo counts the objects of p and those after them, and the finalizers of p.
func (p *metadataPage) addTo(remaining *delegation.Remaining, resource schema.GroupResource) {
	n := len(p.Items)
	if more := p.Metadata.RemainingItemCount; more != nil {
		n += int(*more)
	}
	remaining.Objects[resource] += n
	for _, o := range p.Items {
		for _, finalizer := range o.Metadata.Finalizers {
			remaining.Finalizers[finalizer]++
		}
	}
}

// list reads a page of the objects in a namespace: the first one, or the one that next stands for.
func (r remoteResource) list(ctx context.Context, namespace, next string) (*metadataPage, error) {
	query := url.Values{"limit": {strconv.Itoa(emptyingPage)}}
	if next != "" {
		query.Set("continue", next)
	}
	doc, err := r.do(ctx, question{path: r.path(namespace), query: query.Encode(), accept: metadataAccept})
	if apierrors.IsNotFound(err) {
		return &metadataPage{}, nil
	}
	if err != nil {
		return nil, err
	}
	page := &metadataPage{}
	if err := json.Unmarshal(doc.body, page); err != nil {
		return nil, fmt.Errorf("reading the list: %w", err)
	}
	return page, nil
}

// do sends one request as the namespace controller.
func (r remoteResource) do(ctx context.Context, q question) (*document, error) {
	q.as = namespaceController()
	doc, _, err := r.remote.get(ctx, q)
	if err != nil {
		return nil, err
	}
	return doc, doc.failure()
}

func (r remoteResource) path(namespace string) string {
	return documentPath(r.resource.GroupVersion()) + "/namespaces/" + namespace + "/" + r.resource.Resource
}

// deleteOptions lets what the deleted objects own be deleted after them, and of an object only the one
// that was seen.
func deleteOptions(uid *types.UID) []byte {
	background := metav1.DeletePropagationBackground
	options := &metav1.DeleteOptions{
		TypeMeta:          metav1.TypeMeta{Kind: "DeleteOptions", APIVersion: "v1"},
		PropagationPolicy: &background,
	}
	if uid != nil {
		options.Preconditions = &metav1.Preconditions{UID: uid}
	}
	body, err := json.Marshal(options)
	if err != nil {
		panic(err) // strings only
	}
	return body
}

// failure is what d says has gone wrong, nil when nothing has. Only a Status is the word of the API
// server itself: a bare 404 may come from something in front of one that is not ready, and says
// nothing of its objects.
func (d *document) failure() error {
	if d.code >= 200 && d.code <= 299 {
		return nil
	}
	status := metav1.Status{}
	if err := json.Unmarshal(d.body, &status); err == nil && status.Kind == "Status" && status.Code == int32(d.code) {
		return &apierrors.StatusError{ErrStatus: status}
	}
	return fmt.Errorf("status %d", d.code)
}
