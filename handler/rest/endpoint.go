package rest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/yaml"

	"github.com/portico-api/portico/handler"
)

// shared is what all endpoints of one installation have in common.
type shared struct {
	cfg     Config
	options *codec
	buffers *buffers
	watches *watchGroup
}

func newShared(cfg Config) *shared {
	if cfg.MinRequestTimeout == 0 {
		cfg.MinRequestTimeout = 30 * time.Minute
	}
	if cfg.MaxBodyBytes == 0 {
		cfg.MaxBodyBytes = 3 << 20
	}
	return &shared{cfg: cfg, options: newOptionsCodec(), buffers: newBuffers(), watches: newWatchGroup(cfg.Stopping)}
}

// endpoint is one resource or subresource with all that its verbs need at hand.
type endpoint struct {
	*shared
	codec *codec
	table *tabler

	res *Resource
	gvk schema.GroupVersionKind // of the bodies
	gvr schema.GroupVersionResource

	listKind string
	protobuf bool // the type has a protobuf form
	typed    bool // the type is a Go type
	loose    bool // it is about objects without a Go type, whose subresources may have one
}

// target is whom a request is about.
type target struct {
	namespace string // empty for cluster-scoped resources and across all namespaces
	name      string // empty for collections
}

// newEndpoint describes res, which is parent's subresource unless parent is nil.
func newEndpoint(s *shared, codec *codec, res, parent *Resource) *endpoint {
	owner := res
	if parent != nil {
		owner = parent
	}
	e := &endpoint{
		shared: s, codec: codec, res: res,
		gvk:      res.GroupVersionKind(),
		gvr:      owner.GroupVersion.WithResource(owner.Name),
		listKind: res.Kind + "List",
	}
	object := res.New()
	_, unstructured := object.(runtime.Unstructured)
	_, e.protobuf = object.(protobufMessage)
	e.typed = !unstructured
	_, e.loose = owner.New().(runtime.Unstructured)
	if res.NewList != nil && e.typed {
		if kinds, _, err := res.Scheme.ObjectKinds(res.NewList()); err == nil && len(kinds) > 0 {
			e.listKind = kinds[0].Kind
		}
	}
	if res.ListKind != "" {
		e.listKind = res.ListKind
	}
	e.table = newTabler(res)
	return e
}

// offer is what the endpoint can answer with.
func (e *endpoint) offer() offer {
	return offer{yaml: true, protobuf: e.protobuf, families: e.loose}
}

// begin reads what every verb looks at first: the options in the URL, and how the client wants its
// answer. An answer that nobody can write is refused before anything is done.
func (e *endpoint) begin(r *http.Request) (url.Values, encoding, error) {
	query, err := parseQuery(r)
	if err != nil {
		return nil, encoding{}, err
	}
	enc, err := e.offer().negotiate(r, query)
	return query, enc, err
}

// respondStored answers with what a storage handed out.
func (e *endpoint) respondStored(w http.ResponseWriter, r *http.Request, status int, enc encoding, stored []byte) error {
	if enc.format == formatProtobuf {
		message, err := e.messageOf(enc.shape, stored)
		if err != nil {
			return err
		}
		recordStored(r.Context(), enc.shape, stored)
		e.respondMessage(w, r, status, enc.shape, message)
		return nil
	}
	body := stored
	switch enc.shape {
	case shapePartial:
		body = appendPartial(nil, stored)
	case shapeTable:
		include, err := includeObject(r)
		if err != nil {
			return err
		}
		if body, err = e.table.single(stored, include, true); err != nil {
			return err
		}
	}
	return e.respondJSON(w, r, status, enc, body)
}

// respondJSON answers with body, which is JSON, in the encoding that was agreed on.
func (e *endpoint) respondJSON(w http.ResponseWriter, r *http.Request, status int, enc encoding, body []byte) error {
	handler.RecordFrom(r.Context()).AddAnswer(body)
	switch {
	case enc.format == formatYAML:
		converted, err := yaml.JSONToYAML(body)
		if err != nil {
			return fmt.Errorf("writing a %s as YAML: %w", e.gvk.Kind, err)
		}
		body = converted
	case enc.pretty:
		var indented bytes.Buffer
		if err := json.Indent(&indented, body, "", "  "); err != nil {
			return fmt.Errorf("indenting a %s: %w", e.gvk.Kind, err)
		}
		body = indented.Bytes()
	}
	e.buffers.writeBody(w, r, status, enc.format.contentType(), body)
	return nil
}

