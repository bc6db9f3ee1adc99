package storage

import (
	"sync/atomic"
	"time"

	"k8s.io/apimachinery/pkg/watch"
)

// Event is one change, shared by all watchers.
type Event struct {
	Type     watch.EventType // Added, Modified, Deleted
	Object   *Object         // the new state; for Deleted the last state with the deletion's revision
	Previous *Object         // nil for Added
	Revision int64

	received time.Time
	entered  atomic.Pointer[[]byte] // frame for those to whom a modification is an addition
	left     atomic.Pointer[Object] // state for those to whom a modification is a deletion
}

// Shown is the object of the event as it is shown to a watcher whose selector makes the event a typ: the
// state that the watcher knew last, under the event's revision, when a modification is a deletion to it.
func (e *Event) Shown(typ watch.EventType) *Object {
	if typ != watch.Deleted || e.Type == watch.Deleted || e.Previous == nil {
		return e.Object
	}
	if o := e.left.Load(); o != nil {
		return o
	}
	// Two watchers may make it at once; either result is right.
	o := e.Previous.at(e.Revision, watch.Deleted)
	e.left.Store(o)
	return o
}

// Frame is the JSON watch frame of the event shown as typ (a selector may turn a modification into an
// addition or a deletion), made once for each typ. It must not be changed.
func (e *Event) Frame(typ watch.EventType) []byte {
	o := e.Shown(typ)
	if o != e.Object || typ == e.Type {
		return o.Frame(typ)
	}
	if f := e.entered.Load(); f != nil && typ == watch.Added {
		return *f
	}
	frame := o.Frame(typ)
	if typ == watch.Added {
		e.entered.Store(&frame)
	}
	return frame
}

// In is the event in another version, which show makes objects of.
func (e *Event) In(show func(*Object) (*Object, error)) (*Event, error) {
	other := &Event{Type: e.Type, Revision: e.Revision, received: e.received}
	var err error
	if other.Object, err = show(e.Object); err != nil {
		return nil, err
	}
	if e.Previous != nil {
		if other.Previous, err = show(e.Previous); err != nil {
			return nil, err
		}
	}
	return other, nil
}
