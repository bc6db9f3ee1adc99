package core

import (
	"context"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/portico-api/portico/delegation/registry"
)

// rules are what is particular to one kind, in the kind's own Go type. Any of them may be nil.
type rules[T runtime.Object] struct {
	setDefaults    func(obj T)
	create         func(ctx context.Context, obj T)
	update         func(ctx context.Context, obj, old T)
	updateStatus   func(ctx context.Context, obj, old T)
	validate       func(obj T) field.ErrorList
	validateUpdate func(obj, old T) field.ErrorList
	validateStatus func(obj, old T) field.ErrorList
}

// strategy is the one place where the registry's objects become typed ones: a resource's New makes
// a T and the registry hands nothing else to its strategy.
func (r rules[T]) strategy() registry.Strategy {
	return registry.Strategy{
		Default:                onOne(r.setDefaults),
		PrepareForCreate:       onCreate(r.create),
		PrepareForUpdate:       onChange(r.update),
		PrepareForStatusUpdate: onChange(r.updateStatus),
		Validate:               checkOne(r.validate),
		ValidateUpdate:         checkChange(r.validateUpdate),
		ValidateStatusUpdate:   checkChange(r.validateStatus),
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
