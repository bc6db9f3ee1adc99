package registry

import (
	"context"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/klog/v2"

	"github.com/portico-api/portico/delegation/storage"
	"github.com/portico-api/portico/handler/rest"
)

// door is one way by which an object can be updated: its main path or a subresource. Doors differ in what
// they let through and in what they check.
type door struct {
	subresource string
	// prepare makes obj what it may become; old is a copy that it may use up, or for a sparing door the object itself.
	prepare   func(ctx context.Context, obj, old runtime.Object)
	sparing   bool // prepare leaves old as it is
	validate  func(ctx context.Context, obj, old runtime.Object) field.ErrorList
	fields    *fieldManager // nil when nobody manages fields
	create    bool          // what is missing may be created, if the kind or the caller wants it
	uncounted bool          // lets nothing through that the generation counts
	admitted  bool          // admission has been asked before the object came here
}

func (s *Store) mainDoor() door {
	strategy := &s.res.Strategy
	return door{
		create: true,
		fields: s.newFieldManager("", s.owned()),
		prepare: func(ctx context.Context, obj, old runtime.Object) {
			if s.res.Status {
				keepStatus(obj, old)
			}
			if strategy.PrepareForUpdate != nil {
				strategy.PrepareForUpdate(ctx, obj, old)
			}
		},
		validate: func(ctx context.Context, obj, old runtime.Object) field.ErrorList {
			if strategy.ValidateChange != nil {
				return strategy.ValidateChange(ctx, obj, old)
			}
			var problems field.ErrorList
			if strategy.Validate != nil {
				problems = append(problems, strategy.Validate(ctx, obj)...)
			}
			if strategy.ValidateUpdate != nil {
				problems = append(problems, strategy.ValidateUpdate(ctx, obj, old)...)
			}
			return problems
		},
	}
}

func (s *Store) statusDoor() door {
	strategy := &s.res.Strategy
	prepare := strategy.PrepareForStatusUpdate
	sparing := prepare == nil
	if sparing {
		prepare = func(_ context.Context, obj, old runtime.Object) { keepAllButStatus(obj, old) }
	}
	return door{
		subresource: "status",
		uncounted:   true,
		prepare:     prepare,
		sparing:     sparing,
		validate:    strategy.ValidateStatusUpdate,
		fields:      s.newFieldManager("status", only("status")),
	}
}

// subresourceDoor opens a door for sub.
func (s *Store) subresourceDoor(sub Subresource) door {
	return door{subresource: sub.Name, prepare: sub.Prepare, validate: sub.Validate, fields: s.newFieldManager(sub.Name, nil), admitted: sub.Admitted}
}

// applier is what the HTTP layer applies configurations with; nil when that cannot be done.
func (d *door) applier() rest.Applier {
	if d.fields == nil {
		return nil
	}
	return d.fields
}

// noteCreated notes who has made obj. Of one whose fields cannot be told apart, such as the elements of a list without their keys, nothing is
// noted: what is wrong with it is for validation to say.
func (d *door) noteCreated(ctx context.Context, obj runtime.Object, m metav1.Object, w writing) {
	if d.fields == nil {
		m.SetManagedFields(nil)
		return
	}
	if w.applied {
		return
	}
	if err := d.fields.created(obj, m, w.manager); err != nil {
		klog.FromContext(ctx).V(2).Info("Who manages the fields of a new object is not noted", "name", m.GetName(), "reason", err)
	}
}

// noteUpdated notes who has made obj of old.
func (d *door) noteUpdated(s *Store, stored *storage.Object, old, obj runtime.Object, m, oldMeta metav1.Object, w writing) error {
	if w.applied {
		return nil
	}
	if d.fields == nil {
		m.SetManagedFields(nil)
		return nil
	}
	return d.fields.updated(s, stored, old, obj, m, oldMeta, w.manager)
}

// Subresource declares one more way to write a resource's objects, such as a namespace's finalize.
type Subresource struct {
	Name string
	// Prepare takes from obj only what this subresource may change; the rest comes from old, which it may
	// use up.
	Prepare  func(ctx context.Context, obj, old runtime.Object)
	Validate func(ctx context.Context, obj, old runtime.Object) field.ErrorList
	// Readable adds get and patch to update.
	Readable bool
	// Admitted: whoever writes by it has asked admission, about something else than the whole object.
	Admitted bool
}

// Subresource returns sub as the HTTP layer installs it, to be appended to Rest().Subresources.
func (s *Store) Subresource(sub Subresource) *rest.Resource {
	updater := doorStore{store: s, door: s.subresourceDoor(sub)}
	if sub.Readable {
		return s.restOf(sub.Name, &readableDoorStore{doorStore: updater}, &updater.door)
	}
	return s.restOf(sub.Name, &updater, &updater.door)
}

// StatusStore is the status subresource alone.
func (s *Store) StatusStore() any {
	return &readableDoorStore{doorStore{store: s, door: s.status}}
}

// doorStore is a subresource that can be updated.
type doorStore struct {
	store *Store
	door  door
}

func (d *doorStore) Update(ctx context.Context, namespace, name string, transform rest.Transform, opts *rest.UpdateOptions) (runtime.Object, bool, error) {
	return d.store.update(ctx, &d.door, namespace, name, transform, opts)
}

// readableDoorStore is a subresource that shows the whole object, too.
type readableDoorStore struct{ doorStore }

func (d *readableDoorStore) Get(ctx context.Context, namespace, name string, opts *metav1.GetOptions) (rest.Object, error) {
	return d.store.Get(ctx, namespace, name, opts)
}
