package registry

import (
	"context"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"

	"github.com/portico-api/portico/handler/rest"
)

// viewStatus is the status subresource of a resource in another version.
type viewStatus struct{ of *viewStore }

// statusResource is the subresource as the HTTP layer installs it.
func (v *viewStore) statusResource() *rest.Resource {
	return &rest.Resource{
		GroupVersion: v.view.GroupVersion,
		Kind:         v.view.Kind,
		Name:         "status",
		Namespaced:   v.store.res.Namespaced,
		Storage:      &viewStatus{v},
		New:          v.view.New,
		Scheme:       v.store.cfg.Scheme,
		Table:        v.view.Table,
		Applier:      v.applier("status", only("status")),
	}
}

// owned is what the main path of a resource lets managers own.
func (s *Store) owned() fieldpath.Filter {
	if s.res.Status {
		return allBut("status")
	}
	return nil
}

// Get implements rest.Getter.
func (s *viewStatus) Get(ctx context.Context, namespace, name string, opts *metav1.GetOptions) (rest.Object, error) {
	return s.of.Get(ctx, namespace, name, opts)
}

// Update implements rest.Updater.
func (s *viewStatus) Update(ctx context.Context, namespace, name string, transform rest.Transform, opts *rest.UpdateOptions) (runtime.Object, bool, error) {
	return s.of.update(ctx, &s.of.store.status, namespace, name, transform, opts)
}
