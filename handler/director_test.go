package handler_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/emicklei/go-restful/v3"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/portico-api/portico/handler"
)

// service answers GET on its root and below it with its own name and the parameters it got.
func service(root string, routes ...string) *restful.WebService {
	ws := new(restful.WebService).Path(root).Consumes("*/*").Produces("application/json")
	for _, r := range append(routes, "GET ") {
		method, path, _ := strings.Cut(r, " ")
		ws.Route(ws.Method(method).Path(path).To(func(r *restful.Request, w *restful.Response) {
			fmt.Fprint(w, root, " ", strings.TrimSuffix(r.SelectedRoutePath(), "/"))
			for _, name := range []string{"namespace", "name", "resource", "rest"} {
				if v, ok := r.PathParameters()[name]; ok {
					fmt.Fprintf(w, " %s=%s", name, v)
				}
			}
		}))
	}
	return ws
}

func TestDirector(t *testing.T) {
	h := handler.NewAPIServerHandler("test", nil, named("delegate"))
	if err := h.Add(service("/api/v1", "GET /namespaces/{name}"), service("/api"), service("/apis"), service("/apis/g/v1"), service("/apis/g"), service("/version")); err != nil {
		t.Fatal(err)
	}
	h.NonGoRestfulMux.Handle("/healthz", named("health"))
	h.NonGoRestfulMux.HandlePrefix("/apis/g/", named("mux"))

	const notFound = "the server could not find the requested resource"
	for path, want := range map[string]string{
		"/api":                  "/api /api",
		"/api/":                 "/api /api",
		"/api/v1":               "/api/v1 /api/v1",
		"/api/v1/namespaces/n":  "/api/v1 /api/v1/namespaces/{name} name=n",
		"/api/v1/namespaces/n/": "/api/v1 /api/v1/namespaces/{name} name=n",
		"/api/v2/x":             notFound, // claimed by /api, and does not fall through
		"/api/v1/unknown/x":     notFound,
		"/api/v1/namespaces//":  notFound,
		"/api/v1//namespaces/n": notFound,
		"/api/v1/namespaces/..": notFound,
		"/api/v1/namespaces/.":  notFound,
		"/apix":                 "delegate",
		"/apis":                 "/apis /apis",
		"/apis/":                "/apis /apis",
		"/apis/other":           "delegate", // /apis is claimed exactly
		"/apis/g":               "/apis/g /apis/g",
		"/apis/g/v1":            "/apis/g/v1 /apis/g/v1",
		"/apis/g/v2/r":          notFound, // no other unit can add a version to a group
		"/apis/gg":              "delegate",
		"/apisfoo":              "delegate",
		"/version":              "/version /version",
		"/versions":             "delegate",
		"/healthz":              "health",
		"/":                     "delegate",
		"//api":                 "delegate",
		"/API":                  "delegate",
	} {
		_, got := answer(t, h.Director, "GET", path)
		var status metav1.Status
		if json.Unmarshal([]byte(got), &status) == nil {
			got = status.Message
		}
		if got != want {
			t.Errorf("GET %s is answered by %q, want %q", path, got, want)
		}
	}
}

func TestDirectorPrefersTheFirstRegistered(t *testing.T) {
	h := handler.NewAPIServerHandler("test", nil, nil)
	if err := h.Add(service("/a/b"), service("/a", "GET /b/c")); err != nil {
		t.Fatal(err)
	}
	if code, got := answer(t, h.Director, "GET", "/a/b/c"); code != http.StatusNotFound {
		t.Errorf("GET /a/b/c = %d %q, want 404 of the service registered first", code, got)
	}
	h = handler.NewAPIServerHandler("test", nil, nil)
	if err := h.Add(service("/a", "GET /b/c"), service("/a/b")); err != nil {
		t.Fatal(err)
	}
	if _, got := answer(t, h.Director, "GET", "/a/b/c"); got != "/a /a/b/c" {
		t.Errorf("GET /a/b/c is answered by %q, want the service registered first", got)
	}
}

