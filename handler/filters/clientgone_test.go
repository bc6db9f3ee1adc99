package filters_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/portico-api/portico/handler"
)

// A client that does not wait for its answer must not look like a failure of the server in the counts
// that operators are woken by.
func TestAClientThatHangsUpCountsAsOneThatHungUp(t *testing.T) {
	for name, end := range map[string]func(w http.ResponseWriter, r *http.Request){
		"while something is waited for": func(w http.ResponseWriter, r *http.Request) { handler.WriteError(w, r, r.Context().Err()) },
		"while a backend is asked":      func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
	} {
		for _, version := range []string{"HTTP/1.1", "HTTP/2.0"} {
			t.Run(name+" over "+version, func(t *testing.T) {
				c, asked, ended := config(), make(chan struct{}), make(chan struct{})
				url, clients := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					defer close(ended)
					close(asked)
					<-r.Context().Done()
					end(w, r)
				}), c)
				ctx, hangUp := context.WithCancel(t.Context())
				go func() {
					<-asked
					hangUp()
				}()
				request, err := http.NewRequestWithContext(ctx, "GET", url+"/apis/g/v/r/x", nil)
				if err != nil {
					t.Fatal(err)
				}
				if response, err := clients[version].Do(request); err == nil {
					response.Body.Close()
					t.Fatalf("got %s, want none", response.Status)
				}
				<-ended
				counted := func() float64 { return value(t, c.Metrics, "apiserver_request_total") }
				for begin := time.Now(); counted() == 0 && time.Since(begin) < 10*time.Second; {
					time.Sleep(time.Millisecond) // it is counted a moment after its handler has ended
				}
				if got := value(t, c.Metrics, "apiserver_request_total", "code", "499"); got != 1 {
					t.Errorf("%v requests count as hung up, want 1 of %v", got, counted())
				}
			})
		}
	}
}