func (e *endpoint) encodeProtobuf(dst []byte, obj runtime.Object) ([]byte, error) {
	buf := bytes.NewBuffer(dst)
	if err := e.codec.proto.Encode(obj, buf); err != nil {
		return nil, fmt.Errorf("writing a %s as protobuf: %w", e.gvk.Kind, err)
	}
	return buf.Bytes(), nil
}

// respondObject answers with what a write returned: an object of the endpoint's kind, or a Status.
func (e *endpoint) respondObject(w http.ResponseWriter, r *http.Request, status int, enc encoding, obj runtime.Object) error {
	gvk := e.gvk
	if s, ok := obj.(*metav1.Status); ok {
		gvk = statusKind
		enc.shape = shapeObject
		if s.Code != 0 {
			status = int(s.Code)
		}
	}
	recordWritten(r.Context(), obj, status)
	if enc.format == formatProtobuf && enc.shape == shapeObject {
		recordObject(r.Context(), obj, gvk)
		body, err := e.encodeProtobuf(nil, obj)
		if err != nil {
			return err
		}
		e.buffers.writeBody(w, r, status, protobufHeader, body)
		return nil
	}
	body, err := encode(obj, gvk)
	if err != nil {
		return err
	}
	return e.respondStored(w, r, status, enc, body)
}

// decode reads body into obj, and tells of fields that mean nothing.
func (e *endpoint) decode(body []byte, f format, obj runtime.Object) (problems []error, err error) {
	if e.res.Settle == nil {
		return e.codec.decode(body, f, e.gvk, obj)
	}
	problems, err = e.codec.decodeLoose(body, f, e.gvk, obj)
	if err != nil {
		return nil, err
	}
	unknown, err := e.res.Settle(obj)
	return append(problems, unknown...), err
}

// statusKind is how every client expects a Status: of the core group, although its type is of meta.k8s.io.
var statusKind = schema.GroupVersionKind{Version: "v1", Kind: "Status"}

// inTurn does what a write takes whose body, of size bytes, has been read.
func (e *endpoint) inTurn(ctx context.Context, size int, write func(ctx context.Context) error) error {
	if e.res.Turn == nil {
		return write(ctx)
	}
	return e.res.Turn(ctx, size, write)
}

// readObject reads a request's body, which is an object.
func (e *endpoint) readObject(w http.ResponseWriter, r *http.Request) ([]byte, format, error) {
	f, err := e.offer().bodyFormat(r)
	if err != nil {
		return nil, f, err
	}
	body, err := readBody(w, r, e.cfg.MaxBodyBytes)
	return body, f, err
}

// decodeObject decodes the object in a request's body, which is about name if the path says so, and settles what unknown and double fields mean.
func (e *endpoint) decodeObject(ctx context.Context, body []byte, f format, name, validation string) (runtime.Object, error) {
	if err := e.boundDepth(body, f, name); err != nil {
		return nil, err
	}
	obj := e.res.New()
	problems, err := e.decode(body, f, obj)
	if err != nil {
		if answer := apierrors.APIStatus(nil); errors.As(err, &answer) {
			return nil, err
		}
		return nil, e.unmanageable(err)
	}
	if len(problems) > 0 {
		switch validation {
		case metav1.FieldValidationStrict:
			return nil, e.unmanageable(runtime.NewStrictDecodingError(problems))
		case metav1.FieldValidationWarn:
			warnOf(ctx, problems)
		}
	}
	e.recordSent(ctx, obj)
	return obj, nil
}

// unmanageable says why a body of the right kind is no object of it.
func (e *endpoint) unmanageable(err error) error {
	return apierrors.NewBadRequest(fmt.Sprintf("%s in version %q cannot be handled as a %s: %v", e.gvk.Kind, e.gvk.Version, e.gvk.Kind, err))
}

// warnOf tells a client of what its body means nothing by. YAML has one problem of several lines: a warning has one.
func warnOf(ctx context.Context, problems []error) {
	for _, problem := range problems {
		text := problem.Error()
		if _, lines, many := strings.Cut(text, "yaml: unmarshal errors:\n"); many {
			text = lines
		}
		for line := range strings.SplitSeq(text, "\n") {
			handler.AddWarning(ctx, strings.TrimSpace(line))
		}
	}
}
