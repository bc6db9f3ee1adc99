package aggregator

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"time"

	apidiscoveryv2 "k8s.io/api/apidiscovery/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/portico-api/portico/handler/discovery"
)

const (
	discoveryTimeout = 5 * time.Second
	openAPITimeout   = 60 * time.Second
)

// aggregatedAccept asks for the aggregated document. The older beta form has the same fields, and
// servers before 1.30 know no other.
const aggregatedAccept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList," +
	"application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList"

// errNotModified tells that what is known already is still so.
var errNotModified = errors.New("not modified")

// groupVersions are the resources of some group-versions.
type groupVersions map[schema.GroupVersion]apidiscoveryv2.APIVersionDiscovery

// fetchDiscovery asks a remote server what there is in its group-versions wanted: all at once when
// it can tell, one by one when it is too old to. etag is that of the former answer.
func fetchDiscovery(ctx context.Context, rm *remote, wanted []schema.GroupVersion, etag string) (found groupVersions, newETag string, err error) {
	ctx, cancel := context.WithTimeout(ctx, discoveryTimeout)
	defer cancel()

	doc, where, err := rm.get(ctx, question{path: groupsRoot, as: kubeAggregator(), accept: aggregatedAccept, etag: etag})
	switch {
	case err != nil:
		return nil, "", fmt.Errorf("fetching discovery from %s: %w", where, err)
	case doc.code == http.StatusNotModified && etag != "":
		return nil, etag, errNotModified
	case doc.code == http.StatusServiceUnavailable:
		return nil, "", fmt.Errorf("fetching discovery from %s: status %d", where, doc.code)
	case doc.code == http.StatusOK && isAggregated(doc.header.Get("Content-Type")):
		found, err := parseAggregated(doc.body)
		if err != nil {
			return nil, "", fmt.Errorf("reading discovery from %s: %w", where, err)
		}
		return found, doc.header.Get("ETag"), nil
	}
	found, err = fetchResourceLists(ctx, rm, wanted)
	return found, "", err
}

func fetchResourceLists(ctx context.Context, rm *remote, wanted []schema.GroupVersion) (groupVersions, error) {
	found := groupVersions{}
	for _, gv := range wanted {
		doc, where, err := rm.get(ctx, question{path: documentPath(gv), as: kubeAggregator(), accept: "application/json"})
		if err != nil {
			return nil, fmt.Errorf("fetching the resources of %s from %s: %w", gv, where, err)
		}
		if doc.code != http.StatusOK {
			return nil, fmt.Errorf("fetching the resources of %s from %s: status %d", gv, where, doc.code)
		}
		list := &metav1.APIResourceList{}
		if err := json.Unmarshal(doc.body, list); err != nil {
			return nil, fmt.Errorf("reading the resources of %s from %s: %w", gv, where, err)
		}
		// What was asked for is what is meant, whatever the server calls it.
		list.GroupVersion = gv.String()
		v, err := discovery.FromAPIResourceList(list)
		if err != nil {
			return nil, err
		}
		found[gv] = v
	}
	return found, nil
}

func isAggregated(contentType string) bool {
	_, params, err := mime.ParseMediaType(contentType)
	return err == nil && params["g"] == apidiscoveryv2.GroupName && params["as"] == "APIGroupDiscoveryList"
}

func parseAggregated(body []byte) (groupVersions, error) {
	list := &apidiscoveryv2.APIGroupDiscoveryList{}
	if err := json.Unmarshal(body, list); err != nil {
		return nil, err
	}
	found := groupVersions{}
	for _, g := range list.Items {
		for _, v := range g.Versions {
			found[schema.GroupVersion{Group: g.Name, Version: v.Version}] = v
		}
	}
	return found, nil
}

// openAPIRoot is the document at /openapi/v3: where the document of each key is.
type openAPIRoot struct {
	Paths map[string]openAPIPath `json:"paths"`
}

type openAPIPath struct {
	ServerRelativeURL string `json:"serverRelativeURL"`
}

// fetchOpenAPIRoot asks a remote server which OpenAPI v3 documents it has. One that is too old to have any gives errNoOpenAPI.
func fetchOpenAPIRoot(ctx context.Context, rm *remote, etag string) (root *openAPIRoot, newETag string, err error) {
	doc, where, err := rm.get(ctx, question{path: openAPIRootPath, as: openAPIAggregator(), accept: "application/json", etag: etag})
	switch {
	case err != nil:
		return nil, "", fmt.Errorf("fetching OpenAPI from %s: %w", where, err)
	case doc.code == http.StatusNotModified && etag != "":
		return nil, etag, errNotModified
	case doc.code == http.StatusNotFound:
		return nil, "", errNoOpenAPI
	case doc.code != http.StatusOK:
		return nil, "", fmt.Errorf("fetching OpenAPI from %s: status %d", where, doc.code)
	}
	root = &openAPIRoot{}
	if err := json.Unmarshal(doc.body, root); err != nil {
		return nil, "", fmt.Errorf("reading OpenAPI from %s: %w", where, err)
	}
	for key, p := range root.Paths {
		// A link that leads elsewhere would send our clients there.
		if u, err := url.Parse(p.ServerRelativeURL); err != nil || u.Host != "" || u.Path != openAPIPrefix+key {
			delete(root.Paths, key)
		}
	}
	return root, doc.header.Get("ETag"), nil
}
