package aggregator_test

import (
	"encoding/json"
	"fmt"
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

// describe is a description of a group-version with one path, and a model that says text.
func describe(path, model, text string) string {
	return fmt.Sprintf(`{"openapi":"3.0.0","info":{"title":"a","version":"1"},"paths":{"/%[1]s/%[2]ss":{"get":{"operationId":"%[2]s%[3]s",`+
		`"responses":{"200":{"description":"OK","content":{"application/json":{"schema":{"$ref":"#/components/schemas/%[2]s"}}}}}}},`+
		`"/apis/not.its.own/v1/secrets":{"get":{"responses":{}}}},"components":{"schemas":{"%[2]s":{"type":"object","description":"%[3]s"}}}}`, path, model, text)
}

// described is a server whose group-version has a document of version 3.
func described(t *testing.T, h *house, group, hash, document string) *extension {
	t.Helper()
	path := "apis/" + group + "/v1"
	e := newExtension(t, false)
	e.answerJSON("/"+path, "application/json", `{"kind":"APIResourceList","resources":[]}`)
	e.answerJSON("/openapi/v3", "application/json", fmt.Sprintf(`{"paths":{%q:{"serverRelativeURL":"/openapi/v3/%s?hash=%s"}}}`, path, path, hash))
	e.answerJSON("/openapi/v3/"+path, "application/json", document)
	name, _, _ := strings.Cut(group, ".")
	h.services.serve(t, name, e.address)
	h.create(remoteAPIService(group, "v1", name))
	h.eventually("the description of "+group, func() bool { return h.get("/openapi/v3/"+path).code == http.StatusOK })
	h.eventually("True", func() bool { return h.condition("v1."+group).Status == "True" })
	return e
}

// What a server has told of its resources can be read when it is gone: kubectl explain does not ask for more.
func TestADescriptionOutlivesItsServer(t *testing.T) {
	h := newHouse(t, "")
	const leaf = "/openapi/v3/apis/a.example.com/v1"
	text := describe("apis/a.example.com/v1", "Apple", "first")
	e := described(t, h, "a.example.com", "ONE", text)
	e.Close()
	h.services.serve(t, "a", e.address)
	h.eventually("False", func() bool { return h.condition("v1.a.example.com").Status == "False" })

	if got := h.get("/openapi/v3"); !strings.Contains(got.body, leaf+"?hash=ONE") {
		t.Errorf("the root = %d %s", got.code, got.body)
	}
	got := h.get(leaf + "?hash=ONE")
	if got.code != http.StatusOK || got.body != text || got.header.Get("Cache-Control") != "public, immutable" || got.header.Get("ETag") != `"ONE"` {
		t.Errorf("the document by its hash = %d %v %s", got.code, got.header, got.body)
	}
	if got := h.get(leaf, "If-None-Match", `"ONE"`); got.code != http.StatusNotModified {
		t.Errorf("the document with its ETag = %d, want 304", got.code)
	}
	if got := h.get(leaf + "?hash=OLD"); got.code != http.StatusMovedPermanently || got.header.Get("Location") != leaf+"?hash=ONE" {
		t.Errorf("the document by another hash = %d to %q", got.code, got.header.Get("Location"))
	}
	const protobuf = "application/com.github.proto-openapi.spec.v3.v1.0+protobuf"
	if got := h.get(leaf, "Accept", protobuf); got.code != http.StatusOK || got.header.Get("Content-Type") != protobuf {
		t.Errorf("the document in protobuf = %d %v", got.code, got.header)
	}
	if got := h.do(http.MethodPost, leaf, "{}"); got.code != http.StatusMethodNotAllowed {
		t.Errorf("POST to the document = %d, want 405", got.code)
	}

	h.delete("v1.a.example.com")
	h.eventually("the document to go with its APIService", func() bool {
		return h.get(leaf).code == http.StatusNotFound && !strings.Contains(h.get("/openapi/v2").body, "Apple")
	})
}

func TestANewDescriptionIsRead(t *testing.T) {
	h := newHouse(t, "")
	const path = "apis/a.example.com/v1"
	e := described(t, h, "a.example.com", "ONE", describe(path, "Apple", "first"))
	e.answerJSON("/openapi/v3", "application/json", `{"paths":{"`+path+`":{"serverRelativeURL":"/openapi/v3/`+path+`?hash=TWO"}}}`)
	for _, garbage := range []string{`]`, `"text"`, `{"paths":[]}`, ``} {
		asked := len(e.requests("/openapi/v3/" + path))
		e.answerJSON("/openapi/v3/"+path, "application/json", garbage)
		h.services.serve(t, "a", e.address)
		h.eventually("another request", func() bool { return len(e.requests("/openapi/v3/"+path)) > asked })
		if got := h.get("/openapi/v3/" + path); !strings.Contains(got.body, "first") {
			t.Errorf("after %q it is %d %s, want the last one that was good", garbage, got.code, got.body)
		}
	}
	e.answerJSON("/openapi/v3/"+path, "application/json", describe(path, "Apple", "second"))
	h.services.serve(t, "a", e.address)
	h.eventually("the new one", func() bool { return strings.Contains(h.get("/openapi/v3/"+path+"?hash=TWO").body, "second") })
	h.eventually("the new one in version 2", func() bool { return strings.Contains(h.get("/openapi/v2").body, "second") })
}

// All servers' models share one document of version 2: what has the name of something else gets another.
func TestDescriptionsAreMergedInVersion2(t *testing.T) {
	h := newHouse(t, "")
	described(t, h, "b.example.com", "B", describe("apis/b.example.com/v1", "Apple", "B"))
	described(t, h, "a.example.com", "A", describe("apis/a.example.com/v1", "Apple", "A"))
	older := newExtension(t, false)
	older.answerJSON("/apis/old.example.com/v1", "application/json", `{"kind":"APIResourceList","resources":[]}`)
	older.answerJSON("/openapi/v2", "application/json", `{"swagger":"2.0","info":{"title":"old","version":"1"},"paths":{`+
		`"/apis/old.example.com/v1/pears":{"get":{"produces":["application/json"],"responses":{"200":{"description":"OK","schema":{"$ref":"#/definitions/Pear"}}}}},`+
		`"/apis/elsewhere/v1/x":{"get":{"responses":{"200":{"description":"OK","schema":{"$ref":"#/definitions/Secret"}}}}}},`+
		`"definitions":{"Pear":{"type":"object","description":"old"},"Secret":{"type":"object"}}}`)
	h.services.serve(t, "old", older.address)
	h.create(remoteAPIService("old.example.com", "v1", "old"))
	h.eventually("the description of the older server", func() bool { return h.get("/openapi/v3/apis/old.example.com/v1").code == http.StatusOK })

	var v2 struct {
		Paths map[string]struct {
			Get struct {
				Responses map[string]struct {
					Schema struct {
						Ref string `json:"$ref"`
					}
				}
			}
		}
		Definitions map[string]struct{ Description string }
	}
	got := h.get("/openapi/v2")
	if err := json.Unmarshal([]byte(got.body), &v2); err != nil {
		t.Fatalf("%d %s: %v", got.code, got.body, err)
	}
	for path, want := range map[string]string{"/apis/a.example.com/v1/Apples": "A", "/apis/b.example.com/v1/Apples": "B", "/apis/old.example.com/v1/pears": "old"} {
		ref := v2.Paths[path].Get.Responses["200"].Schema.Ref
		if got := v2.Definitions[strings.TrimPrefix(ref, "#/definitions/")].Description; got != want {
			t.Errorf("%s has the model %q, which is %q, want %q", path, ref, got, want)
		}
	}
	if v2.Definitions["Apple"].Description != "A" || v2.Definitions["Apple_v2"].Description != "B" {
		t.Errorf("Apple is %v, Apple_v2 is %v, want the first group's name kept", v2.Definitions["Apple"], v2.Definitions["Apple_v2"])
	}
	if strings.Contains(got.body, "not.its.own") || strings.Contains(got.body, "elsewhere") || strings.Contains(got.body, "Secret") {
		t.Error("a server describes what is not its own")
	}
	if _, ok := v2.Paths["/apis/apiregistration.k8s.io/v1/apiservices"]; !ok {
		t.Error("what is served here is not described any more")
	}
	if got := h.get("/openapi/v2", "If-None-Match", got.header.Get("ETag")); got.code != http.StatusNotModified {
		t.Errorf("with its ETag = %d, want 304", got.code)
	}
	converted := h.get("/openapi/v3/apis/old.example.com/v1")
	if !strings.Contains(converted.body, `"#/components/schemas/Pear"`) || strings.Contains(converted.body, "Secret") || strings.Contains(converted.body, "elsewhere") {
		t.Errorf("converted: %s, want the one path and its model", converted.body)
	}
}
