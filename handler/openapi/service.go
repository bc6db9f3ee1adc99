package openapi

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/kube-openapi/pkg/spec3"

	"github.com/portico-api/portico/handler"
	"github.com/portico-api/portico/metrics"
)

const leafPrefix = "/openapi/v3/"

// Observer is told how long the v2 document took to be made, and what had changed before.
type Observer interface {
	Made(why metrics.Change, took time.Duration)
}

// Service answers for the documents of what is served. Documents may come and go at any time.
type Service struct {
	mu        sync.RWMutex
	documents map[string]*document // by path: "api/v1", "apis/apps/v1"
	foreign   func() []*Foreign    // those of other servers, for version 2
	// Made of all documents, and anew after a change.
	root, v2, v2Proto *lazy
	observer          Observer
	packer            packer
}

// NewService returns a service without documents.
func NewService(observer Observer) *Service {
	s := &Service{documents: map[string]*document{}, foreign: func() []*Foreign { return nil }, observer: observer}
	s.changed(metrics.DocumentAdded)
	return s
}

// Add puts a document at path ("api/v1", "apis/apps/v1"), in place of the one that is there. name stands for what it says: clients that
// have a document of that name do not ask for it again. It is empty for one whose bytes have to be looked at for that. describe is called when a
// client asks, and again when another encoding of it is asked for.
func (s *Service) Add(path, name string, describe func() (*Description, error)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	path, why := strings.Trim(path, "/"), metrics.DocumentAdded
	if s.documents[path] != nil {
		why = metrics.DocumentUpdated
	}
	s.documents[path] = newDocument(&s.packer, name, describe)
	s.changed(why)
}

// Remove takes the document at path away.
func (s *Service) Remove(path string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.documents, strings.Trim(path, "/"))
	s.changed(metrics.DocumentRemoved)
}

// Document makes the document at path, for who reads it in this process; nil when there is none.
func (s *Service) Document(path string) (*spec3.OpenAPI, error) {
	s.mu.RLock()
	found := s.documents[strings.Trim(path, "/")]
	s.mu.RUnlock()
	if found == nil {
		return nil, nil
	}
	made, err := found.build()
	if err != nil || made.Components == nil {
		return made, err
	}
	for name, model := range made.Components.Schemas {
		if made.Components.Schemas[name], err = whole(model); err != nil {
			return nil, err
		}
	}
	return made, nil
}

// changed forgets what was made of all documents; s is locked. They are not touched themselves.
func (s *Service) changed(why metrics.Change) {
	documents, foreign := maps.Clone(s.documents), s.foreign
	s.root = newLazy(&s.packer, mediaJSON, func() ([]byte, error) { return encodeRoot(documents) })
	s.v2 = newLazy(&s.packer, mediaJSON, func() ([]byte, error) {
		begin := time.Now()
		text, err := encodeV2(documents, foreign())
		s.observer.Made(why, time.Since(begin))
		return text, err
	})
	v2 := s.v2
	s.v2Proto = newLazy(&s.packer, mediaProtoV2, func() ([]byte, error) { return protoV2(v2) })
}

// RootHandler serves /openapi/v3: where the document of each group-version is.
func (s *Service) RootHandler() http.Handler { return http.HandlerFunc(s.serveRoot) }

// DocumentHandler serves what is below /openapi/v3/.
func (s *Service) DocumentHandler() http.Handler { return http.HandlerFunc(s.serveDocument) }

// V2Handler serves /openapi/v2: all documents as one, in the older form.
func (s *Service) V2Handler() http.Handler { return http.HandlerFunc(s.serveV2) }

func (s *Service) serveRoot(w http.ResponseWriter, r *http.Request) {
	s.mu.RLock()
	root := s.root
	s.mu.RUnlock()
	// Whatever is asked for: older clients ask for protobuf here and read JSON.
	serveContent(w, r, root, caching{})
}

func (s *Service) serveDocument(w http.ResponseWriter, r *http.Request) {
	path := strings.TrimPrefix(r.URL.Path, leafPrefix)
	s.mu.RLock()
	doc := s.documents[path]
	s.mu.RUnlock()
	if doc == nil {
		handler.WriteError(w, r, apierrors.NewGenericServerResponse(http.StatusNotFound, strings.ToLower(r.Method), schema.GroupResource{}, "", "", 0, true))
		return
	}
	doc.serve(w, r, path)
}

// serve answers with the document of path, in the encoding that is asked for.
func (d *document) serve(w http.ResponseWriter, r *http.Request, path string) {
	content, ok := negotiate(r.Header.Values("Accept"), d.json, d.proto)
	if !ok {
		handler.WriteError(w, r, notAcceptable(d.json, d.proto))
		return
	}
	// For both encodings: it names the document.
	hash, err := d.hash()
	if err != nil {
		handler.WriteError(w, r, fmt.Errorf("describing %s: %w", path, err))
		return
	}
	asked := r.URL.Query().Get("hash")
	if asked != "" && asked != hash {
		http.Redirect(w, r, location(path, hash), http.StatusMovedPermanently)
		return
	}
	serveContent(w, r, content, caching{etag: hash, immutable: asked != ""})
}

func (s *Service) serveV2(w http.ResponseWriter, r *http.Request) {
	s.mu.RLock()
	doc, proto := s.v2, s.v2Proto
	s.mu.RUnlock()
	content, ok := negotiate(r.Header.Values("Accept"), doc, proto)
	if !ok {
		handler.WriteError(w, r, notAcceptable(doc, proto))
		return
	}
	serveContent(w, r, content, caching{})
}

// location is where the document of a path with that hash is, for ever.
func location(path, hash string) string {
	u := url.URL{Path: leafPrefix + path, RawQuery: url.Values{"hash": {hash}}.Encode()}
	return u.String()
}

type rootDocument struct {
	Paths map[string]rootEntry `json:"paths"`
}

type rootEntry struct {
	ServerRelativeURL string `json:"serverRelativeURL"`
}

func encodeRoot(documents map[string]*document) ([]byte, error) {
	root := rootDocument{Paths: make(map[string]rootEntry, len(documents))}
	for path, doc := range documents {
		hash, err := doc.hash()
		if err != nil {
			// One group that cannot be described must not hide the others.
			continue
		}
		root.Paths[path] = rootEntry{ServerRelativeURL: location(path, hash)}
	}
	return json.Marshal(root)
}

// sorted are the documents in the order of their paths, so that the same ones win at each start.
func sorted(documents map[string]*document) []*document {
	all := make([]*document, 0, len(documents))
	for _, path := range slices.Sorted(maps.Keys(documents)) {
		all = append(all, documents[path])
	}
	return all
}
