package discovery

import (
	"bytes"
	"compress/gzip"
	"crypto/sha512"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"

	apidiscoveryv2 "k8s.io/api/apidiscovery/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer/protobuf"
	"sigs.k8s.io/yaml"

	"github.com/portico-api/portico/handler"
)

// Document is one immutable discovery document and a handler that answers with it, in the media
// type the client wants. Each encoding is made once, when it is first asked for.
type Document struct {
	aggregated bool
	encoded    [encodings]func() (*encoded, error)
	etag       func() (string, error)
}

// encoded is a document in one media type; compressed is nil where it is not worth it.
type encoded struct {
	contentType string
	body        []byte
	compressed  []byte
}

// NewDocument returns the document of obj, whose kind and apiVersion are set. obj must not be
// changed afterwards.
func NewDocument(obj runtime.Object) *Document {
	return newDocument(obj, false)
}

func newAggregatedDocument(groups []apidiscoveryv2.APIGroupDiscovery) *Document {
	if groups == nil {
		groups = []apidiscoveryv2.APIGroupDiscovery{} // "items":[], never null
	}
	return newDocument(&apidiscoveryv2.APIGroupDiscoveryList{
		TypeMeta: metav1.TypeMeta{Kind: "APIGroupDiscoveryList", APIVersion: apidiscoveryv2.SchemeGroupVersion.String()},
		Items:    groups,
	}, true)
}

func newDocument(obj runtime.Object, aggregated bool) *Document {
	d := &Document{aggregated: aggregated}
	for e := range encodings {
		d.encoded[e] = sync.OnceValues(func() (*encoded, error) { return encode(obj, e, aggregated) })
	}
	d.etag = sync.OnceValues(func() (string, error) {
		// One tag for all encodings, of the JSON: what upstream's clients have cached stays valid.
		en, err := d.encoded[encodingJSON]()
		if err != nil {
			return "", err
		}
		return strconv.Quote(fmt.Sprintf("%X", sha512.Sum512(en.body))), nil
	})
	return d
}

// ServeHTTP answers r with the document, or with 406 when the client accepts no form it has.
func (d *Document) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	rep, ok := negotiate(r, d.aggregated)
	if !ok {
		handler.WriteError(w, r, errNotAcceptable())
		return
	}
	d.write(w, r, rep.encoding)
}

func (d *Document) write(w http.ResponseWriter, r *http.Request, e encoding) {
	if d.aggregated {
		etag, err := d.etag()
		if err != nil {
			handler.WriteError(w, r, err)
			return
		}
		h := w.Header()
		h.Set("ETag", etag)
		h.Set("Vary", "Accept")
		h.Set("Cache-Control", "public")
		if r.Header.Get("If-None-Match") == etag {
			w.WriteHeader(http.StatusNotModified)
			return
		}
	}

	en, err := d.encoded[e]()
	if err != nil {
		handler.WriteError(w, r, err)
		return
	}
	h := w.Header()
	h.Set("Content-Type", en.contentType)
	body := en.body
	if en.compressed != nil {
		h.Add("Vary", "Accept-Encoding")
		if acceptsGzip(r) {
			h.Set("Content-Encoding", "gzip")
			body = en.compressed
		}
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(http.StatusOK)
	if r.Method != http.MethodHead {
		w.Write(body) // an error here is the client's going away
	}
}

// compressAbove is the size from which answers are compressed (contract 2.2).
const compressAbove = 128 << 10

func encode(obj runtime.Object, e encoding, aggregated bool) (*encoded, error) {
	var buf bytes.Buffer
	if err := encodeTo(&buf, obj, e); err != nil {
		return nil, fmt.Errorf("encoding %s as %s: %w", obj.GetObjectKind().GroupVersionKind().Kind, mediaTypes[e], err)
	}
	en := &encoded{contentType: mediaTypes[e], body: buf.Bytes()}
	if aggregated {
		en.contentType += aggregatedParameters
	}
	if len(en.body) > compressAbove {
		en.compressed = compress(en.body)
	}
	return en, nil
}

func encodeTo(buf *bytes.Buffer, obj runtime.Object, e encoding) error {
	switch e {
	case encodingProtobuf:
		return protobuf.NewSerializer(nil, nil).Encode(obj, buf)
	case encodingYAML:
		out, err := yaml.Marshal(obj)
		buf.Write(out)
		return err
	default:
		return json.NewEncoder(buf).Encode(obj)
	}
}

func compress(body []byte) []byte {
	var buf bytes.Buffer
	// The level is a constant and a buffer does not fail.
	zw, _ := gzip.NewWriterLevel(&buf, gzip.BestSpeed)
	zw.Write(body)
	zw.Close()
	return buf.Bytes()
}

func acceptsGzip(r *http.Request) bool {
	for part := range strings.SplitSeq(r.Header.Get("Accept-Encoding"), ",") {
		name, params, _ := strings.Cut(part, ";")
		if strings.EqualFold(strings.TrimSpace(name), "gzip") {
			return strings.ReplaceAll(params, " ", "") != "q=0"
		}
	}
	return false
}
