package registry

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/managedfields"
	"k8s.io/klog/v2"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
	"sigs.k8s.io/structured-merge-diff/v6/typed"

	"github.com/portico-api/portico/delegation/storage"
)

// inProcess is the field manager of what the server's own controllers write.
const inProcess = "portico"

// fieldManager keeps account of who manages which field of one kind's objects, for one way of writing them.
type fieldManager struct {
	types       *fieldTypes
	version     fieldpath.APIVersion
	subresource string
	// owned filters out what this way of writing takes no notice of; nil lets everything through.
	owned fieldpath.Filter
	// library is made for the first write that needs it: most of many resources are never written to.
	library func() (*managedfields.FieldManager, error)
	now     func() time.Time
}

// newFieldManager returns nil when the store is told no types: then nobody manages fields.
func (s *Store) newFieldManager(subresource string, owned fieldpath.Filter) *fieldManager {
	if s.forms == nil {
		return nil
	}
	return fieldManagerOf(s.forms, s.forms.stored, subresource, owned, s.res.Strategy.Default, s.cfg.Now)
}

// fieldManagerOf returns the account of what is written in the form of types, which is one of all.
func fieldManagerOf(all *forms, types *fieldTypes, subresource string, owned fieldpath.Filter, defaults defaulter, now func() time.Time) *fieldManager {
	f := &fieldManager{
		types:       types,
		version:     fieldpath.APIVersion(types.kind.GroupVersion().String()),
		subresource: subresource,
		owned:       owned,
		now:         now,
	}
	f.library = sync.OnceValues(func() (*managedfields.FieldManager, error) {
		var reset map[fieldpath.APIVersion]fieldpath.Filter
		if owned != nil {
			reset = map[fieldpath.APIVersion]fieldpath.Filter{fieldpath.APIVersion(all.stored.kind.GroupVersion().String()): owned}
			for _, v := range all.views {
				reset[fieldpath.APIVersion(v.types.kind.GroupVersion().String())] = owned
			}
		}
		// That of custom resources is the one that converts between groups, too.
		return managedfields.NewDefaultCRDFieldManager(all, all, defaults, all,
			types.kind, all.stored.kind.GroupVersion(), subresource, reset)
	})
	return f
}

// allBut and only filter the parts of an object that are written through doors of their own.
func allBut(part string) fieldpath.Filter {
	return fieldpath.NewExcludeSetFilter(fieldpath.NewSet(fieldpath.MakePathOrDie(part)))
}

func only(part string) fieldpath.Filter {
	return fieldpath.NewIncludeMatcherFilter(fieldpath.MakePrefixMatcherOrDie(part))
}

// created notes that manager has made obj.
func (f *fieldManager) created(obj runtime.Object, m metav1.Object, manager string) error {
	obj.GetObjectKind().SetGroupVersionKind(f.types.kind) // controllers leave it out
	if m.GetManagedFields() == nil {
		return f.first(obj, m, manager)
	}
	return f.update(f.types.empty(), obj, manager)
}

// first does for a new object what update does in general, without decoding and merging what is known
// to be empty. Creates are the most frequent writes; this takes a third of the time.
func (f *fieldManager) first(obj runtime.Object, m metav1.Object, manager string) error {
	empty, err := f.types.ObjectToTyped(f.types.empty(), typed.AllowDuplicates)
	if err != nil {
		return err
	}
	full, err := f.types.ObjectToTyped(obj, typed.AllowDuplicates)
	if err != nil {
		return err
	}
	difference, err := empty.Compare(full)
	if err != nil {
		return fmt.Errorf("finding the fields of a new %s: %w", f.types.kind.Kind, err)
	}
	set := difference.Modified.Union(difference.Added)
	if f.owned != nil {
		set = f.owned.Filter(set)
	}
	set = set.Difference(unmanaged())
	if set.Empty() {
		return nil
	}
	encoded, err := set.ToJSON()
	if err != nil {
		return fmt.Errorf("encoding the fields of a new %s: %w", f.types.kind.Kind, err)
	}
	if manager == "" {
		manager = "unknown"
	}
	m.SetManagedFields([]metav1.ManagedFieldsEntry{{
		Manager:     manager,
		Operation:   metav1.ManagedFieldsOperationUpdate,
		APIVersion:  string(f.version),
		Time:        &metav1.Time{Time: f.now().UTC()},
		FieldsType:  "FieldsV1",
		FieldsV1:    &metav1.FieldsV1{Raw: encoded},
		Subresource: f.subresource,
	}})
	return nil
}

