package handler_test

import (
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"testing"

	"github.com/portico-api/portico/handler"
)

func TestRequestInfo(t *testing.T) {
	type want struct {
		resource                                                         bool
		verb, prefix, group, version, namespace, name, kind, subresource string
		parts                                                            string
		fields, labels                                                   string
	}
	tests := map[string]struct {
		method, url string
		want        want
	}{
		"the root is no resource":                      {"GET", "/", want{verb: "get"}},
		"health is no resource":                        {"GET", "/healthz", want{verb: "get"}},
		"a non-resource verb is the method":            {"OPTIONS", "/healthz", want{verb: "options"}},
		"a legacy version is discovery":                {"GET", "/api/v1", want{verb: "get"}},
		"a group version is discovery":                 {"GET", "/apis/apps/v1", want{verb: "get", prefix: "apis"}},
		"slashes around the path do not count":         {"GET", "//api/v1/pods//", want{true, "list", "api", "", "v1", "", "", "pods", "", "pods", "", ""}},
		"another prefix is no resource":                {"GET", "/apix/v1/pods", want{verb: "get"}},
		"GET of a collection lists":                    {"GET", "/api/v1/pods", want{true, "list", "api", "", "v1", "", "", "pods", "", "pods", "", ""}},
		"GET of an item gets":                          {"GET", "/apis/g/v/namespaces/n/r/x", want{true, "get", "apis", "g", "v", "n", "x", "r", "", "r/x", "", ""}},
		"HEAD counts as GET":                           {"HEAD", "/apis/g/v/namespaces/n/r/x", want{true, "get", "apis", "g", "v", "n", "x", "r", "", "r/x", "", ""}},
		"the third part is the subresource":            {"PUT", "/apis/g/v/namespaces/n/r/x/status", want{true, "update", "apis", "g", "v", "n", "x", "r", "status", "r/x/status", "", ""}},
		"what follows a subresource stays in parts":    {"GET", "/api/v1/namespaces/n/pods/x/proxy/a/b", want{true, "get", "api", "", "v1", "n", "x", "pods", "proxy", "pods/x/proxy/a/b", "", ""}},
		"a namespace is its own namespace":             {"GET", "/api/v1/namespaces/n", want{true, "get", "api", "", "v1", "n", "n", "namespaces", "", "namespaces/n", "", ""}},
		"status is a subresource of a namespace":       {"GET", "/api/v1/namespaces/n/status", want{true, "get", "api", "", "v1", "n", "n", "namespaces", "status", "namespaces/n/status", "", ""}},
		"finalize is a subresource of a namespace":     {"PUT", "/api/v1/namespaces/n/finalize", want{true, "update", "api", "", "v1", "n", "n", "namespaces", "finalize", "namespaces/n/finalize", "", ""}},
		"POST creates":                                 {"POST", "/api/v1/namespaces/n/pods", want{true, "create", "api", "", "v1", "n", "", "pods", "", "pods", "", ""}},
		"PATCH patches":                                {"PATCH", "/api/v1/nodes/x", want{true, "patch", "api", "", "v1", "", "x", "nodes", "", "nodes/x", "", ""}},
		"DELETE of an item deletes":                    {"DELETE", "/api/v1/nodes/x", want{true, "delete", "api", "", "v1", "", "x", "nodes", "", "nodes/x", "", ""}},
		"DELETE of a collection deletes it":            {"DELETE", "/api/v1/nodes?labelSelector=a%3Db", want{true, "deletecollection", "api", "", "v1", "", "", "nodes", "", "nodes", "", "a=b"}},
		"any other method has no verb":                 {"TRACE", "/api/v1/nodes", want{true, "", "api", "", "v1", "", "", "nodes", "", "nodes", "", ""}},
		"watch=true watches":                           {"GET", "/api/v1/nodes?watch=true", want{true, "watch", "api", "", "v1", "", "", "nodes", "", "nodes", "", ""}},
		"watch without a value watches":                {"GET", "/api/v1/nodes?watch", want{true, "watch", "api", "", "v1", "", "", "nodes", "", "nodes", "", ""}},
		"watch=0 lists":                                {"GET", "/api/v1/nodes?watch=0", want{true, "list", "api", "", "v1", "", "", "nodes", "", "nodes", "", ""}},
		"watch=False lists":                            {"GET", "/api/v1/nodes?watch=False", want{true, "list", "api", "", "v1", "", "", "nodes", "", "nodes", "", ""}},
		"a selector for a name sets it":                {"GET", "/api/v1/nodes?fieldSelector=metadata.name%3Dx", want{true, "list", "api", "", "v1", "", "x", "nodes", "", "nodes", "metadata.name=x", ""}},
		"a selector for an impossible name does not":   {"GET", "/api/v1/nodes?fieldSelector=metadata.name%3Da%2Fb", want{true, "list", "api", "", "v1", "", "", "nodes", "", "nodes", "metadata.name=a/b", ""}},
		"a selector against a name does not":           {"GET", "/api/v1/nodes?fieldSelector=metadata.name%21%3Dx", want{true, "list", "api", "", "v1", "", "", "nodes", "", "nodes", "metadata.name!=x", ""}},
		"the first of several selectors counts":        {"GET", "/api/v1/nodes?labelSelector=a&labelSelector=b", want{true, "list", "api", "", "v1", "", "", "nodes", "", "nodes", "", "a"}},
		"selectors of an item are not recorded":        {"GET", "/api/v1/nodes/x?labelSelector=a", want{true, "get", "api", "", "v1", "", "x", "nodes", "", "nodes/x", "", ""}},
		"/watch/ paths watch without selectors":        {"GET", "/api/v1/watch/nodes?labelSelector=a", want{true, "watch", "api", "", "v1", "", "", "nodes", "", "nodes", "", ""}},
		"/watch/ paths may have a namespace":           {"GET", "/apis/g/v/watch/namespaces/n/r/x", want{true, "watch", "apis", "g", "v", "n", "x", "r", "", "r/x", "", ""}},
		"/proxy/ paths have no subresource":            {"GET", "/api/v1/proxy/namespaces/n/services/x/a", want{true, "proxy", "api", "", "v1", "n", "x", "services", "", "services/x/a", "", ""}},
		"an encoded parameter name is understood":      {"GET", "/api/v1/nodes?w%61tch=1", want{true, "watch", "api", "", "v1", "", "", "nodes", "", "nodes", "", ""}},
		"dots are a name and not a way up":             {"GET", "/api/v1/namespaces/../pods", want{true, "list", "api", "", "v1", "..", "", "pods", "", "pods", "", ""}},
		"an empty namespace is a namespace of no name": {"GET", "/api/v1/namespaces//pods", want{true, "list", "api", "", "v1", "", "", "pods", "", "pods", "", ""}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			r := request(t, test.method, test.url)
			var info handler.RequestInfo
			if err := info.Parse(r); err != nil {
				t.Fatalf("Parse(%s %s) = %v", test.method, test.url, err)
			}
			if info.Path != r.URL.Path {
				t.Errorf("Parse(%s %s): got path %q, want %q", test.method, test.url, info.Path, r.URL.Path)
			}
			got := want{info.IsResourceRequest, info.Verb, info.APIPrefix, info.APIGroup, info.APIVersion, info.Namespace, info.Name,
				info.Resource, info.Subresource, strings.Join(info.Parts, "/"), info.FieldSelector, info.LabelSelector}
			if !info.IsResourceRequest {
				got.prefix = test.want.prefix // says nothing for these
			}
			if got != test.want {
				t.Errorf("Parse(%s %s):\n got %+v\nwant %+v", test.method, test.url, got, test.want)
			}
		})
	}
}

