package delegation_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/portico-api/portico/delegation"
)

// A chain of two units: what the front does not claim is answered by its delegate, and what nobody
// claims by the empty delegate at the end.
func Example() {
	config := openConfig()
	inner, err := config.New("inner", delegation.NewEmptyDelegate())
	if err != nil {
		log.Fatal(err)
	}
	inner.Handler.NonGoRestfulMux.Handle("/inner", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, "hello from behind")
	}))
	front, err := config.New("front", inner)
	if err != nil {
		log.Fatal(err)
	}
	front.Handler.NonGoRestfulMux.Handle("/front", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, "hello from the front")
	}))

	server := httptest.NewServer(front.Handler)
	defer server.Close()
	for _, path := range []string{"/front", "/inner", "/nowhere"} {
		resp, err := http.Get(server.URL + path)
		if err != nil {
			log.Fatal(err)
		}
		body, _ := io.ReadAll(resp.Body)
		resp.Body.Close()
		fmt.Println(path, resp.StatusCode, strings.TrimSpace(string(body)))
	}
	// Output:
	// /front 200 hello from the front
	// /inner 200 hello from behind
	// /nowhere 404 404 page not found
}

// Hooks and checks of a delegate are the front's too. The end of the context is the first step of
// an orderly end.
func ExamplePreparedAPIServer_Run() {
	config := openConfig()
	inner, err := config.New("inner", delegation.NewEmptyDelegate())
	if err != nil {
		log.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	err = inner.AddPostStartHook("say-hello", func(context.Context) error {
		fmt.Println("started")
		stop() // in a program, a signal does this
		return nil
	})
	if err != nil {
		log.Fatal(err)
	}
	if err := inner.AddDestroyFunc("store", func() error { fmt.Println("store closed"); return nil }); err != nil {
		log.Fatal(err)
	}

	front, err := config.New("front", inner)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("ended:", front.PrepareRun().Run(ctx))
	// Output:
	// started
	// store closed
	// ended: <nil>
}
