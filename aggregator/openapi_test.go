package aggregator_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

func newDocumentedWardle(t *testing.T) *extension {
	e := newWardle(t, true)
	e.answerJSON("/openapi/v3", "text/plain", `{"paths":{`+
		`"apis/wardle.example.com/v1alpha1":{"serverRelativeURL":"/openapi/v3/apis/wardle.example.com/v1alpha1?hash=ABC"},`+
		`"version":{"serverRelativeURL":"/openapi/v3/version?hash=EVIL"},`+
		`"apis/wardle.example.com/v1beta1":{"serverRelativeURL":"/openapi/v3/../../api/v1/secrets"}}}`)
	e.answer("/openapi/v3/apis/wardle.example.com/v1alpha1", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", `"ABC"`)
		w.Header().Set("Cache-Control", "no-cache, private")
		io.WriteString(w, "document for "+r.Header.Get("X-Remote-User"))
	})
	return e
}

func TestOpenAPIv3(t *testing.T) {
	h := newHouse(t, "")
	e := newDocumentedWardle(t)
	h.services.serve(t, "api", e.address)
	h.create(remoteAPIService("wardle.example.com", "v1alpha1", "api"))
	h.create(remoteAPIService("wardle.example.com", "v1beta1", "api"))
	h.eventually("the remote document in the root", func() bool {
		return strings.Contains(h.get("/openapi/v3").body, `?hash=ABC`)
	})
	h.eventually("True", func() bool { return h.condition(wardle).Status == "True" })

	root := h.get("/openapi/v3")
	if !strings.Contains(root.body, `/openapi/v3/version?hash=1"`) || strings.Contains(root.body, "EVIL") || strings.Contains(root.body, "secrets") {
		t.Errorf("root = %s, want the local document and nothing else of the remote server", root.body)
	}
	etag := root.header.Get("ETag")
	if root.header.Get("Content-Type") != "application/json" || etag == "" {
		t.Errorf("root's headers = %v, want application/json and an ETag", root.header)
	}
	if got := h.get("/openapi/v3", "If-None-Match", etag); got.code != http.StatusNotModified {
		t.Errorf("the root with its ETag = %d, want 304", got.code)
	}

	const leaf = "/openapi/v3/apis/wardle.example.com/v1alpha1"
	if got := h.get(leaf + "?hash=ABC"); got.body != "document for system:aggregator" || got.header.Get("Cache-Control") != "public, immutable" {
		t.Errorf("the document by its hash = %d %q %v, want it, immutable", got.code, got.body, got.header)
	}
	if got := h.get(leaf); got.code != http.StatusOK || got.header.Get("Cache-Control") != "no-cache, private" {
		t.Errorf("the document without hash = %d %v, want it as it is", got.code, got.header)
	}
	if got := h.get(leaf + "?hash=OLD"); got.code != http.StatusMovedPermanently || got.header.Get("Location") != leaf+"?hash=ABC" {
		t.Errorf("the document by a wrong hash = %d to %q, want 301 to the right one", got.code, got.header.Get("Location"))
	}
	if got := h.do(http.MethodPost, leaf, "{}"); got.code != http.StatusMethodNotAllowed {
		t.Errorf("POST to a document = %d %q, want 405: it would be sent in the front door's own name", got.code, got.body)
	}
	if got := h.get("/openapi/v3/version?hash=1"); got.body != `"local"` {
		t.Errorf("the local document = %d %q, want the next delegate's", got.code, got.body)
	}
	if got := h.get("/openapi/v3/apis/unknown.example.com/v1"); got.code != http.StatusNotFound {
		t.Errorf("an unknown document = %d, want 404", got.code)
	}

	e.Close()
	h.services.serve(t, "api", e.address)
	h.eventually("the server to be unavailable", func() bool { return h.condition(wardle).Status == "False" })
	if got := h.get("/openapi/v3"); !strings.Contains(got.body, "?hash=ABC") {
		t.Errorf("root after the server died = %d %s, want the last known", got.code, got.body)
	}
	if got := h.get(leaf); got.code != http.StatusServiceUnavailable {
		t.Errorf("the document of a dead server = %d, want 503", got.code)
	}
}
