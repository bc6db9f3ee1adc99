package workload

import (
	"maps"
	"reflect"
	"slices"
	"sync"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/portico-api/portico/delegation/registry"
	"github.com/portico-api/portico/delegation/registry/declare"
)

// rules are what holds of Go types wherever they occur. They are complete before the first walk.
type rules struct {
	defaults   map[reflect.Type]func(any)
	checks     map[reflect.Type]func(any, *field.Path) field.ErrorList
	enums      map[reflect.Type]map[string]bool
	mayBeEmpty map[spot]bool
	shapes     sync.Map // reflect.Type → []member
}

// spot is a field of a type.
type spot struct {
	in   reflect.Type
	name string
}

func newRules() *rules {
	r := &rules{
		defaults:   map[reflect.Type]func(any){},
		checks:     map[reflect.Type]func(any, *field.Path) field.ErrorList{},
		enums:      map[reflect.Type]map[string]bool{},
		mayBeEmpty: map[spot]bool{},
	}
	addEnums(r)
	addEmptiable(r)
	addPodDefaults(r)
	addVolumeDefaults(r)
	addKindDefaults(r)
	addPodChecks(r)
	addKindChecks(r)
	return r
}

// byDefault says what sets the defaults of a type.
func byDefault[T any](r *rules, set func(*T)) {
	r.defaults[reflect.TypeFor[T]()] = func(v any) { set(v.(*T)) }
}

// holds says what checks a type, beyond its shape.
func holds[T any](r *rules, check func(*T, *field.Path) field.ErrorList) {
	r.checks[reflect.TypeFor[T]()] = func(v any, path *field.Path) field.ErrorList { return check(v.(*T), path) }
}

// oneOf says which values a type has.
func oneOf[T ~string](r *rules, values ...T) {
	known := make(map[string]bool, len(values))
	for _, value := range values {
		known[string(value)] = true
	}
	r.enums[reflect.TypeFor[T]()] = known
}

// emptiable says that a field may be empty, although it is always written.
func emptiable[T any](r *rules, names ...string) {
	for _, name := range names {
		r.mayBeEmpty[spot{reflect.TypeFor[T](), name}] = true
	}
}

func sortedKeys(set map[string]bool) []string { return slices.Sorted(maps.Keys(set)) }

// kind completes a declaration: the Go types, the rules of all types in them, and those of the kind itself.
func kind[T, L any, PT interface {
	*T
	runtime.Object
}, PL interface {
	*L
	runtime.Object
}](r *rules, res registry.Resource, own declare.Rules[PT]) registry.Resource {
	res.New = func() runtime.Object { return PT(new(T)) }
	res.NewList = func() runtime.Object { return PL(new(L)) }
	setOwn, checkOwn := own.SetDefaults, own.Validate
	own.SetDefaults = func(obj PT) {
		r.fill(reflect.ValueOf(obj))
		if setOwn != nil {
			setOwn(obj)
		}
	}
	own.Validate = func(obj PT) field.ErrorList {
		errs := r.check(reflect.ValueOf(obj), nil)
		if checkOwn != nil {
			errs = append(errs, checkOwn(obj)...)
		}
		return errs
	}
	strategy := own.Strategy()
	strategy.AllowUnconditionalUpdate = true
	strategy.Generation = res.Strategy.Generation
	strategy.FieldNames, strategy.Fields = res.Strategy.FieldNames, res.Strategy.Fields
	strategy.ValidateName, strategy.Dependents = res.Strategy.ValidateName, res.Strategy.Dependents
	res.Strategy = strategy
	return res
}

// counted is the strategy of kinds whose metadata.generation counts changes of intent.
func counted() registry.Strategy { return registry.Strategy{Generation: true} }
