package registry

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strconv"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/apimachinery/pkg/watch"
	kjson "sigs.k8s.io/json"

	"github.com/portico-api/portico/handler/rest"
)

// View declares another version, or group, that the objects of a resource are shown and written in. What is stored, cached
// and watched is there once; the other form is made when somebody asks for it.
type View struct {
	GroupVersion schema.GroupVersion
	Kind         string
	New          func() runtime.Object
	NewList      func() runtime.Object
	Table        *rest.Table

	// Show makes an object of this version of one of the stored version, and Take the other way round. They may
	// use up what they are given.
	Show, Take func(obj runtime.Object) (runtime.Object, error)
	// Validate checks what is created in this version, before it is taken; nil adds nothing to the resource's own rules.
	Validate func(obj runtime.Object) field.ErrorList
	// Fields are the names of selectable fields here, and what they are in the stored version, beyond metadata.name and
	// metadata.namespace.
	Fields map[string]string
}

// View is the resource in another version, as the HTTP layer installs it. It is to be called before the first write. Who manages
// what was applied in it is told in its names, and of what was written otherwise in those of the stored version.
func (s *Store) View(v View) *rest.Resource {
	of := &viewStore{store: s, view: v}
	of.types = s.addForm(&of.view)
	r := &rest.Resource{
		GroupVersion: v.GroupVersion,
		Kind:         v.Kind,
		Name:         s.res.Name,
		SingularName: s.res.SingularName,
		ShortNames:   s.res.ShortNames,
		Categories:   s.res.Categories,
		Namespaced:   s.res.Namespaced,
		Storage:      of,
		New:          v.New,
		NewList:      v.NewList,
		Scheme:       s.cfg.Scheme,
		Table:        v.Table,
		Applier:      of.applier("", s.owned()),
	}
	if s.res.Status {
		r.Subresources = append(r.Subresources, of.statusResource())
	}
	return r
}

// show and take make objects of one version of the other.
func (v *View) show(obj runtime.Object) (runtime.Object, error) {
	other, err := v.Show(obj)
	if err != nil {
		return nil, fmt.Errorf("showing an object as %s: %w", v.GroupVersion, err)
	}
	other.GetObjectKind().SetGroupVersionKind(v.GroupVersion.WithKind(v.Kind))
	return other, nil
}

func (v *View) take(obj runtime.Object, as schema.GroupVersionKind) (runtime.Object, error) {
	stored, err := v.Take(obj)
	if err != nil {
		return nil, fmt.Errorf("taking an object of %s: %w", v.GroupVersion, err)
	}
	stored.GetObjectKind().SetGroupVersionKind(as)
	return stored, nil
}

// viewStore offers every verb of a resource in another version.
type viewStore struct {
	store *Store
	view  View
	types *fieldTypes // nil when nobody manages fields
}

// shown is a stored object in another version.
type shown struct {
	rest.Object
	json []byte
}

func (s shown) JSON() []byte { return s.json }

// show makes the other form of a stored object, or finds it where it was remembered.
func (v *viewStore) show(o rest.Object) (rest.Object, error) {
	encode := func() ([]byte, error) {
		obj := v.store.res.New()
		if err := kjson.UnmarshalCaseSensitivePreserveInts(o.JSON(), obj); err != nil {
			return nil, fmt.Errorf("decoding stored %s %s/%s: %w", v.store.gr, o.Namespace(), o.Name(), err)
		}
		other, err := v.view.show(obj)
		if err != nil {
			return nil, err
		}
		return json.Marshal(other)
	}
	body, err := []byte(nil), error(nil)
	if keeper, ok := o.(rest.Rememberer); ok {
		body, err = keeper.Remember(v, encode)
	} else {
		body, err = encode()
	}
	if err != nil {
		return nil, err
	}
	return shown{o, body}, nil
}

// Get implements rest.Getter.
func (v *viewStore) Get(ctx context.Context, namespace, name string, opts *metav1.GetOptions) (rest.Object, error) {
	o, err := v.store.Get(ctx, namespace, name, opts)
	if err != nil {
		return nil, err
	}
	return v.show(o)
}

// selected names the fields of a selector as the stored version does.
func (v *viewStore) selected(opts *rest.ListOptions) (*rest.ListOptions, error) {
	if opts == nil || opts.FieldSelector == nil || opts.FieldSelector.Empty() {
		return opts, nil
	}
	selector, err := opts.FieldSelector.Transform(func(name, value string) (string, string, error) {
		if stored, ok := v.view.Fields[name]; ok {
			return stored, value, nil
		}
		if name == "metadata.name" || name == "metadata.namespace" {
			return name, value, nil
		}
		return "", "", apierrors.NewBadRequest("field label not supported: " + name)
	})
	if err != nil {
		return nil, err
	}
	same := *opts
	same.FieldSelector = selector
	return &same, nil
}

// List implements rest.Lister.
func (v *viewStore) List(ctx context.Context, namespace string, opts *rest.ListOptions) (*rest.List, error) {
	opts, err := v.selected(opts)
	if err != nil {
		return nil, err
	}
	list, err := v.store.List(ctx, namespace, opts)
	if err != nil {
		return nil, err
	}
	all := list.Items
	list.Items = func(yield func(rest.Object) bool) {
		all(func(o rest.Object) bool {
			other, err := v.show(o)
			return err != nil || yield(other) // what cannot be shown is not in the list
		})
	}
	return list, nil
}

