package admission

import (
	"context"
	"encoding/json"
	"fmt"

	admissionv1 "k8s.io/api/admission/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/admission"
	plugincel "k8s.io/apiserver/pkg/admission/plugin/cel"
	"k8s.io/apiserver/pkg/authentication/user"

	"github.com/portico-api/portico/delegation/registry"
	"github.com/portico-api/portico/handler"
)

// review is one write as hooks look at it. What a hook needs of it is made when the first one does, and kept until the
// object changes.
type review struct {
	*registry.Request
	hooks     *Hooks
	forms     []registry.Form
	namespace string // of the request as hooks know it: of a namespace, its own
	user      user.Info

	record    admission.Attributes
	shown     []shownForm // one for each form
	of        *corev1.Namespace
	ofTree    any // the same for expressions
	noneFound error
}

// shownForm is the write in one form.
type shownForm struct {
	made        bool
	object, old runtime.Object // nil where there is none
	json, was   []byte

	attributes *admission.VersionedAttributes // for expressions
	request    *admissionv1.AdmissionRequest  // for expressions, which see the objects apart from it
	names      *names
}

func newReview(ctx context.Context, hooks *Hooks, r *registry.Request) *review {
	rv := &review{Request: r, hooks: hooks, forms: r.Forms(), namespace: r.Namespace, user: requester(ctx)}
	if isNamespace(r) {
		rv.namespace = r.Name
	}
	rv.shown = make([]shownForm, len(rv.forms))
	return rv
}

// requester is who asks for the write. What the server's own controllers write is asked for by the server.
func requester(ctx context.Context) user.Info {
	if r, ok := handler.RequestFrom(ctx); ok && r.User != nil {
		return r.User
	}
	return &user.DefaultInfo{Name: user.APIServerUser, Groups: []string{user.SystemPrivilegedGroup}}
}

func isNamespace(r *registry.Request) bool {
	return r.Resource.Group == "" && r.Resource.Resource == "namespaces"
}

// attributes are those of the request in the words of the library that evaluates expressions.
func (rv *review) attributes() admission.Attributes {
	if rv.record == nil {
		var options runtime.Object
		if rv.Options != nil {
			options = rv.Options()
		}
		asked := rv.forms[0]
		rv.record = admission.NewAttributesRecord(nil, nil, asked.Kind, rv.namespace, rv.Name, asked.Resource, rv.Subresource,
			admission.Operation(rv.Operation), options, rv.DryRun, rv.user)
	}
	return rv.record
}

// show makes the objects of a form.
func (rv *review) show(form int) (*shownForm, error) {
	s := &rv.shown[form]
	if s.made {
		return s, nil
	}
	var err error
	if s.object, err = rv.showOne(form, rv.Object); err != nil {
		return nil, err
	}
	if s.old == nil {
		if s.old, err = rv.showOne(form, rv.Old); err != nil {
			return nil, err
		}
	}
	s.made = true
	return s, nil
}

func (rv *review) showOne(form int, obj runtime.Object) (runtime.Object, error) {
	if obj == nil {
		return nil, nil
	}
	shown, err := rv.Show(rv.forms[form], obj)
	if err != nil {
		return nil, err
	}
	shown.GetObjectKind().SetGroupVersionKind(rv.forms[form].Kind)
	return shown, nil
}

// encoded is the write in a form as JSON; nil stands for an object that is not there.
func (rv *review) encoded(form int) (object, old []byte, err error) {
	s, err := rv.show(form)
	if err != nil {
		return nil, nil, err
	}
	if s.json == nil && s.object != nil {
		if s.json, err = json.Marshal(s.object); err != nil {
			return nil, nil, fmt.Errorf("encoding the object: %w", err)
		}
	}
	if s.was == nil && s.old != nil {
		if s.was, err = json.Marshal(s.old); err != nil {
			return nil, nil, fmt.Errorf("encoding the old object: %w", err)
		}
	}
	return s.json, s.was, nil
}

