package handler_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/portico-api/portico/handler"
)

// named answers with its name.
func named(name string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, name) })
}

func answer(t *testing.T, h http.Handler, method, path string) (int, string) {
	t.Helper()
	w := httptest.NewRecorder()
	r := request(t, method, "/")
	r.URL.Path = path
	h.ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

func TestPathRecorderMux(t *testing.T) {
	m := handler.NewPathRecorderMux("test")
	m.NotFoundHandler(named("not found"))
	m.Handle("/", named("root"))
	m.Handle("/apis/g", named("group"))
	m.UnlistedHandle("/hidden", named("hidden"))
	m.HandlePrefix("/apis/", named("prefix apis"))
	m.UnlistedHandlePrefix("/apis/g/", named("prefix group"))
	m.HandlePrefix("/a/b/c/", named("prefix abc"))

	for path, want := range map[string]string{
		"/":                                   "root",
		"":                                    "not found",
		"/apis":                               "not found",
		"/apis/":                              "prefix apis",
		"/apis/g":                             "group",
		"/apis/g/":                            "prefix group",
		"/apis/g/v/r":                         "prefix group",
		"/apis/gg/v":                          "prefix apis",
		"/hidden":                             "hidden",
		"/hidden/":                            "not found",
		"/a/b":                                "not found",
		"/a/b/c/d/e/f":                        "prefix abc",
		"//apis/g":                            "not found",
		"/apis/../x":                          "prefix apis",
		"/Apis/g":                             "not found",
		"/apis/" + strings.Repeat("x/", 5000): "prefix apis",
	} {
		if _, got := answer(t, m, "GET", path); got != want {
			t.Errorf("GET %.40s is answered by %q, want %q", path, got, want)
		}
	}
	if got, want := m.ListedPaths(), []string{"/", "/a/b/c/", "/apis/", "/apis/g"}; !slices.Equal(got, want) {
		t.Errorf("listed paths are %q, want %q", got, want)
	}

	m.Unregister("/apis/g")
	m.Unregister("/apis/g/")
	if _, got := answer(t, m, "GET", "/apis/g/v"); got != "prefix apis" {
		t.Errorf("after unregistering, GET /apis/g/v is answered by %q, want prefix apis", got)
	}
	m.Handle("/hidden", named("again"))
	if _, got := answer(t, m, "GET", "/hidden"); got != "again" {
		t.Errorf("a path that is registered twice is answered by %q, want the last registration", got)
	}
}

func TestPathRecorderMuxPanicsOnAPrefixWithoutSlash(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("HandlePrefix(/apis) did not panic")
		}
	}()
	handler.NewPathRecorderMux("test").HandlePrefix("/apis", named(""))
}

func TestPathRecorderMuxChangesWhileItServes(t *testing.T) {
	m := handler.NewPathRecorderMux("test")
	m.Handle("/stays", named("stays"))
	done := make(chan struct{})
	go func() {
		defer close(done)
		for i := range 200 {
			m.Handle(fmt.Sprint("/p", i), named("p"))
			m.Unregister(fmt.Sprint("/p", i))
		}
	}()
	for range 1000 {
		if _, got := answer(t, m, "GET", "/stays"); got != "stays" {
			t.Fatalf("GET /stays is answered by %q during changes", got)
		}
	}
	<-done
}

var sizes = []int{10, 1000, 10000}

func BenchmarkPathRecorderMux(b *testing.B) {
	for _, n := range sizes {
		m := handler.NewPathRecorderMux("bench")
		m.NotFoundHandler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
		m.Update(func(p *handler.Paths) {
			for i := range n / 2 {
				p.Handle(fmt.Sprintf("/apis/group%d.example.com/v1", i), nothing)
				p.UnlistedHandlePrefix(fmt.Sprintf("/apis/group%d.example.com/v1/", i), nothing)
			}
		})
		for name, path := range map[string]string{
			"exact":    "/apis/group3.example.com/v1",
			"prefix":   "/apis/group3.example.com/v1/namespaces/default/things/one",
			"notfound": "/api/v1/namespaces/default/configmaps/one",
		} {
			b.Run(fmt.Sprintf("%s/%d", name, n), func(b *testing.B) {
				r, w := request(b, "GET", path), httptest.NewRecorder()
				b.ReportAllocs()
				for b.Loop() {
					m.ServeHTTP(w, r)
				}
			})
		}
	}
}

var nothing = http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})

func BenchmarkPathRecorderMuxRegistration(b *testing.B) {
	b.Run("10000 in one update", func(b *testing.B) {
		for b.Loop() {
			m := handler.NewPathRecorderMux("bench")
			m.Update(func(p *handler.Paths) {
				for i := range 10000 {
					p.Handle(fmt.Sprint("/p", i), nothing)
				}
			})
		}
	})
	b.Run("one more beside 10000", func(b *testing.B) {
		m := handler.NewPathRecorderMux("bench")
		m.Update(func(p *handler.Paths) {
			for i := range 10000 {
				p.Handle(fmt.Sprint("/p", i), nothing)
			}
		})
		for b.Loop() {
			m.Handle("/one", nothing)
			m.Unregister("/one")
		}
	})
}
