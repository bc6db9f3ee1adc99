package rest

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/authorization/authorizer"

	"github.com/portico-api/portico/handler"
)

// create stores the object in the body.
func (e *endpoint) create(w http.ResponseWriter, r *http.Request, at target) error {
	query, enc, err := e.begin(r)
	if err != nil {
		return err
	}
	opts, err := parseCreate(r, query)
	if err != nil {
		return err
	}
	body, f, err := e.readObject(w, r)
	if err != nil {
		return err
	}
	var stored runtime.Object
	err = e.inTurn(r.Context(), len(body), func(ctx context.Context) error {
		obj, err := e.decodeObject(ctx, body, f, at.name, opts.FieldValidation)
		if err != nil {
			return err
		}
		if err := settleNamespace(obj, at.namespace); err != nil {
			return err
		}
		stored, err = e.res.Storage.(Creater).Create(ctx, at.namespace, at.name, obj, opts)
		return err
	})
	if err != nil {
		return err
	}
	return e.respondObject(w, r, http.StatusCreated, enc, stored)
}

// update replaces an object by the one in the body.
func (e *endpoint) update(w http.ResponseWriter, r *http.Request, at target) error {
	query, enc, err := e.begin(r)
	if err != nil {
		return err
	}
	opts, err := parseUpdate(r, query)
	if err != nil {
		return err
	}
	body, f, err := e.readObject(w, r)
	if err != nil {
		return err
	}
	var stored runtime.Object
	var created bool
	err = e.inTurn(r.Context(), len(body), func(ctx context.Context) error {
		obj, err := e.decodeObject(ctx, body, f, at.name, opts.FieldValidation)
		if err != nil {
			return err
		}
		if err := checkIdentity(obj, at); err != nil {
			return err
		}
		stored, created, err = e.res.Storage.(Updater).Update(ctx, at.namespace, at.name, e.replacement(obj, at), &UpdateOptions{UpdateOptions: *opts})
		return err
	})
	if err != nil {
		return err
	}
	return e.respondObject(w, r, createdOrOK(created), enc, stored)
}

// replacement has obj take the place of what there is.
func (e *endpoint) replacement(obj runtime.Object, at target) Transform {
	return func(ctx context.Context, current runtime.Object) (runtime.Object, error) {
		if current == nil {
			if err := e.mayCreate(ctx, at); err != nil {
				return nil, err
			}
		}
		return obj.DeepCopyObject(), nil // the storage changes what it gets, and may ask again
	}
}

func createdOrOK(created bool) int {
	if created {
		return http.StatusCreated
	}
	return http.StatusOK
}

// settleNamespace makes the body agree with the path: an empty namespace is filled in, another one refused.
func settleNamespace(obj runtime.Object, namespace string) error {
	m, err := meta.Accessor(obj)
	if err != nil {
		return nil // a kind without metadata
	}
	switch m.GetNamespace() {
	case namespace:
	case "":
		m.SetNamespace(namespace)
	default:
		if namespace != "" {
			return apierrors.NewBadRequest("the namespace of the provided object does not match the namespace sent on the request")
		}
		m.SetNamespace("")
	}
	return nil
}

// checkIdentity refuses a body that is about another object than the path.
func checkIdentity(obj runtime.Object, at target) error {
	m, err := meta.Accessor(obj)
	if err != nil {
		return nil
	}
	switch name := m.GetName(); name {
	case at.name:
	case "":
		return apierrors.NewBadRequest(fmt.Sprintf("the name of the object (%s based on URL) was undeterminable: name must be provided", at.name))
	default:
		return apierrors.NewBadRequest(fmt.Sprintf("the name of the object (%s) does not match the name on the URL (%s)", name, at.name))
	}
	if namespace := m.GetNamespace(); at.namespace != "" && namespace != "" && namespace != at.namespace {
		return apierrors.NewBadRequest(fmt.Sprintf("the namespace of the object (%s) does not match the namespace on the request (%s)", namespace, at.namespace))
	}
	m.SetNamespace(at.namespace)
	return nil
}