func TestWebServicesComeAndGo(t *testing.T) {
	h := handler.NewAPIServerHandler("test", nil, named("delegate"))
	a, b := service("/apis/a"), service("/apis/b")
	if err := h.Add(a, b); err != nil {
		t.Fatal(err)
	}
	if err := h.Add(service("/apis/c"), service("/apis/b")); err == nil {
		t.Error("adding a root path that is taken succeeded")
	}
	if got, want := h.ListedPaths(), []string{"/apis/a", "/apis/b"}; !slices.Equal(got, want) {
		t.Errorf("listed paths are %q, want %q: a refused addition adds nothing", got, want)
	}
	h.Remove(a)
	if _, got := answer(t, h.Director, "GET", "/apis/a"); got != "delegate" {
		t.Errorf("after its removal GET /apis/a is answered by %q, want the delegate", got)
	}
	if _, got := answer(t, h.Director, "GET", "/apis/b"); got != "/apis/b /apis/b" {
		t.Errorf("GET /apis/b is answered by %q after another was removed", got)
	}
}

func TestRouterRefuses(t *testing.T) {
	ws := new(restful.WebService).Path("/apis/g/v1").Consumes("application/json").Produces("application/json")
	ws.Route(ws.GET("/things").To(func(*restful.Request, *restful.Response) {}))
	ws.Route(ws.POST("/things").To(func(*restful.Request, *restful.Response) {}))
	h := handler.NewAPIServerHandler("test", nil, nil)
	if err := h.Add(ws); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		method, header, value string
		code                  int
		reason                metav1.StatusReason
		message               string
	}{
		"a method nobody has":            {"PUT", "", "", 405, metav1.StatusReasonMethodNotAllowed, "the server does not allow this method on the requested resource"},
		"a body of another type":         {"POST", "Content-Type", "text/plain", 415, metav1.StatusReasonUnsupportedMediaType, "415: Unsupported Media Type"},
		"a body of no type":              {"POST", "", "", 415, metav1.StatusReasonUnsupportedMediaType, "415: Unsupported Media Type"},
		"an answer that cannot be given": {"GET", "Accept", "image/png", 406, metav1.StatusReasonNotAcceptable, "only the following media types are accepted: application/json"},
	} {
		t.Run(name, func(t *testing.T) {
			r, w := request(t, test.method, "/apis/g/v1/things"), httptest.NewRecorder()
			if test.header != "" {
				r.Header.Set(test.header, test.value)
			}
			h.Director.ServeHTTP(w, r)
			var status metav1.Status
			if err := json.Unmarshal(w.Body.Bytes(), &status); err != nil {
				t.Fatalf("answer %q is no Status: %v", w.Body, err)
			}
			if w.Code != test.code || status.Reason != test.reason || status.Message != test.message {
				t.Errorf("%s %s: got %d %s %q, want %d %s %q", test.method, test.value, w.Code, status.Reason, status.Message, test.code, test.reason, test.message)
			}
			if test.code == 405 && w.Header().Get("Allow") != "GET, POST" {
				t.Errorf("got Allow: %q, want the two methods there are", w.Header().Get("Allow"))
			}
		})
	}
}

// The router must choose as go-restful's own does.
func TestRouterAgreesWithCurlyRouter(t *testing.T) {
	routes := []string{
		"GET /{resource}", "POST /{resource}", "GET /{resource}/{name}", "PUT /{resource}/{name}", "GET /namespaces", "GET /namespaces/{name}",
		"GET /namespaces/{namespace}/{resource}", "GET /namespaces/{namespace}/configmaps", "GET /namespaces/{namespace}/configmaps/{name}",
		"DELETE /namespaces/{name}/status", "GET /proxy/{name}/{rest:*}",
	}
	ours := handler.NewAPIServerHandler("test", nil, nil)
	if err := ours.Add(service("/api/v1", routes...)); err != nil {
		t.Fatal(err)
	}
	theirs := restful.NewContainer()
	theirs.Add(service("/api/v1", routes...))
	for _, method := range []string{"GET", "POST", "PUT", "DELETE"} {
		for _, path := range []string{"", "/", "/pods", "/pods/x", "/namespaces", "/namespaces/n", "/namespaces/n/configmaps", "/namespaces/n/configmaps/c",
			"/namespaces/n/secrets", "/namespaces/n/status", "/namespaces/n/secrets/s", "/proxy/x", "/proxy/x/y", "/proxy/x/y/z", "/a/b/c/d/e"} {
			code, body := answer(t, ours.Director, method, "/api/v1"+path)
			w := httptest.NewRecorder()
			r := request(t, method, "/api/v1"+path)
			r.Header.Set("Accept", "application/json")
			theirs.Dispatch(w, r)
			if code != w.Code || code == 200 && body != w.Body.String() {
				t.Errorf("%s /api/v1%s: got %d %q, go-restful says %d %q", method, path, code, body, w.Code, w.Body)
			}
		}
	}
}