// Watch implements rest.Watcher.
func (v *viewStore) Watch(ctx context.Context, namespace string, opts *rest.ListOptions) (rest.Watch, error) {
	opts, err := v.selected(opts)
	if err != nil {
		return nil, err
	}
	w, err := v.store.Watch(ctx, namespace, opts)
	if err != nil {
		return nil, err
	}
	return &viewWatch{Watch: w, of: v}, nil
}

// viewWatch shows events in another version.
type viewWatch struct {
	rest.Watch
	of     *viewStore
	events []rest.Event
}

func (w *viewWatch) Next() ([]rest.Event, error) {
	events, err := w.Watch.Next()
	if err != nil {
		return nil, err
	}
	w.events = w.events[:0]
	for _, e := range events {
		object, err := w.of.showEvent(e)
		if err != nil {
			return nil, err
		}
		frame := append(append([]byte(`{"type":"`+string(e.Type)+`","object":`), object.JSON()...), "}\n"...)
		w.events = append(w.events, rest.Event{Type: e.Type, Object: object, Frame: frame})
	}
	return w.events, nil
}

// showEvent shows the object of an event. That of a bookmark is a kind and a revision, and not more.
func (v *viewStore) showEvent(e rest.Event) (rest.Object, error) {
	if e.Type != watch.Bookmark {
		return v.show(e.Object)
	}
	stored, other := `"apiVersion":`+strconv.Quote(v.store.gvk.GroupVersion().String()), `"apiVersion":`+strconv.Quote(v.view.GroupVersion.String())
	return shown{e.Object, bytes.Replace(e.Object.JSON(), []byte(stored), []byte(other), 1)}, nil
}

// asked lets admission know in which form the client speaks.
func (v *viewStore) asked(ctx context.Context) context.Context {
	return context.WithValue(ctx, askedKey{}, &v.view)
}

// Create implements rest.Creater.
func (v *viewStore) Create(ctx context.Context, namespace, name string, obj runtime.Object, opts *metav1.CreateOptions) (runtime.Object, error) {
	if err := v.validate(obj); err != nil {
		return nil, err
	}
	stored, err := v.view.take(obj, v.store.gvk)
	if err != nil {
		return nil, err
	}
	created, err := v.store.Create(v.asked(ctx), namespace, name, stored, opts)
	if err != nil {
		return nil, err
	}
	return v.view.show(created)
}

func (v *viewStore) validate(obj runtime.Object) error {
	if v.view.Validate == nil {
		return nil
	}
	problems := v.view.Validate(obj)
	if len(problems) == 0 {
		return nil
	}
	name := ""
	if m, err := meta.Accessor(obj); err == nil {
		name = m.GetName()
	}
	return apierrors.NewInvalid(schema.GroupKind{Group: v.view.GroupVersion.Group, Kind: v.view.Kind}, name, problems)
}

// Update implements rest.Updater.
func (v *viewStore) Update(ctx context.Context, namespace, name string, transform rest.Transform, opts *rest.UpdateOptions) (runtime.Object, bool, error) {
	return v.update(ctx, &v.store.main, namespace, name, transform, opts)
}

// update changes an object by one way, in this version.
func (v *viewStore) update(ctx context.Context, d *door, namespace, name string, transform rest.Transform, opts *rest.UpdateOptions) (runtime.Object, bool, error) {
	updated, created, err := v.store.update(v.asked(ctx), d, namespace, name, func(ctx context.Context, current runtime.Object) (runtime.Object, error) {
		var before runtime.Object
		if current != nil {
			var err error
			if before, err = v.view.show(current); err != nil {
				return nil, err
			}
		}
		after, err := transform(ctx, before)
		if err != nil {
			return nil, err
		}
		if before == nil {
			if err := v.validate(after); err != nil {
				return nil, err
			}
		}
		return v.view.take(after, v.store.gvk)
	}, opts)
	if err != nil {
		return nil, false, err
	}
	other, err := v.view.show(updated)
	return other, created, err
}

// Delete implements rest.Deleter.
func (v *viewStore) Delete(ctx context.Context, namespace, name string, opts *metav1.DeleteOptions) (runtime.Object, bool, error) {
	obj, deleted, err := v.store.Delete(v.asked(ctx), namespace, name, opts)
	if err != nil {
		return nil, false, err
	}
	other, err := v.view.show(obj)
	return other, deleted, err
}

// DeleteCollection implements rest.CollectionDeleter.
func (v *viewStore) DeleteCollection(ctx context.Context, namespace string, opts *metav1.DeleteOptions, list *rest.ListOptions) (runtime.Object, error) {
	list, err := v.selected(list)
	if err != nil {
		return nil, err
	}
	deleted, err := v.store.DeleteCollection(v.asked(ctx), namespace, opts, list)
	if err != nil {
		return nil, err
	}
	var others []runtime.Object
	err = meta.EachListItem(deleted, func(obj runtime.Object) error {
		other, err := v.view.show(obj)
		others = append(others, other)
		return err
	})
	if err != nil {
		return nil, err
	}
	whole := v.view.NewList()
	if err := meta.SetList(whole, others); err != nil {
		return nil, fmt.Errorf("collecting the deleted %s: %w", v.store.gr, err)
	}
	if from, err := meta.ListAccessor(deleted); err == nil {
		if to, err := meta.ListAccessor(whole); err == nil {
			to.SetResourceVersion(from.GetResourceVersion())
		}
	}
	return whole, nil
}
