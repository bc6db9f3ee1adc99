package rest

import (
	"context"
	"net/http"
	"net/url"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
)

// Accepted is how a header is understood by a resource with a protobuf form.
func Accepted(accept string, list bool) (format, shape int, ok bool) {
	enc, ok := offer{yaml: true, protobuf: true, list: list}.accept(http.Header{"Accept": {accept}})
	return int(enc.format), int(enc.shape), ok
}

var (
	ParseList        = parseList
	ManagerFromAgent = managerFromAgent
	AcceptsGzip      = acceptsGzip
)

// ApplyJSONPatch applies a JSON patch as a request does.
func ApplyJSONPatch(object, patch []byte) ([]byte, error) {
	apply, err := newJSONPatchChange(patch)
	if err != nil {
		return nil, err
	}
	return apply(object)
}

// WatchGroup gives tests a group of watches.
type WatchGroup struct{ g *watchGroup }

func NewWatchGroup(stopping <-chan struct{}) WatchGroup { return WatchGroup{newWatchGroup(stopping)} }

func (w WatchGroup) Join(cancel context.CancelFunc) func() { return w.g.join(cancel) }

// ApplyMergePatch applies a merge patch as a request does.
func ApplyMergePatch(object, patch []byte) ([]byte, error) {
	p, err := parseMergePatch(patch)
	if err != nil {
		return nil, err
	}
	return p.apply(object)
}

// MergePatch returns a merge patch that can be applied again and again.
func MergePatch(t interface{ Fatal(...any) }, patch string) func(object string) string {
	p, err := parseMergePatch([]byte(patch))
	if err != nil {
		t.Fatal(err)
	}
	return func(object string) string {
		after, err := p.apply([]byte(object))
		if err != nil {
			t.Fatal(err)
		}
		return string(after)
	}
}

// MergeStrategically applies a strategic merge patch to a config map as a request does.
func MergeStrategically(object, patch []byte) ([]byte, error) {
	e := endpoint{res: &Resource{New: func() runtime.Object { return &corev1.ConfigMap{} }}}
	merge, err := e.newChange(types.StrategicMergePatchType, patch)
	if err != nil {
		return nil, err
	}
	return merge(object)
}

// Decode reads a body as a request for a config map does.
func Decode(scheme *runtime.Scheme, yaml bool, body []byte) (*corev1.ConfigMap, []error, error) {
	f := formatJSON
	if yaml {
		f = formatYAML
	}
	obj := &corev1.ConfigMap{}
	problems, err := newCodec(scheme).decode(body, f, corev1.SchemeGroupVersion.WithKind("ConfigMap"), obj)
	return obj, problems, err
}

// ParseWrites reads the options of every kind of write from a query.
func ParseWrites(r *http.Request, query url.Values) error {
	_, create := parseCreate(r, query)
	_, update := parseUpdate(r, query)
	_, patch := parsePatch(r, query, types.ApplyPatchType)
	_, remove := parseDelete(query)
	for _, err := range []error{create, update, patch, remove} {
		if err != nil {
			return err
		}
	}
	return nil
}

// ReadBody reads the body of a request.
var ReadBody = readBody
