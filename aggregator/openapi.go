package aggregator

import (
	"bytes"
	"crypto/sha512"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/portico-api/portico/handler"
)

const (
	openAPIRootPath = "/openapi/v3"
	openAPIPrefix   = "/openapi/v3/"
)

// openAPI answers for the OpenAPI v3 documents of the whole chain: the root names the local
// documents and those of remote servers, and each document comes from who owns it (contract 5.6).
type openAPI struct {
	local    http.Handler
	catalogs *catalogs
}

// serveRoot answers with the local root and, in it, what remote servers said last. Unlike upstream's it
// has a type and an ETag, so that clients need not read it again and again.
func (o *openAPI) serveRoot(w http.ResponseWriter, r *http.Request) {
	root, err := o.localRoot(r)
	if err != nil {
		handler.WriteError(w, r, err)
		return
	}
	o.catalogs.mergeOpenAPI(root)
	body, err := json.Marshal(root)
	if err != nil {
		handler.WriteError(w, r, fmt.Errorf("encoding the OpenAPI root: %w", err))
		return
	}
	etag := fmt.Sprintf("%q", fmt.Sprintf("%X", sha512.Sum512(body)))
	w.Header().Set("ETag", etag)
	w.Header().Set("Vary", "Accept")
	if r.Header.Get("If-None-Match") == etag {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	if r.Method != http.MethodHead {
		_, _ = w.Write(body)
	}
}

// localRoot asks the next delegates, who merge theirs in the same way as we do.
func (o *openAPI) localRoot(r *http.Request) (*openAPIRoot, error) {
	ask := r.Clone(r.Context())
	ask.Method = http.MethodGet
	ask.Header = http.Header{"Accept": {"application/json"}}
	answer := &recorder{header: http.Header{}, code: http.StatusOK}
	o.local.ServeHTTP(answer, ask)

	root := &openAPIRoot{Paths: map[string]openAPIPath{}}
	switch answer.code {
	case http.StatusOK:
	case http.StatusNotFound:
		return root, nil // no local documents at all
	default:
		return nil, fmt.Errorf("asking for the local OpenAPI root: status %d", answer.code)
	}
	if err := json.Unmarshal(answer.body.Bytes(), root); err != nil {
		return nil, fmt.Errorf("reading the local OpenAPI root: %w", err)
	}
	if root.Paths == nil {
		return nil, errors.New("reading the local OpenAPI root: it has no paths")
	}
	return root, nil
}

// serveDocument passes r on to the owner of the document.
func (o *openAPI) serveDocument(w http.ResponseWriter, r *http.Request) {
	key := strings.TrimPrefix(r.URL.Path, openAPIPrefix)
	rt, known, kept, ok := o.catalogs.openAPIOwner(key)
	if !ok {
		o.local.ServeHTTP(w, r)
		return
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		// It would be asked in our own name, which may do more than the user.
		handler.WriteError(w, r, apierrors.NewMethodNotSupported(schema.GroupResource{}, r.Method))
		return
	}
	if kept != nil {
		kept.ServeHTTP(w, r) // whatever the server's state is
		return
	}
	remote := rt.remote.Load()
	if remote == nil || !rt.available.Load() {
		handler.WriteError(w, r, errUnavailable())
		return
	}
	hash := r.URL.Query().Get("hash")
	if current := hashOf(known); hash != "" && current != "" && hash != current {
		w.Header().Set("Location", known.ServerRelativeURL)
		w.WriteHeader(http.StatusMovedPermanently)
		return
	}
	// The owner is asked without the hash: were it to have a newer document by now, it would answer
	// with a redirect, which the proxy lets nobody follow.
	ask := r.Clone(r.Context())
	ask.URL.RawQuery = ""
	remote.documents.ServeHTTP(&cachedForever{ResponseWriter: w, etag: strconv.Quote(hash)}, ask)
}

func hashOf(p openAPIPath) string {
	u, err := url.Parse(p.ServerRelativeURL)
	if err != nil {
		return ""
	}
	return u.Query().Get("hash")
}

// openAPIKey is the path of a group-version without its first slash.
func openAPIKey(gv schema.GroupVersion) string { return documentPath(gv)[1:] }

// groupVersionOfKey is the reverse of openAPIKey. Versions are not looked at: none that is registered
// has a slash in it.
func groupVersionOfKey(key string) (schema.GroupVersion, bool) {
	if version, ok := strings.CutPrefix(key, "api/"); ok {
		return schema.GroupVersion{Version: version}, true
	}
	rest, ok := strings.CutPrefix(key, "apis/")
	if !ok {
		return schema.GroupVersion{}, false
	}
	group, version, ok := strings.Cut(rest, "/")
	return schema.GroupVersion{Group: group, Version: version}, ok && group != ""
}

// cachedForever lets clients keep a document that is the one they named by its hash.
type cachedForever struct {
	http.ResponseWriter
	etag string
}

func (c *cachedForever) Unwrap() http.ResponseWriter { return c.ResponseWriter }

func (c *cachedForever) WriteHeader(code int) {
	if h := c.Header(); code == http.StatusOK && h.Get("ETag") == c.etag {
		h.Set("Cache-Control", "public, immutable")
		h.Set("Expires", time.Now().AddDate(1, 0, 0).UTC().Format(http.TimeFormat))
	}
	c.ResponseWriter.WriteHeader(code)
}

// recorder keeps an answer in memory.
type recorder struct {
	header http.Header
	code   int
	body   bytes.Buffer
}

func (w *recorder) Header() http.Header         { return w.header }
func (w *recorder) WriteHeader(code int)        { w.code = code }
func (w *recorder) Write(p []byte) (int, error) { return w.body.Write(p) }
