package handler_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/emicklei/go-restful/v3"

	"github.com/portico-api/portico/handler"
)

// A unit answers what it claims and passes the rest, untouched, to the next delegate.
func ExampleAPIServerHandler() {
	say := func(text string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, text) })
	}
	ws := new(restful.WebService).Path("/apis/example.com/v1").Produces(restful.MIME_JSON)
	ws.Route(ws.GET("/things/{name}").To(func(r *restful.Request, w *restful.Response) {
		fmt.Fprint(w, "the thing ", r.PathParameter("name"))
	}))

	back := handler.NewAPIServerHandler("back", nil, nil)
	back.NonGoRestfulMux.Handle("/version", say("version of the unit behind"))
	front := handler.NewAPIServerHandler("front", nil, back.UnprotectedHandler())
	if err := front.Add(ws); err != nil {
		panic(err)
	}
	front.NonGoRestfulMux.HandlePrefix("/healthz/", say("health of the front"))

	for _, path := range []string{"/apis/example.com/v1/things/one", "/apis/example.com/v1/other", "/healthz/ping", "/version", "/apis/example.com/v2"} {
		w := httptest.NewRecorder()
		front.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
		fmt.Println(w.Code, path)
	}
	fmt.Println(front.ListedPaths())
	// Output:
	// 200 /apis/example.com/v1/things/one
	// 404 /apis/example.com/v1/other
	// 200 /healthz/ping
	// 200 /version
	// 404 /apis/example.com/v2
	// [/apis/example.com/v1 /healthz/]
}

// Many paths are registered in one update, which requests see all at once.
func ExamplePathRecorderMux_Update() {
	mux := handler.NewPathRecorderMux("example")
	mux.Update(func(p *handler.Paths) {
		for _, version := range []string{"v1", "v2"} {
			p.Handle("/apis/example.com/"+version, http.NotFoundHandler())
			p.UnlistedHandlePrefix("/apis/example.com/"+version+"/", http.NotFoundHandler())
		}
	})
	fmt.Println(mux.ListedPaths())
	// Output: [/apis/example.com/v1 /apis/example.com/v2]
}