func TestRouterRefusesRoutesItDoesNotUnderstand(t *testing.T) {
	for _, path := range []string{"/{name:[a-z]+}", "/{name}:verb", "/a{b}"} {
		ws := new(restful.WebService).Path("/apis/g")
		ws.Route(ws.GET(path).To(func(*restful.Request, *restful.Response) {}))
		if err := handler.NewAPIServerHandler("test", nil, nil).Add(ws); err == nil {
			t.Errorf("adding a route with path %s succeeded", path)
		}
	}
}

func BenchmarkDirector(b *testing.B) {
	for _, n := range sizes {
		h := handler.NewAPIServerHandler("bench", nil, nothing)
		services := make([]*restful.WebService, n)
		for i := range services {
			ws := new(restful.WebService).Path(fmt.Sprintf("/apis/group%d.example.com/v1", i)).Consumes("*/*").Produces("application/json")
			ws.Route(ws.GET("/namespaces/{namespace}/things/{name}").To(func(*restful.Request, *restful.Response) {}))
			services[i] = ws
		}
		if err := h.Add(services...); err != nil {
			b.Fatal(err)
		}
		for name, path := range map[string]string{
			"claimed": "/apis/group3.example.com/v1/namespaces/default/things/one",
			"passed":  "/apis/other.example.com/v1/namespaces/default/things/one",
		} {
			b.Run(fmt.Sprintf("%s/%d", name, n), func(b *testing.B) {
				w, r := httptest.NewRecorder(), request(b, "GET", path)
				r = r.WithContext(handler.WithRequest(r.Context(), &handler.Request{}))
				b.ReportAllocs()
				for b.Loop() {
					h.Director.ServeHTTP(w, r)
				}
			})
		}
	}
}

// The table must answer as the rule of the contract, which goes through the services one by one.
func FuzzDirector(f *testing.F) {
	roots := []string{"/apis", "/api", "/api/v1", "/apis/g", "/apis/g/v1", "/a/b", "/a"}
	h := handler.NewAPIServerHandler("test", nil, named(""))
	for _, root := range roots {
		ws := new(restful.WebService).Path(root)
		ws.Route(ws.GET("/{rest:*}").To(func(_ *restful.Request, w *restful.Response) { fmt.Fprint(w, root) }))
		ws.Route(ws.GET("").To(func(_ *restful.Request, w *restful.Response) { fmt.Fprint(w, root) }))
		if err := h.Add(ws); err != nil {
			f.Fatal(err)
		}
	}
	for _, path := range []string{"/", "", "/apis/", "/apis/g/v1/x", "/apis/g//v1", "//api", "/api/v1/../x", "/apisfoo", "/a/b/c", "/a//b"} {
		f.Add(path)
	}
	f.Fuzz(func(t *testing.T, path string) {
		want := ""
		for _, root := range roots {
			if root == "/apis" && (path == "/apis" || path == "/apis/") ||
				root != "/apis" && strings.HasPrefix(path, root) && (len(path) == len(root) || path[len(root)] == '/') {
				want = root
				break
			}
		}
		code, got := answer(t, h.Director, "GET", path)
		if code == 200 && got != want || code != 200 && want == "" {
			t.Errorf("GET %q is answered %d by %q, want %q", path, code, got, want)
		}
	})
}
