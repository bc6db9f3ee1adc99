package openapi

import (
	"bytes"
	"compress/gzip"
	"crypto/sha512"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	openapi_v3 "github.com/google/gnostic-models/openapiv3"
	"google.golang.org/protobuf/proto"
	"k8s.io/kube-openapi/pkg/spec3"

	"github.com/portico-api/portico/handler"
)

// document is what there is to read of one group-version, in both encodings.
type document struct {
	name  string                         // what it is known by, before it is made; or empty
	build func() (*spec3.OpenAPI, error) // as a tree
	json  *lazy
	proto *lazy
}

func newDocument(p *packer, name string, describe func() (*Description, error)) *document {
	d := &document{name: name}
	d.build = func() (*spec3.OpenAPI, error) {
		described, err := describe()
		if err != nil {
			return nil, err
		}
		return described.document()
	}
	d.json = newLazy(p, mediaJSON, func() ([]byte, error) {
		described, err := describe()
		if err != nil {
			return nil, err
		}
		return described.encode()
	})
	d.proto = newLazy(p, mediaProtoV3, d.encodeProto)
	d.json.named, d.proto.named = name != "", true
	return d
}

func (d *document) encodeProto() ([]byte, error) {
	text, err := d.json.bytes()
	if err != nil {
		return nil, err
	}
	message, err := openapi_v3.ParseDocument(text)
	if err != nil {
		return nil, fmt.Errorf("encoding in protobuf: %w", err)
	}
	return proto.Marshal(message)
}

// hash changes with what the document says.
func (d *document) hash() (string, error) {
	if d.name != "" {
		return d.name, nil
	}
	return d.json.hash()
}

// lazy is bytes that are made when they are first asked for, and kept compressed: OpenAPI is long and repeats itself.
// A failure is not kept.
type lazy struct {
	media  media
	make   func() ([]byte, error)
	packer *packer
	named  bool // nobody asks for its hash

	mu     sync.Mutex
	packed []byte
	size   int
	sum    string
}

func newLazy(p *packer, m media, produce func() ([]byte, error)) *lazy {
	return &lazy{media: m, make: produce, packer: p}
}

// get returns the compressed bytes, how long they are unpacked, and the hash of that unless they are named.
func (l *lazy) get() (packed []byte, size int, sum string, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.packed != nil {
		return l.packed, l.size, l.sum, nil
	}
	text, err := l.make()
	if err != nil {
		return nil, 0, "", err
	}
	if packed, err = l.packer.pack(text); err != nil {
		return nil, 0, "", err
	}
	l.packed, l.size = packed, len(text)
	if !l.named {
		l.sum = fmt.Sprintf("%X", sha512.Sum512(text))
	}
	return l.packed, l.size, l.sum, nil
}

func (l *lazy) hash() (string, error) {
	_, _, sum, err := l.get()
	return sum, err
}

// bytes unpacks.
func (l *lazy) bytes() ([]byte, error) {
	packed, size, _, err := l.get()
	if err != nil {
		return nil, err
	}
	z, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, err
	}
	text := make([]byte, size)
	_, err = io.ReadFull(z, text)
	return text, err
}

// caching says what a client may do with an answer.
type caching struct {
	etag      string // default: the hash of the content
	immutable bool   // the address names exactly this content
}

// serveContent answers with content, compressed when the client can read that.
func serveContent(w http.ResponseWriter, r *http.Request, content *lazy, c caching) {
	packed, size, sum, err := content.get()
	if err != nil {
		handler.WriteError(w, r, fmt.Errorf("describing the served resources: %w", err))
		return
	}
	if c.etag == "" {
		c.etag = sum
	}
	etag := strconv.Quote(c.etag)
	h := w.Header()
	h.Set("ETag", etag)
	h.Set("Vary", "Accept, Accept-Encoding")
	if c.immutable {
		h.Set("Cache-Control", "public, immutable")
		h.Set("Expires", time.Now().AddDate(1, 0, 0).UTC().Format(http.TimeFormat))
	} else {
		h.Set("Cache-Control", "no-cache, private")
	}
	if matches(r.Header.Get("If-None-Match"), etag) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	h.Set("Content-Type", content.media.name)
	body, length := io.Reader(bytes.NewReader(packed)), len(packed)
	if acceptsGzip(r.Header.Get("Accept-Encoding")) {
		h.Set("Content-Encoding", "gzip")
	} else if body, err = gzip.NewReader(body); err != nil {
		handler.WriteError(w, r, fmt.Errorf("unpacking a description: %w", err))
		return
	} else {
		length = size
	}
	h.Set("Content-Length", strconv.Itoa(length))
	if r.Method != http.MethodHead {
		_, _ = io.Copy(w, body) // a client that has gone needs no answer
	}
}

// matches reads If-None-Match.
func matches(header, etag string) bool {
	for tag := range strings.SplitSeq(header, ",") {
		tag = strings.TrimPrefix(strings.TrimSpace(tag), "W/")
		if tag == etag || tag == "*" {
			return true
		}
	}
	return false
}

func acceptsGzip(header string) bool {
	for clause := range strings.SplitSeq(header, ",") {
		name, parameters, _ := strings.Cut(clause, ";")
		if strings.EqualFold(strings.TrimSpace(name), "gzip") {
			q, found := strings.CutPrefix(strings.TrimSpace(parameters), "q=")
			weight, err := strconv.ParseFloat(q, 64)
			return !found || err == nil && weight > 0
		}
	}
	return false
}
