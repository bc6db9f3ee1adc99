package admission

import (
	"context"
	"errors"
	"fmt"

	registrationv1 "k8s.io/api/admissionregistration/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Params finds the objects of one kind that policies may take as parameters.
type Params interface {
	// Get returns a NotFound Status when there is no such object.
	Get(ctx context.Context, namespace, name string) (runtime.Object, error)
	// List returns those that selector selects.
	List(ctx context.Context, namespace string, selector labels.Selector) ([]runtime.Object, error)
	Namespaced() bool
	// Resource is the plural by which who may read them is asked for.
	Resource() string
}

// paramsOf are the parameters by which a binding binds a policy for one write. A policy without any is evaluated once, with
// none.
func (h *Hooks) paramsOf(ctx context.Context, rv *review, kind *schema.GroupVersionKind, b *binding) ([]runtime.Object, error) {
	if kind == nil || b.params == nil {
		return []runtime.Object{nil}, nil
	}
	found, err := h.findParams(ctx, rv.namespace, *kind, b)
	if err != nil {
		return nil, err
	}
	action := b.params.ParameterNotFoundAction
	if len(found) == 0 && action != nil && *action == registrationv1.DenyAction {
		return nil, errors.New("no params found for policy binding with `Deny` parameterNotFoundAction")
	}
	return found, nil
}

func (h *Hooks) findParams(ctx context.Context, namespace string, kind schema.GroupVersionKind, b *binding) ([]runtime.Object, error) {
	var objects Params
	if h.cfg.Params != nil {
		objects, _ = h.cfg.Params(kind)
	}
	switch {
	case objects == nil:
		return nil, fmt.Errorf("paramKind kind `%v` not known", kind)
	case !objects.Namespaced() && b.params.Namespace != "":
		return nil, errors.New("paramRef.namespace must not be provided for a cluster-scoped `paramKind`")
	case !objects.Namespaced():
		namespace = ""
	case b.params.Namespace != "":
		namespace = b.params.Namespace
	case namespace == "":
		return nil, errors.New("cannot use namespaced paramRef in policy binding that matches cluster-scoped resources")
	}
	if b.params.Name == "" {
		return objects.List(ctx, namespace, b.selector)
	}
	found, err := objects.Get(ctx, namespace, b.params.Name)
	switch {
	case apierrors.IsNotFound(err):
		return nil, nil
	case err != nil:
		return nil, err
	}
	return []runtime.Object{found}, nil
}
