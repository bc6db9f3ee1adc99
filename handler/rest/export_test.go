package rest

import (
	"context"
	"net/http"
)

// Accepted is how a header is understood by a resource with a protobuf form.
func Accepted(accept string, list bool) (format, shape int, ok bool) {
	enc, ok := offer{yaml: true, protobuf: true, list: list}.accept(http.Header{"Accept": {accept}})
	return int(enc.format), int(enc.shape), ok
}

var (
	RawField         = rawField
	ParseList        = parseList
	ManagerFromAgent = managerFromAgent
	AcceptsGzip      = acceptsGzip
)

// ApplyJSONPatch applies a JSON patch as a request does.
func ApplyJSONPatch(object, patch []byte) ([]byte, error) {
	ops, err := parseJSONPatch(patch)
	if err != nil {
		return nil, err
	}
	return ops.apply(object)
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
