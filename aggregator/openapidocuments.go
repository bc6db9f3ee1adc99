package aggregator

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/portico-api/portico/handler/openapi"
)

// refreshOpenAPI asks the server of c which documents it has, and for those that are others than before. They are kept: who explains
// a resource need not wait for its server, nor find it alive. What was asked after since is not asked again.
func (cs *catalogs) refreshOpenAPI(ctx context.Context, c *catalog, since time.Time) error {
	leave, err := c.openAPITurn.take(ctx, openAPITimeout)
	if err != nil {
		return err
	}
	defer leave()
	cs.mu.Lock()
	remote, etag, asked, known := c.anyRemote(), c.openAPIETag, time.Now(), c.described.After(since)
	cs.mu.Unlock()
	if remote == nil || known {
		return nil
	}
	if err := cs.askOpenAPI(ctx, c, remote, etag); err != nil {
		return err
	}
	cs.mu.Lock()
	c.described = asked
	cs.mu.Unlock()
	return nil
}

func (cs *catalogs) askOpenAPI(ctx context.Context, c *catalog, remote *remote, etag string) error {
	ctx, cancel := context.WithTimeout(ctx, openAPITimeout)
	defer cancel()
	root, newETag, err := fetchOpenAPIRoot(ctx, remote, etag)
	switch {
	case errors.Is(err, errNoOpenAPI):
		return cs.refreshOlderOpenAPI(ctx, c, remote)
	case err != nil && !errors.Is(err, errNotModified):
		return err
	case err == nil:
		cs.mu.Lock()
		c.openAPI, c.openAPIETag = root, newETag
		cs.mu.Unlock()
	}
	var failures error
	for _, w := range cs.wantedDocuments(c) {
		text, err := fetchDocument(ctx, remote, openAPIPrefix+openAPIKey(w.gv))
		if err == nil {
			var kept *openapi.Foreign
			if kept, err = cs.importer.Import(openAPIKey(w.gv), w.hash, text); err == nil {
				cs.keepDocument(c, w.gv, kept)
			}
		}
		failures = errors.Join(failures, err)
	}
	return failures
}

// wantedDocument is one that is not kept as its server has it now.
type wantedDocument struct {
	gv   schema.GroupVersion
	hash string
}

// wantedDocuments also forgets those that the server has no more.
func (cs *catalogs) wantedDocuments(c *catalog) []wantedDocument {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	var wanted []wantedDocument
	for gv := range c.members {
		p, ok := c.openAPI.Paths[openAPIKey(gv)]
		if !ok {
			delete(c.documents, gv)
			continue
		}
		hash := hashOf(p)
		if kept := c.documents[gv]; kept == nil || hash == "" || kept.Name() != hash {
			wanted = append(wanted, wantedDocument{gv, hash})
		}
	}
	return wanted
}

func (cs *catalogs) keepDocument(c *catalog, gv schema.GroupVersion, kept *openapi.Foreign) {
	cs.mu.Lock()
	_, wanted := c.members[gv]
	if wanted = wanted && !sameDocument(c.documents[gv], kept); wanted {
		c.documents[gv] = kept
	}
	cs.mu.Unlock()
	if wanted {
		cs.described()
	}
}

func sameDocument(a, b *openapi.Foreign) bool {
	if a == nil {
		return false
	}
	left, err := a.Location()
	right, err2 := b.Location()
	return err == nil && err2 == nil && left == right
}

// refreshOlderOpenAPI makes the documents of what a server tells that knows version 2 only, or that knows none.
func (cs *catalogs) refreshOlderOpenAPI(ctx context.Context, c *catalog, remote *remote) error {
	cs.mu.Lock()
	c.openAPI, c.openAPIETag = &openAPIRoot{}, ""
	paths, of := []string{}, map[string]schema.GroupVersion{}
	for gv := range c.members {
		paths = append(paths, openAPIKey(gv))
		of[openAPIKey(gv)] = gv
	}
	cs.mu.Unlock()
	text, err := fetchDocument(ctx, remote, "/openapi/v2")
	if errors.Is(err, errNoOpenAPI) {
		return nil
	}
	if err != nil {
		return err
	}
	all, err := cs.importer.ImportV2(text, paths)
	if err != nil {
		return fmt.Errorf("reading OpenAPI from %s: %w", remote.reference, err)
	}
	for _, kept := range all {
		cs.keepDocument(c, of[kept.Path()], kept)
	}
	return nil
}

// errNoOpenAPI tells that a server has no such document.
var errNoOpenAPI = errors.New("no such OpenAPI document")

func fetchDocument(ctx context.Context, rm *remote, path string) ([]byte, error) {
	doc, where, err := rm.get(ctx, question{path: path, as: openAPIAggregator(), accept: "application/json"})
	switch {
	case err != nil:
		return nil, fmt.Errorf("fetching OpenAPI from %s: %w", where, err)
	case doc.code == http.StatusNotFound:
		return nil, errNoOpenAPI
	case doc.code != http.StatusOK:
		return nil, fmt.Errorf("fetching OpenAPI from %s: status %d", where, doc.code)
	}
	return doc.body, nil
}

// mergeOpenAPI puts the documents of remote servers into root, in place of local ones of the same
// group-version.
func (cs *catalogs) mergeOpenAPI(root *openAPIRoot) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	for gv, m := range cs.members {
		key := openAPIKey(gv)
		if p, ok := m.catalog.openAPIPath(gv); ok {
			root.Paths[key] = p
		} else {
			delete(root.Paths, key)
		}
	}
}

// openAPIOwner returns the route to the remote server that has the document of key, its entry
// in that server's root, and the document itself if it is kept.
func (cs *catalogs) openAPIOwner(key string) (*route, openAPIPath, *openapi.Foreign, bool) {
	gv, ok := groupVersionOfKey(key)
	if !ok {
		return nil, openAPIPath{}, nil, false
	}
	cs.mu.Lock()
	defer cs.mu.Unlock()
	m, ok := cs.members[gv]
	if !ok {
		return nil, openAPIPath{}, nil, false
	}
	p, _ := m.catalog.openAPIPath(gv)
	return m.route, p, m.catalog.documents[gv], true
}

// openAPIPath is where a document is: the one that is kept, or the one that could not be fetched yet.
func (c *catalog) openAPIPath(gv schema.GroupVersion) (openAPIPath, bool) {
	if kept := c.documents[gv]; kept != nil {
		if location, err := kept.Location(); err == nil {
			return openAPIPath{location}, true
		}
	}
	if c.openAPI == nil {
		return openAPIPath{}, false
	}
	p, ok := c.openAPI.Paths[openAPIKey(gv)]
	return p, ok
}

// openAPIDocuments are those that are kept, in the order of the priorities of their groups and versions.
func (cs *catalogs) openAPIDocuments() []*openapi.Foreign {
	groups := cs.manager.Groups()
	cs.mu.Lock()
	defer cs.mu.Unlock()
	var all []*openapi.Foreign
	for _, g := range groups {
		for _, v := range g.Versions {
			gv := schema.GroupVersion{Group: g.Name, Version: v.Version}
			if m := cs.members[gv]; m != nil && m.catalog.documents[gv] != nil {
				all = append(all, m.catalog.documents[gv])
			}
		}
	}
	return all
}
