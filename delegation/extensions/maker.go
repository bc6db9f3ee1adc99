package extensions

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/portico-api/portico/delegation/hookclient"
	"github.com/portico-api/portico/delegation/registry"
	"github.com/portico-api/portico/handler"
	"github.com/portico-api/portico/handler/rest"
)

// maker opens custom resources, with all that they share.
type maker struct {
	definitions *registry.Store
	registry    registry.Config
	clients     *hookclient.Clients
	metrics     conversionMetrics
	replicas    bool // there may be other servers

	mu     sync.Mutex
	direct *rest.Direct
}

// open opens the objects of a definition in all versions that are served.
func (m *maker) open(ctx context.Context, d *definition) (*opened, error) {
	k, err := newKind(d, func() (*definition, error) { return m.load(d.Name) }, m.clients, m.metrics)
	if err != nil {
		return nil, err
	}
	cfg := m.registry
	cfg.Types = k.fieldTypes()
	o := &opened{stores: map[string]*registry.Store{}, handlers: map[string]http.Handler{}}
	o.resource = k.resource(version(d, k.storage))
	if o.base, err = registry.New(ctx, cfg, o.resource); err != nil {
		return nil, fmt.Errorf("opening %s: %w", d.Name, err)
	}
	unasked := cfg
	unasked.Admission = nil
	o.unasked = o.base.In(unasked, o.resource, nil)
	_, simple := k.converter.(renaming)
	terminating := isTrue(d, apiextensionsv1.Terminating)
	for i := range d.Spec.Versions {
		v := &d.Spec.Versions[i]
		if !v.Served {
			continue
		}
		store := o.base
		if v.Name != k.storage || !simple {
			res := k.resource(v)
			if v.Name == k.storage {
				res.Read = nil // what is written in this version is read as it is: to look at each write would take as long as to make it
			}
			store = o.base.In(cfg, res, &versionCodec{schema: k.versions[v.Name], storage: k.versions[k.storage], converter: k.converter})
		}
		for _, view := range k.views(v.Name) {
			store.AlsoIn(view)
		}
		res := store.Rest()
		if terminating {
			res.Storage = &terminatingStore{store, d}
		}
		o.stores[v.Name] = store
		o.handlers[v.Name] = m.handler(res)
	}
	return o, nil
}

// hasObjects tells whether there are objects of a definition, in a namespace or ("") anywhere, without reading them.
func (m *maker) hasObjects(ctx context.Context, d *definition, namespace string) (bool, error) {
	path := pathTo(d)
	if namespace != "" {
		path += "/" + namespace
	}
	return m.registry.Store.HasObjects(ctx, path)
}

// load reads a definition with its schemas.
func (m *maker) load(name string) (*definition, error) {
	stored, err := m.stored(name)
	if err != nil {
		return nil, err
	}
	d := &definition{}
	if err := json.Unmarshal(stored, d); err != nil {
		return nil, fmt.Errorf("decoding %s: %w", name, err)
	}
	return d, nil
}

// stored is a definition as it is stored, from memory: that cannot fail for a store that is slow.
func (m *maker) stored(name string) ([]byte, error) {
	o, err := m.definitions.Get(context.Background(), "", name, &metav1.GetOptions{ResourceVersion: "0"})
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", name, err)
	}
	return o.JSON(), nil
}

// weigh is the size of what a write is about whose body has so many bytes: of the definition that it changes, if that is larger.
func (m *maker) weigh(ctx context.Context, size int) int {
	r, ok := handler.RequestFrom(ctx)
	if !ok || r.Info.Name == "" {
		return size
	}
	stored, err := m.stored(r.Info.Name)
	if err != nil {
		return size // it will be said that there is none
	}
	return max(size, len(stored))
}

func (m *maker) handler(res *rest.Resource) http.Handler {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.direct.Handler(res)
}