// unmanaged are the fields that belong to nobody: identity, and what only the server writes.
var unmanaged = sync.OnceValue(func() *fieldpath.Set {
	return fieldpath.NewSet(
		fieldpath.MakePathOrDie("apiVersion"),
		fieldpath.MakePathOrDie("kind"),
		fieldpath.MakePathOrDie("metadata"),
		fieldpath.MakePathOrDie("metadata", "name"),
		fieldpath.MakePathOrDie("metadata", "namespace"),
		fieldpath.MakePathOrDie("metadata", "creationTimestamp"),
		fieldpath.MakePathOrDie("metadata", "selfLink"),
		fieldpath.MakePathOrDie("metadata", "uid"),
		fieldpath.MakePathOrDie("metadata", "clusterName"),
		fieldpath.MakePathOrDie("metadata", "generation"),
		fieldpath.MakePathOrDie("metadata", "managedFields"),
		fieldpath.MakePathOrDie("metadata", "resourceVersion"),
	)
})

// updated notes that manager has made obj of old, which is stored, unless nothing has changed.
func (f *fieldManager) updated(s *Store, stored *storage.Object, old, obj runtime.Object, m, oldMeta metav1.Object, manager string) error {
	account := oldMeta.GetManagedFields()
	if f.subresource != "" || m.GetManagedFields() == nil {
		m.SetManagedFields(account) // clients that know nothing of it must not erase it
	}
	body, err := s.encode(obj, m)
	if err != nil || unchanged(stored, body) {
		return err
	}
	if f.subresource == "" && sameManagers(m.GetManagedFields(), account) {
		// It is read from obj then, and comparing it with itself would be the most of the work.
		oldMeta.SetManagedFields(nil)
		defer oldMeta.SetManagedFields(account)
	}
	return f.update(old, obj, manager)
}

// update lets the library note that manager has made obj of old. A write does not fail for the account: when it cannot be kept, because a webhook
// does not convert to a version that somebody manages fields in, it stays as it was. The library would drop all of it.
func (f *fieldManager) update(old, obj runtime.Object, manager string) error {
	library, err := f.library()
	if err != nil {
		return fmt.Errorf("managing the fields of a %s: %w", f.types.kind.Kind, err)
	}
	m, err := meta.Accessor(obj)
	if err != nil {
		return fmt.Errorf("managing the fields of a %s: %w", f.types.kind.Kind, err)
	}
	account := m.GetManagedFields()
	if _, err := library.Update(old, obj, manager); err != nil {
		klog.ErrorS(err, "Managing the fields of an object", "kind", f.types.kind, "namespace", m.GetNamespace(), "name", m.GetName())
		m.SetManagedFields(account)
	}
	return nil
}

// sameManagers tells whether two accounts agree in everything but time.
func sameManagers(a, b []metav1.ManagedFieldsEntry) bool {
	return slices.EqualFunc(a, b, func(a, b metav1.ManagedFieldsEntry) bool {
		return a.Manager == b.Manager && a.Operation == b.Operation && a.Subresource == b.Subresource &&
			a.APIVersion == b.APIVersion && a.FieldsType == b.FieldsType && bytes.Equal(rawFields(a), rawFields(b))
	})
}

func rawFields(entry metav1.ManagedFieldsEntry) []byte {
	if entry.FieldsV1 == nil {
		return nil
	}
	return entry.FieldsV1.Raw
}

// Apply merges config into current: manager then manages the fields that config has, and what it managed
// before and config lacks is removed unless others manage it too. Fields that others manage and config
// changes are a conflict, or taken over by force. current is nil for what does not exist.
func (f *fieldManager) Apply(current runtime.Object, config *unstructured.Unstructured, manager string, force bool) (runtime.Object, error) {
	if current == nil {
		current = f.types.empty()
	}
	library, err := f.library()
	if err != nil {
		return nil, fmt.Errorf("managing the fields of a %s: %w", f.types.kind.Kind, err)
	}
	merged, err := library.Apply(current, config, manager, force)
	if err == nil {
		return merged, nil
	}
	if status := apierrors.APIStatus(nil); errors.As(err, &status) {
		return nil, err
	}
	// What is stored fits its schema: what does not can only be the configuration.
	return nil, apierrors.NewBadRequest(err.Error())
}

// defaulter fills what an applied configuration leaves out.
type defaulter func(obj runtime.Object)

func (d defaulter) Default(obj runtime.Object) {
	if d != nil {
		d(obj)
	}
}
