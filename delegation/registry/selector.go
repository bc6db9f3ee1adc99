package registry

import (
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/portico-api/portico/delegation/storage"
	"github.com/portico-api/portico/handler/rest"
)

// selector is which objects a client wants, decided on what the cache holds beside the bytes.
type selector struct {
	labels labels.Selector
	fields fields.Selector
	all    bool   // nothing is left out
	name   string // the one object that can match, when its key is known; empty otherwise
}

// selector checks the selectors of opts. Only fields that the resource declares can be asked for.
func (s *Store) selector(namespace string, opts *rest.ListOptions) (selector, error) {
	sel := selector{labels: opts.LabelSelector, fields: opts.FieldSelector}
	if sel.labels == nil {
		sel.labels = labels.Everything()
	}
	if sel.fields == nil {
		sel.fields = fields.Everything()
	}
	sel.all = sel.labels.Empty() && sel.fields.Empty()
	if sel.fields.Empty() {
		return sel, nil
	}
	for _, requirement := range sel.fields.Requirements() {
		if !s.selectable(requirement.Field) {
			return sel, apierrors.NewBadRequest("field label not supported: " + requirement.Field)
		}
	}
	if namespace != "" || !s.res.Namespaced {
		sel.name, _ = sel.fields.RequiresExactMatch("metadata.name")
	}
	return sel, nil
}

func (s *Store) selectable(field string) bool {
	return field == "metadata.name" || field == "metadata.namespace" && s.res.Namespaced ||
		slices.Contains(s.res.Strategy.FieldNames, field)
}

func (sel *selector) matches(o *storage.Object) bool {
	return sel.all || sel.labels.Matches(o.Labels()) && sel.fields.Matches(o.Fields())
}
