package registry_test

import (
	"encoding/base64"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/portico-api/portico/handler/rest"
)

// FuzzPage asks for pages that clients may make up: each is a page or a refusal.
func FuzzPage(f *testing.F) {
	for _, token := range []string{
		`{"v":"meta.k8s.io/v1","rv":1,"start":"demo/a\u0000"}`, `{"v":"meta.k8s.io/v1","rv":-1,"start":"demo/a\u0000"}`, `{"v":"meta.k8s.io/v1","rv":-2,"start":"a"}`,
		`{"v":"meta.k8s.io/v1","rv":9223372036854775807,"start":"a"}`, `{"v":"meta.k8s.io/v2","rv":1,"start":"a"}`, `{"v":"meta.k8s.io/v1","rv":1}`,
		`{"v":"meta.k8s.io/v1","rv":1,"start":"../../other/"}`, `{"v":"meta.k8s.io/v1","rv":-1,"start":"\uffff"}`, `null`, `[]`, ``, `{"rv":"1"}`,
	} {
		f.Add(base64.RawURLEncoding.EncodeToString([]byte(token)), "", "")
	}
	f.Add("****", "", "")
	f.Add("", "a=b,c in (d,e),!f,g notin (h)", "metadata.name=one")
	f.Add("", "a in (", "metadata.name!=one,metadata.namespace=demo")
	f.Add("", "a>1,b<2", `metadata.name=a\,b\=c`)
	f.Add("", strings.Repeat("a,", 5000), strings.Repeat("metadata.name!=x,", 5000))
	f.Add("", "=", "spec.x=1")
	f.Add("", "\x00", "=")
	srv := server(f, rest.Config{}, open(f, configMaps()))
	for _, name := range []string{"one", "two", "three"} {
		want(f, 201, call(f, srv, "POST", inDemo, configMap(name, `,"labels":{"a":"b","b":"1"}`)))
	}
	f.Fuzz(func(t *testing.T, token, labels, fields string) {
		query := url.Values{"limit": {"1"}, "continue": {token}, "labelSelector": {labels}, "fieldSelector": {fields}}
		w, r := httptest.NewRecorder(), httptest.NewRequest("GET", inDemo+"?"+query.Encode(), nil)
		srv.Config.Handler.ServeHTTP(w, r)
		// 504 is the answer to a version from the future, in which a list may be asked to go on.
		if code := w.Code; code != 200 && code != 400 && code != 410 && code != 422 && code != 504 {
			t.Errorf("got %d for %q: %s", code, query, w.Body)
		}
		if w.Code == 200 && strings.Contains(w.Body.String(), `"items":null`) {
			t.Errorf("got no list of items for %q: %s", query, w.Body)
		}
	})
}
