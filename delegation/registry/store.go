package registry

import (
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	kjson "sigs.k8s.io/json"

	"github.com/portico-api/portico/delegation/storage"
	"github.com/portico-api/portico/handler/rest"
)

// Config is what all resources of one server share.
type Config struct {
	Store     *storage.Store
	Scheme    *runtime.Scheme
	Admission Admission // nil admits everything
	// Types knows the fields of the resources' kinds, so that it is known who manages which of them and
	// configurations can be applied. Nil does without both.
	Types FieldTypes
	// Now is the clock; nil is the system's.
	Now func() time.Time
}

// Store is one resource's registry: it implements every storage interface of handler/rest.
type Store struct {
	cfg   Config
	res   Resource
	cache *storage.Cache
	gvk   schema.GroupVersionKind
	gr    schema.GroupResource
	codec Codec // nil speaks the version that is stored

	forms        *forms // nil when nobody manages fields
	views        []*View
	main, status door
}

// New opens the resource's cache and returns its registry.
func New(ctx context.Context, cfg Config, res Resource) (*Store, error) {
	if res.New == nil || res.NewList == nil || res.Name == "" || res.Kind == "" {
		return nil, fmt.Errorf("declaring resource %q: name, kind, New and NewList are required", res.Name)
	}
	if res.Path == "" {
		res.Path = res.Name
	}
	cache, err := cfg.Store.OpenResource(ctx, storage.ResourceConfig{
		Group: res.GroupVersion.Group, Resource: res.Name, Path: res.Path, Namespaced: res.Namespaced, Fields: res.Strategy.Fields, Read: res.Read,
	})
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", res.GroupVersion.WithResource(res.Name).GroupResource(), err)
	}
	return newStore(cfg, res, cache, nil), nil
}

func newStore(cfg Config, res Resource, cache *storage.Cache, codec Codec) *Store {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	s := &Store{
		cfg: cfg, res: res, cache: cache, codec: codec,
		gvk: res.GroupVersion.WithKind(res.Kind),
		gr:  schema.GroupResource{Group: res.GroupVersion.Group, Resource: res.Name},
	}
	if cfg.Types != nil {
		s.forms = &forms{stored: newFieldTypes(cfg.Types, s.gvk, res.New)}
	}
	s.main, s.status = s.mainDoor(), s.statusDoor()
	return s
}

// Close ends the resource's cache and every watch of it. The objects stay stored.
func (s *Store) Close() { s.cache.Close() }

// Rest is the resource as the HTTP layer installs it, with its status and scale if it has them. More
// subresources may be appended.
func (s *Store) Rest() *rest.Resource {
	r := &rest.Resource{
		GroupVersion: s.res.GroupVersion,
		Kind:         s.res.Kind,
		ListKind:     s.res.ListKind,
		Name:         s.res.Name,
		SingularName: s.res.SingularName,
		ShortNames:   s.res.ShortNames,
		Categories:   s.res.Categories,
		Namespaced:   s.res.Namespaced,
		Storage:      s,
		New:          s.res.New,
		NewList:      s.res.NewList,
		Scheme:       s.cfg.Scheme,
		Table:        s.res.Table,
		Settle:       s.res.Settle,
		Applier:      s.main.applier(),
	}
	if s.res.Status {
		r.Subresources = append(r.Subresources, s.restOf("status", s.StatusStore(), &s.status))
	}
	if s.res.Scale != nil {
		r.Subresources = append(r.Subresources, s.scaleResource(*s.res.Scale))
	}
	return r
}

// restOf describes a subresource that reads and writes objects of the same kind.
func (s *Store) restOf(name string, store any, d *door) *rest.Resource {
	return &rest.Resource{
		GroupVersion: s.res.GroupVersion,
		Kind:         s.res.Kind,
		Name:         name,
		Namespaced:   s.res.Namespaced,
		Storage:      store,
		New:          s.res.New,
		Scheme:       s.cfg.Scheme,
		Table:        s.res.Table,
		Settle:       s.res.Settle,
		Applier:      d.applier(),
	}
}

// decode makes a typed object of stored bytes.
func (s *Store) decode(o *storage.Object) (runtime.Object, error) {
	obj := s.res.New()
	if err := kjson.UnmarshalCaseSensitivePreserveInts(o.JSON(), obj); err != nil {
		return nil, fmt.Errorf("decoding stored %s %s/%s: %w", s.gr, o.Namespace(), o.Name(), err)
	}
	obj.GetObjectKind().SetGroupVersionKind(s.gvk)
	return obj, nil
}
