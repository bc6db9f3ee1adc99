package rest

import (
	"fmt"
	"net/http"
	"strconv"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/portico-api/portico/handler"
)

// deprecation is what clients of a kind are told that they should not use any more.
type deprecation struct {
	warning string
	removed string // the release that is without it, if it is known
}

// The types say by these since when they are deprecated, until when they are there, and what comes after them.
type (
	deprecates interface {
		APILifecycleDeprecated() (major, minor int)
	}
	removes interface {
		APILifecycleRemoved() (major, minor int)
	}
	replaces interface {
		APILifecycleReplacement() schema.GroupVersionKind
	}
)

// deprecationOf is nil for a kind that is not deprecated in the given release. Without a release every kind is that will ever be.
func deprecationOf(obj runtime.Object, kind schema.GroupVersionKind, release Release) *deprecation {
	d, ok := obj.(deprecates)
	if !ok {
		return nil
	}
	major, minor := d.APILifecycleDeprecated()
	if major == 0 && minor == 0 || release != (Release{}) && release.before(major, minor) {
		return nil
	}
	told := &deprecation{warning: fmt.Sprintf("%s %s is deprecated in v%d.%d+", kind.GroupVersion(), kind.Kind, major, minor)}
	if r, ok := obj.(removes); ok {
		if major, minor := r.APILifecycleRemoved(); major != 0 || minor != 0 {
			told.removed = strconv.Itoa(major) + "." + strconv.Itoa(minor)
			told.warning += ", unavailable in v" + told.removed + "+"
		}
	}
	if r, ok := obj.(replaces); ok {
		if next := r.APILifecycleReplacement(); !next.Empty() {
			told.warning += fmt.Sprintf("; use %s %s", next.GroupVersion(), next.Kind)
		}
	}
	return told
}

// Release is the version of Kubernetes whose API is served.
type Release struct{ Major, Minor int }

func (r Release) before(major, minor int) bool {
	return r.Major < major || r.Major == major && r.Minor < minor
}

// told has the client told before it is answered.
func (d *deprecation) told(op operation) operation {
	if d == nil {
		return op
	}
	return func(w http.ResponseWriter, r *http.Request, at target) error {
		handler.AddWarning(r.Context(), d.warning)
		handler.UsesDeprecated(r.Context(), d.removed)
		return op(w, r, at)
	}
}
