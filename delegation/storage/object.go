package storage

import (
	"fmt"
	"sync/atomic"
	"unsafe"

	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/watch"
)

// Object is one stored object: immutable and shared by all readers.
//
// Its JSON lies inside the watch frame that announced it, so that a watcher's bytes cost no memory of
// their own, and its labels and name point into bytes that are there anyway.
type Object struct {
	frame     []byte // {"type":"ADDED","object":JSON}\n
	key       string // namespace/name, or name
	labels    []pair
	fields    []pair // beyond metadata.name and metadata.namespace
	revision  int64
	head      uint8                     // where the JSON begins in frame
	slash     uint16                    // length of the namespace; 0 when there is none
	rewritten bool                      // what is stored is not quite what is shown
	asked     atomic.Bool               // for another form than JSON, at least once
	other     atomic.Pointer[otherForm] // the one that is remembered
}

const frameTail = "}\n"

// frameHead is how the watch frame of an event begins.
func frameHead(typ watch.EventType) string {
	switch typ {
	case watch.Added:
		return `{"type":"ADDED","object":`
	case watch.Modified:
		return `{"type":"MODIFIED","object":`
	case watch.Deleted:
		return `{"type":"DELETED","object":`
	}
	return fmt.Sprintf(`{"type":%q,"object":`, string(typ))
}

// objectKey is an object's place in its resource.
func objectKey(namespace, name string) string {
	if namespace == "" {
		return name
	}
	return namespace + "/" + name
}

// newObject makes the object that a write of json at revision became, framed as an event of typ.
// key is namespace/name with a namespace of the given length, or name.
func newObject(key string, namespace int, json []byte, revision int64, typ watch.EventType) (*Object, error) {
	o, err := survey(json)
	if err != nil {
		return nil, err
	}
	if o.rv.len() != 0 {
		// Data of another origin, or an earlier state that gets a new revision.
		json = without(json, o.rv)
		if o, err = survey(json); err != nil {
			return nil, err
		}
	}
	head := frameHead(typ)
	frame := make([]byte, 0, len(head)+o.body.len()+maxVersion+len(frameTail))
	frame = append(frame, head...)
	frame, labels := splice(frame, json, o, revision)
	frame = append(frame, frameTail...)

	obj := &Object{frame: frame, key: key, revision: revision, head: uint8(len(head)), slash: uint16(namespace)}
	obj.labels, err = pairs(frame[labels.from:labels.to], alias)
	return obj, err
}

// alias makes a string of bytes that are never written again, without copying them.
func alias(b []byte) string { return unsafe.String(&b[0], len(b)) }

// at is the same state under another revision: what a deletion shows.
func (o *Object) at(revision int64, typ watch.EventType) *Object {
	again, err := newObject(o.key, int(o.slash), o.JSON(), revision, typ)
	if err != nil {
		// The JSON was surveyed when o was made; to show the old revision is the least harm.
		return o
	}
	again.fields = o.fields
	return again
}

// index takes the selectable fields from the JSON.
func (o *Object) index(extract func(json []byte) fields.Set) {
	if extract == nil {
		return
	}
	set := extract(o.JSON())
	if len(set) == 0 {
		return
	}
	o.fields = make([]pair, 0, len(set))
	for key, value := range set {
		o.fields = append(o.fields, pair{key, value})
	}
}

// JSON is the object as its clients read it, resourceVersion included. It must not be changed.
func (o *Object) JSON() []byte {
	end := len(o.frame) - len(frameTail)
	return o.frame[o.head:end:end]
}

// ResourceVersion is the store's revision of the last write.
func (o *Object) ResourceVersion() int64 { return o.revision }

// Rewritten tells that the object is shown otherwise than it is stored: the next write stores it anew, whatever
// it changes.
func (o *Object) Rewritten() bool { return o.rewritten }

// Shown is the same state with other bytes: in another version, with labels and selectable fields (when fields is not nil) as they
// are there.
func (o *Object) Shown(json []byte, fields func(json []byte) fields.Set) (*Object, error) {
	shown, err := newObject(o.key, int(o.slash), json, o.revision, watch.Added)
	if err != nil {
		return nil, err
	}
	shown.rewritten = o.rewritten
	shown.index(fields)
	return shown, nil
}

// Namespace is empty for an object of the cluster's scope.
func (o *Object) Namespace() string { return o.key[:o.slash] }

// Name is the last part of the object's key.
func (o *Object) Name() string {
	if o.slash == 0 {
		return o.key
	}
	return o.key[o.slash+1:]
}

// Key is the object's place in the order of a list: "namespace/name", or "name".
func (o *Object) Key() string { return o.key }

// Labels are what a label selector is matched against. Nothing is allocated.
func (o *Object) Labels() labels.Labels { return (*objectLabels)(o) }

// Fields are what a field selector is matched against: metadata.name, metadata.namespace and the resource's own.
func (o *Object) Fields() fields.Fields { return (*objectFields)(o) }

// Frame is the object as a watch frame of typ with a newline at its end. It must not be changed. It is
// free for the kind of change the object came from, and made anew for another: for a watch's initial state.
func (o *Object) Frame(typ watch.EventType) []byte {
	head := frameHead(typ)
	if string(o.frame[:o.head]) == head {
		return o.frame
	}
	frame := make([]byte, 0, len(head)+len(o.frame)-int(o.head))
	frame = append(frame, head...)
	return append(frame, o.frame[o.head:]...)
}

// objectLabels shows an object's labels to a selector.
type objectLabels Object

func (o *objectLabels) Has(label string) bool {
	return indexOf(o.labels, label) >= 0
}

func (o *objectLabels) Get(label string) string {
	value, _ := o.Lookup(label)
	return value
}

func (o *objectLabels) Lookup(label string) (string, bool) {
	if i := indexOf(o.labels, label); i >= 0 {
		return o.labels[i].value, true
	}
	return "", false
}

// objectFields shows an object's selectable fields to a selector.
type objectFields Object

func (o *objectFields) Has(field string) bool {
	return field == "metadata.name" || field == "metadata.namespace" || indexOf(o.fields, field) >= 0
}

func (o *objectFields) Get(field string) string {
	switch field {
	case "metadata.name":
		return (*Object)(o).Name()
	case "metadata.namespace":
		return (*Object)(o).Namespace()
	}
	if i := indexOf(o.fields, field); i >= 0 {
		return o.fields[i].value
	}
	return ""
}