// evaluable is the write in a form as expressions see it.
func (rv *review) evaluable(form int) (*admission.VersionedAttributes, *admissionv1.AdmissionRequest, error) {
	s, err := rv.show(form)
	if err != nil {
		return nil, nil, err
	}
	if s.attributes != nil {
		return s.attributes, s.request, nil
	}
	kind := rv.forms[form].Kind
	va := &admission.VersionedAttributes{Attributes: rv.attributes(), VersionedKind: kind}
	if va.VersionedObject, err = loosened(s.object); err != nil {
		return nil, nil, fmt.Errorf("preparing the object for expressions: %w", err)
	}
	if va.VersionedOldObject, err = loosened(s.old); err != nil {
		return nil, nil, fmt.Errorf("preparing the old object for expressions: %w", err)
	}
	s.attributes = va
	s.request = plugincel.CreateAdmissionRequest(va, metav1.GroupVersionResource(rv.forms[form].Resource), metav1.GroupVersionKind(kind))
	return s.attributes, s.request, nil
}

// namesOf are the values that all expressions about a form see, and the namespace for those that may.
func (rv *review) namesOf(form int, namespace *corev1.Namespace) (names, error) {
	s := &rv.shown[form]
	if s.names == nil {
		attributes, request, err := rv.evaluable(form)
		if err != nil {
			return names{}, err
		}
		n := &names{object: treeOf(attributes.VersionedObject), old: treeOf(attributes.VersionedOldObject)}
		if n.request, err = runtime.DefaultUnstructuredConverter.ToUnstructured(request); err != nil {
			return names{}, fmt.Errorf("preparing the request for expressions: %w", err)
		}
		s.names = n
	}
	n := *s.names
	if namespace == nil {
		return n, nil
	}
	if rv.ofTree == nil {
		tree, err := runtime.DefaultUnstructuredConverter.ToUnstructured(plugincel.CreateNamespaceObject(namespace))
		if err != nil {
			return names{}, fmt.Errorf("preparing the namespace for expressions: %w", err)
		}
		rv.ofTree = tree
	}
	n.namespace = rv.ofTree
	return n, nil
}

// treeOf is the content of a loosened object, and null where there is none.
func treeOf(obj runtime.Object) any {
	if u, ok := obj.(*unstructured.Unstructured); ok {
		return u.Object
	}
	return nil
}

// loosened is obj as a tree, so that not every expression makes one anew.
func loosened(obj runtime.Object) (runtime.Object, error) {
	if obj == nil {
		return nil, nil
	}
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(obj)
	if err != nil {
		return nil, err
	}
	return &unstructured.Unstructured{Object: content}, nil
}

// change puts what a hook has made of the object in its place.
func (rv *review) change(form int, body []byte, strict bool) error {
	if err := rv.Change(rv.forms[form], body, strict); err != nil {
		return err
	}
	rv.forget()
	return nil
}

// forget drops what was made of an object that has changed. The old object stays as it was shown.
func (rv *review) forget() {
	for i := range rv.shown {
		s := &rv.shown[i]
		s.made, s.object, s.json, s.attributes, s.request, s.names = false, nil, nil, nil, nil, nil
	}
}

// namespaceObject is the namespace that the write is in, nil when it is in none. A namespace is in none.
func (rv *review) namespaceObject(ctx context.Context) (*corev1.Namespace, error) {
	if rv.namespace == "" || isNamespace(rv.Request) {
		return nil, nil
	}
	if rv.of == nil && rv.noneFound == nil {
		rv.of, rv.noneFound = rv.hooks.cfg.Namespace(ctx, rv.namespace)
	}
	return rv.of, rv.noneFound
}

// namespaceLabels are what namespace selectors look at; found is false when the write has no namespace.
func (rv *review) namespaceLabels(ctx context.Context) (found bool, all labels.Set, err error) {
	if !isNamespace(rv.Request) {
		namespace, err := rv.namespaceObject(ctx)
		if err != nil || namespace == nil {
			return false, nil, err
		}
		return true, namespace.Labels, nil
	}
	obj := rv.Object // what the namespace is to become
	if obj == nil || rv.Subresource != "" {
		obj = rv.Old
	}
	m, err := meta.Accessor(obj)
	if err != nil {
		return false, nil, fmt.Errorf("reading the labels of a namespace: %w", err)
	}
	return true, m.GetLabels(), nil
}
