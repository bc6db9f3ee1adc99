package registry

import (
	"context"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Operation is what admission is asked about.
type Operation string

const (
	Create  Operation = "CREATE"
	Update  Operation = "UPDATE"
	Delete  Operation = "DELETE"
	Connect Operation = "CONNECT"
)

// Request is one write as admission sees it.
type Request struct {
	Operation   Operation
	Resource    schema.GroupVersionResource
	Subresource string
	Kind        schema.GroupVersionKind
	Namespace   string
	Name        string
	Object      runtime.Object // nil on delete
	Old         runtime.Object // nil on create
	DryRun      bool
	// Options makes what else the client said: *metav1.CreateOptions, UpdateOptions or DeleteOptions, with their kind. Nil
	// when it cannot say more.
	Options func() runtime.Object

	store    *Store // nil when the object is not one of a store
	asked    *View  // by which the client has come; nil for the stored form
	defaults func(runtime.Object)
	types    FieldTypes
	changed  bool // by Change
}

// Admission is asked before a write is stored. Errors are APIStatus errors.
type Admission interface {
	Admit(ctx context.Context, r *Request) error    // may change Object; before validation
	Validate(ctx context.Context, r *Request) error // after validation
}

// request describes one write to admission. It is nil when nobody will ask.
func (s *Store) request(ctx context.Context, op Operation, subresource string, obj, old runtime.Object, m metav1.Object, options func() runtime.Object, dryRun bool) *Request {
	if s.cfg.Admission == nil {
		return nil
	}
	asked, _ := ctx.Value(askedKey{}).(*View)
	return &Request{
		Operation:   op,
		Resource:    s.res.GroupVersion.WithResource(s.res.Name),
		Subresource: subresource,
		Kind:        s.gvk,
		Namespace:   m.GetNamespace(),
		Name:        m.GetName(),
		Object:      obj,
		Old:         old,
		DryRun:      dryRun,
		Options:     options,
		store:       s,
		asked:       asked,
		defaults:    s.res.Strategy.Default,
		types:       s.cfg.Types,
	}
}

// options says which kind the options of a write are; they are shown to others.
func options[O runtime.Object](o O, kind string) runtime.Object {
	o.GetObjectKind().SetGroupVersionKind(metav1.SchemeGroupVersion.WithKind(kind))
	return o
}

func (s *Store) admit(ctx context.Context, r *Request) error {
	if r == nil {
		return nil
	}
	return s.cfg.Admission.Admit(ctx, r)
}

func (s *Store) validateAdmission(ctx context.Context, r *Request) error {
	if r == nil {
		return nil
	}
	return s.cfg.Admission.Validate(ctx, r)
}

// Chain is asked in its order: each link may change what the links before it have made, then, when the
// result has been validated, each may refuse it. The first refusal is the answer.
type Chain []Admission

// Admit has each link change the write.
func (c Chain) Admit(ctx context.Context, r *Request) error {
	for _, link := range c {
		if err := link.Admit(ctx, r); err != nil {
			return err
		}
	}
	return nil
}

// Validate asks each link whether it refuses the write.
func (c Chain) Validate(ctx context.Context, r *Request) error {
	for _, link := range c {
		if err := link.Validate(ctx, r); err != nil {
			return err
		}
	}
	return nil
}