func TestRequestInfoRefusesSpecialVerbsWithoutAResource(t *testing.T) {
	for _, path := range []string{"/api/v1/watch", "/api/v1/proxy/", "/apis/g/v/watch"} {
		var info handler.RequestInfo
		if err := info.Parse(request(t, "GET", path)); err == nil {
			t.Errorf("Parse(GET %s) = nil, want an error", path)
		}
	}
}

func TestQueryValueAgreesWithURLPackage(t *testing.T) {
	for _, query := range []string{"", "a=1", "a=1&b=2", "b=2&a", "b&a=", "%61=x", "a=%zz&a=2", "a;b=1&a=3", "a+b=1", "=1", "&&a=1&", "aa=1", "a=1%2C2"} {
		agree(t, query)
	}
}

func FuzzQueryValue(f *testing.F) {
	for _, query := range []string{"a=1&b=2", "%61=x", "a=%zz&a=2", "a;b=1&a=3", "a+b=1"} {
		f.Add(query)
	}
	f.Fuzz(func(t *testing.T, query string) { agree(t, query) })
}

func agree(t *testing.T, query string) {
	t.Helper()
	got, ok := handler.QueryValue(query, "a")
	values, _ := url.ParseQuery(query)
	if want := values["a"]; ok != (len(want) > 0) || ok && got != want[0] {
		t.Errorf("QueryValue(%q) = %q, %v, but url.ParseQuery says %q", query, got, ok, want)
	}
}

func FuzzRequestInfo(f *testing.F) {
	for _, path := range []string{"/", "/api/v1/pods", "/apis/g/v/namespaces/n/r/x/s", "/apis/g/v/watch", "//..//%2F", "/api/v1/namespaces//x", strings.Repeat("/a", 50)} {
		f.Add("GET", path, "watch=1&fieldSelector=metadata.name=x")
	}
	f.Fuzz(func(t *testing.T, method, path, query string) {
		r := &http.Request{Method: method, URL: &url.URL{Path: path, RawQuery: query}}
		var info, again handler.RequestInfo
		err := info.Parse(r)
		if err == nil && info.IsResourceRequest && (info.APIVersion == "" && !strings.Contains(path, "//") || len(info.Parts) == 0) {
			t.Errorf("Parse(%q %q) has no version or parts: %+v", method, path, info)
		}
		again.Parse(r)
		if !reflect.DeepEqual(info, again) {
			t.Errorf("Parse(%q %q) gave %+v, then %+v", method, path, info, again)
		}
	})
}

func request(t testing.TB, method, target string) *http.Request {
	t.Helper()
	r, err := http.NewRequest(method, "http://server"+target, nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func BenchmarkRequestInfo(b *testing.B) {
	for name, target := range map[string]string{
		"get":  "/apis/wardle.example.com/v1alpha1/namespaces/default/flunders/one",
		"list": "/api/v1/namespaces/default/configmaps?limit=500&resourceVersion=0",
	} {
		b.Run(name, func(b *testing.B) {
			r := request(b, "GET", target)
			var info handler.RequestInfo
			b.ReportAllocs()
			for b.Loop() {
				info.Parse(r)
			}
		})
	}
}
