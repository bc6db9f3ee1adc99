package registry

import (
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	"github.com/portico-api/portico/handler/rest"
)

// applier is what the HTTP layer applies configurations with, by the main path or a subresource; nil when nobody manages fields.
func (v *viewStore) applier(subresource string, owned fieldpath.Filter) rest.Applier {
	all := v.store.forms
	if all == nil {
		return nil
	}
	return &viewApplier{of: v, fields: fieldManagerOf(all, v.types, subresource, owned, nil, v.store.cfg.Now)}
}

// viewApplier applies configurations in another version than the stored one.
type viewApplier struct {
	of     *viewStore
	fields *fieldManager
}

// Apply implements rest.Applier. The library returns what has changed in the stored version.
func (a *viewApplier) Apply(current runtime.Object, config *unstructured.Unstructured, manager string, force bool) (runtime.Object, error) {
	merged, err := a.fields.Apply(current, config, manager, force)
	if err != nil || merged.GetObjectKind().GroupVersionKind() != a.of.store.gvk {
		return merged, err
	}
	return a.of.view.show(merged)
}
