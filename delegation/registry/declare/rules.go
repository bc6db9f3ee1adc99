package declare

import (
	"context"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/portico-api/portico/delegation/registry"
)

// Rules are what is particular to one kind, in the kind's own Go type. Any of them may be nil.
type Rules[T runtime.Object] struct {
	SetDefaults    func(obj T)
	Create         func(ctx context.Context, obj T)
	Update         func(ctx context.Context, obj, old T)
	UpdateStatus   func(ctx context.Context, obj, old T)
	Validate       func(obj T) field.ErrorList
	ValidateUpdate func(obj, old T) field.ErrorList
	ValidateStatus func(obj, old T) field.ErrorList
}

// Strategy is the one place where the registry's objects become typed ones: a resource's New makes
// a T and the registry hands nothing else to its strategy.
func (r Rules[T]) Strategy() registry.Strategy {
	return registry.Strategy{
		Default:                onOne(r.SetDefaults),
		PrepareForCreate:       onCreate(r.Create),
		PrepareForUpdate:       onChange(r.Update),
		PrepareForStatusUpdate: onChange(r.UpdateStatus),
		Validate:               checkOne(r.Validate),
		ValidateUpdate:         checkChange(r.ValidateUpdate),
		ValidateStatusUpdate:   checkChange(r.ValidateStatus),
	}
}

func onOne[T runtime.Object](f func(T)) func(runtime.Object) {
	if f == nil {
		return nil
	}
	return func(obj runtime.Object) { f(obj.(T)) }
}

func onCreate[T runtime.Object](f func(context.Context, T)) func(context.Context, runtime.Object) {
	if f == nil {
		return nil
	}
	return func(ctx context.Context, obj runtime.Object) { f(ctx, obj.(T)) }
}

func onChange[T runtime.Object](f func(ctx context.Context, obj, old T)) func(ctx context.Context, obj, old runtime.Object) {
	if f == nil {
		return nil
	}
	return func(ctx context.Context, obj, old runtime.Object) { f(ctx, obj.(T), old.(T)) }
}

func checkOne[T runtime.Object](f func(T) field.ErrorList) func(context.Context, runtime.Object) field.ErrorList {
	if f == nil {
		return nil
	}
	return func(_ context.Context, obj runtime.Object) field.ErrorList { return f(obj.(T)) }
}

func checkChange[T runtime.Object](f func(obj, old T) field.ErrorList) func(ctx context.Context, obj, old runtime.Object) field.ErrorList {
	if f == nil {
		return nil
	}
	return func(_ context.Context, obj, old runtime.Object) field.ErrorList { return f(obj.(T), old.(T)) }
}
