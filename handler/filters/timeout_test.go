package filters_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/portico-api/portico/handler"
	"github.com/portico-api/portico/handler/filters"
)

func TestTimeoutAnswersWhenTheHandlerDoesNot(t *testing.T) {
	answered, refused := make(chan struct{}), make(chan error)
	url, clients := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/late")
		<-answered
		_, err := io.WriteString(w, "late")
		if r.Context().Err() == nil {
			err = errors.New("the context has not ended")
		}
		refused <- err
	}), config())
	for version, client := range clients {
		t.Run(version, func(t *testing.T) {
			response, err := client.Get(url + "/api/v1/nodes?timeout=20ms")
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			answered <- struct{}{}
			if err := <-refused; !errors.Is(err, http.ErrHandlerTimeout) {
				t.Errorf("the late handler's write returned %v, want http.ErrHandlerTimeout", err)
			}
			body, err := io.ReadAll(response.Body)
			var s metav1.Status
			if err != nil || json.Unmarshal(body, &s) != nil {
				t.Fatalf("reading %d %q: %v", response.StatusCode, body, err)
			}
			if response.StatusCode != 504 || s.Reason != metav1.StatusReasonTimeout || !strings.Contains(s.Message, "request did not complete within the allotted timeout") {
				t.Errorf("got %d %+v, want 504", response.StatusCode, s)
			}
			if response.Header.Get("Audit-ID") == "" || response.Header.Get("Content-Type") != "application/json" {
				t.Errorf("got headers %v", response.Header)
			}
		})
	}
}

func TestAHandlerThatHeedsItsDeadlineMayAnswer(t *testing.T) {
	url, clients := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		<-r.Context().Done()
		handler.WriteError(w, r, r.Context().Err())
	}), config())
	for version, client := range clients {
		for range 20 {
			response, err := client.Get(url + "/api/v1/nodes?timeout=1ms")
			if err != nil {
				t.Fatal(version, err)
			}
			body, err := io.ReadAll(response.Body)
			response.Body.Close()
			if response.StatusCode != 504 || err != nil {
				t.Errorf("%s: got %d %q, %v, want a complete 504", version, response.StatusCode, body, err)
			}
		}
	}
}

func TestTimeoutCutsAnAnswerThatHasBegun(t *testing.T) {
	refused := make(chan error, 1)
	url, clients := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "first half")
		w.(http.Flusher).Flush()
		for {
			if _, err := io.WriteString(w, strings.Repeat("x", 4096)); err != nil {
				refused <- err
				return
			}
		}
	}), config())
	for version, client := range clients {
		t.Run(version, func(t *testing.T) {
			// The client does not read on, so that the handler is blocked in a write when the deadline passes.
			response, err := client.Get(url + "/api/v1/nodes?timeout=30ms")
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			<-refused
			if _, err := io.ReadAll(response.Body); err == nil {
				t.Error("half an answer looks complete")
			}
		})
	}
}

// One alarm serves one request after the other without being stopped in between.
func TestDeadlinesOfEarlierRequestsDoNotCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := filters.DefaultBuildHandlerChain(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			took, _ := handler.QueryValue(r.URL.RawQuery, "takes")
			d, _ := time.ParseDuration(took)
			time.Sleep(d)
			io.WriteString(w, "ok")
		}), config())
		for _, c := range []struct {
			query string
			want  int
		}{
			{"timeout=1s&takes=0s", 200},
			{"timeout=10s&takes=5s", 200}, // the first deadline passes meanwhile
			{"timeout=10s&takes=20s", 504},
			{"timeout=30s&takes=0s", 200},
			{"timeout=1s&takes=2s", 504}, // sooner than the one before
			{"timeout=10s&takes=9s", 200},
		} {
			w := httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequest("GET", "/api/v1/nodes?"+c.query, nil))
			if w.Code != c.want {
				t.Errorf("%s: got %d, want %d", c.query, w.Code, c.want)
			}
		}
	})
}
