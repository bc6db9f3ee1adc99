package registry

import (
	"context"
	"errors"
	"fmt"
	"reflect"

	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/managedfields"
	kjson "sigs.k8s.io/json"

	"github.com/portico-api/portico/handler"
)

// This file is for admission that asks programs outside, or runs expressions: they see a write in the version that they
// understand, and change it as JSON.

// Form is one group and version, and the kind, that the objects of a write can be shown in.
type Form struct {
	Resource schema.GroupVersionResource
	Kind     schema.GroupVersionKind

	view *View // nil for the form in which Object and Old are
}

// Forms are those that the objects can be shown in, that of the client first.
func (r *Request) Forms() []Form {
	own := Form{Resource: r.Resource, Kind: r.Kind}
	if r.store == nil || len(r.store.views) == 0 || r.Kind != r.store.gvk {
		return []Form{own}
	}
	forms := make([]Form, 0, len(r.store.views)+1)
	forms = append(forms, own)
	for _, v := range r.store.views {
		f := Form{Resource: v.GroupVersion.WithResource(r.Resource.Resource), Kind: v.GroupVersion.WithKind(v.Kind), view: v}
		forms = append(forms, f)
		if v == r.asked {
			forms[0], forms[len(forms)-1] = f, own
		}
	}
	return forms
}

// Show returns obj, which is Object or Old, in a form. It may be the same object.
func (r *Request) Show(f Form, obj runtime.Object) (runtime.Object, error) {
	if f.view == nil || obj == nil {
		return obj, nil
	}
	return f.view.show(obj.DeepCopyObject())
}

// Types knows the fields of the request's kinds.
func (r *Request) Types() (managedfields.TypeConverter, error) {
	if r.types == nil {
		return nil, fmt.Errorf("the fields of %s are not known", r.Kind)
	}
	return r.types()
}

// Change puts what body says in a form in the place of Object's content, with defaults for what it leaves out. Fields that
// the kind does not have are dropped, or refused when strict.
func (r *Request) Change(f Form, body []byte, strict bool) error {
	if r.Object == nil {
		return errors.New("there is no object that could be changed")
	}
	empty := reflect.New(reflect.TypeOf(r.Object).Elem()).Interface().(runtime.Object)
	if f.view != nil {
		empty = f.view.New()
	}
	obj, err := decodeInto(empty, body, strict)
	if err != nil {
		return err
	}
	if kind := obj.GetObjectKind().GroupVersionKind(); kind != f.Kind {
		return fmt.Errorf("the kind of the object may not become %q", kind)
	}
	if r.store != nil && r.store.res.Settle != nil && f.view == nil {
		if unknown, err := r.store.res.Settle(obj); err != nil || strict && len(unknown) > 0 {
			return errors.Join(append(unknown, err)...)
		}
	}
	if f.view != nil {
		if obj, err = f.view.take(obj, r.Kind); err != nil {
			return err
		}
	}
	if r.defaults != nil {
		r.defaults(obj)
	}
	setContent(r.Object, obj)
	r.changed = true
	return nil
}

func decodeInto(obj runtime.Object, body []byte, strict bool) (runtime.Object, error) {
	var into any = obj
	content := map[string]any{}
	u, loose := obj.(runtime.Unstructured)
	if loose {
		into = &content
	}
	unknown, err := kjson.UnmarshalStrict(body, into, kjson.DisallowUnknownFields)
	if err != nil {
		return nil, err
	}
	if strict && len(unknown) > 0 {
		return nil, errors.Join(unknown...)
	}
	if loose {
		u.SetUnstructuredContent(content)
	}
	return obj, nil
}

// setContent makes obj the same as other, of its type.
func setContent(obj, other runtime.Object) {
	reflect.ValueOf(obj).Elem().Set(reflect.ValueOf(other).Elem())
}

// askedKey is for the view by which a write came.
type askedKey struct{}

// admitNew asks who may change a new object, and holds them to what is the server's to say.
func (s *Store) admitNew(ctx context.Context, r *Request, obj runtime.Object, m metav1.Object) error {
	if r == nil {
		return nil
	}
	namespace, uid, created, managed := m.GetNamespace(), m.GetUID(), m.GetCreationTimestamp(), m.GetManagedFields()
	if err := s.cfg.Admission.Admit(ctx, r); err != nil || !r.changed {
		return err
	}
	if m.GetNamespace() != namespace {
		return apierrors.NewBadRequest("the namespace of the provided object does not match the namespace sent on the request")
	}
	generation := int64(0)
	if s.res.Strategy.Generation {
		generation = 1
	}
	m.SetUID(uid)
	m.SetCreationTimestamp(created)
	m.SetGeneration(generation)
	m.SetDeletionTimestamp(nil)
	m.SetDeletionGracePeriodSeconds(nil)
	m.SetSelfLink("")
	if s.res.Status {
		clearStatus(obj)
	}
	dropDoubleOwners(ctx, m)
	keepManagers(ctx, m, managed)
	return nil
}

// admitUpdate asks who may change an update, and holds them to what is the server's to say.
func (s *Store) admitUpdate(ctx context.Context, r *Request, m, old metav1.Object) error {
	if r == nil {
		return nil
	}
	version, managed := m.GetResourceVersion(), m.GetManagedFields()
	if err := s.cfg.Admission.Admit(ctx, r); err != nil || !r.changed {
		return err
	}
	m.SetResourceVersion(version)
	keepMetadata(m, old)
	dropDoubleOwners(ctx, m)
	keepManagers(ctx, m, managed)
	return nil
}

// keepManagers puts the account of who manages which field back when admission has left one that cannot be read.
func keepManagers(ctx context.Context, m metav1.Object, before []metav1.ManagedFieldsEntry) {
	after := m.GetManagedFields()
	if apiequality.Semantic.DeepEqual(before, after) {
		return
	}
	if err := managedfields.ValidateManagedFields(after); err != nil {
		m.SetManagedFields(before)
		handler.AddWarning(ctx, fmt.Sprintf(".metadata.managedFields was in an invalid state after admission; "+
			"this could be caused by an outdated mutating admission controller; please fix your requests: %v", err))
	}
}