// mayCreate asks whether a client that was allowed to update may also create, because an update is
// about to do so.
func (e *endpoint) mayCreate(ctx context.Context, at target) error {
	if e.cfg.Authorizer == nil {
		return nil
	}
	r, ok := handler.RequestFrom(ctx)
	if !ok {
		return nil
	}
	decision, reason, err := e.cfg.Authorizer.Authorize(ctx, authorizer.AttributesRecord{
		User: r.User, Verb: "create", Namespace: at.namespace, Name: at.name,
		APIGroup: e.gvr.Group, APIVersion: e.gvr.Version, Resource: e.gvr.Resource,
		ResourceRequest: true, Path: r.Info.Path,
	})
	switch {
	case decision == authorizer.DecisionAllow:
		return nil
	case err != nil:
		return fmt.Errorf("authorizing a create of %s: %w", e.gvr.Resource, err)
	}
	return apierrors.NewForbidden(e.gvr.GroupResource(), at.name, errors.New("creating it is not allowed: "+reason))
}

// remove deletes one object.
func (e *endpoint) remove(w http.ResponseWriter, r *http.Request, at target) error {
	query, enc, err := e.begin(r)
	if err != nil {
		return err
	}
	opts, err := e.deleteOptions(w, r, query)
	if err != nil {
		return err
	}
	var obj runtime.Object
	var deleted bool
	err = e.inTurn(r.Context(), 0, func(ctx context.Context) error {
		obj, deleted, err = e.res.Storage.(Deleter).Delete(ctx, at.namespace, at.name, opts)
		return err
	})
	if err != nil {
		return err
	}
	status := http.StatusOK
	if !deleted {
		// Clients that asked not to orphan are told that it takes time; others always got 200.
		if opts.OrphanDependents != nil && !*opts.OrphanDependents {
			status = http.StatusAccepted
		}
		return e.respondObject(w, r, status, enc, obj)
	}
	if done, ok := obj.(*metav1.Status); ok {
		return e.respondObject(w, r, status, enc, done)
	}
	return e.respondObject(w, r, status, enc, e.deletedStatus(at, obj))
}

// deletedStatus says what is no more.
func (e *endpoint) deletedStatus(at target, obj runtime.Object) *metav1.Status {
	details := &metav1.StatusDetails{Name: at.name, Group: e.gvr.Group, Kind: e.gvr.Resource}
	if m, err := meta.Accessor(obj); err == nil {
		details.UID = m.GetUID()
	}
	return &metav1.Status{Status: metav1.StatusSuccess, Details: details}
}

// removeAll deletes a collection and answers with what it was.
func (e *endpoint) removeAll(w http.ResponseWriter, r *http.Request, at target) error {
	query, err := parseQuery(r)
	if err != nil {
		return err
	}
	o := e.offer()
	o.list = true
	enc, err := o.negotiate(r, query)
	if err != nil {
		return err
	}
	list, err := parseList(query, false)
	if err != nil {
		return err
	}
	opts, err := e.deleteOptions(w, r, query)
	if err != nil {
		return err
	}
	deleted, err := e.res.Storage.(CollectionDeleter).DeleteCollection(r.Context(), at.namespace, opts, &list.ListOptions)
	if err != nil {
		return err
	}
	enc.shape = shapeObject
	gvk := e.gvk.GroupVersion().WithKind(e.listKind)
	if enc.format == formatProtobuf {
		recordObject(r.Context(), deleted, gvk)
		body, err := e.encodeProtobuf(nil, deleted)
		if err != nil {
			return err
		}
		e.buffers.writeBody(w, r, http.StatusOK, protobufHeader, body)
		return nil
	}
	body, err := encode(deleted, gvk)
	if err != nil {
		return err
	}
	return e.respondJSON(w, r, http.StatusOK, enc, body)
}
