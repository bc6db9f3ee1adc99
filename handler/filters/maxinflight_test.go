package filters_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/user"

	"github.com/portico-api/portico/handler/filters"
)

func TestMaxInFlight(t *testing.T) {
	who := user.Info(someone)
	c := config()
	c.Authenticator = authenticator.RequestFunc(func(*http.Request) (*authenticator.Response, bool, error) {
		return &authenticator.Response{User: who}, true, nil
	})
	c.MaxRequestsInFlight, c.MaxMutatingRequestsInFlight = 1, 1
	entered, release := make(chan struct{}), make(chan struct{})
	h := filters.DefaultBuildHandlerChain(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Block") != "" {
			close(entered)
			<-release
		}
	}), c)
	send := func(method, target, block string) *httptest.ResponseRecorder {
		r, w := httptest.NewRequest(method, target, nil), httptest.NewRecorder()
		r.Header.Set("Block", block)
		h.ServeHTTP(w, r)
		return w
	}
	done := make(chan struct{})
	go func() { send("GET", "/api/v1/nodes", "yes"); close(done) }()
	<-entered
	w := send("GET", "/api/v1/nodes", "")
	if s := status(t, w); w.Code != 429 || w.Header().Get("Retry-After") != "1" || !strings.Contains(s.Message, "Too many requests, please try again later.") {
		t.Errorf("a read over the limit is answered %d %+v %v", w.Code, s, w.Header())
	}
	if w := send("POST", "/api/v1/nodes", ""); w.Code != 200 {
		t.Errorf("a write is answered %d while reads are at their limit, want 200", w.Code)
	}
	if w := send("GET", "/api/v1/nodes?watch=1", ""); w.Code != 200 {
		t.Errorf("a watch is answered %d while reads are at their limit, want 200", w.Code)
	}
	if got := value(t, c.Metrics, "apiserver_current_inflight_requests", "request_kind", "readOnly"); got != 1 {
		t.Errorf("apiserver_current_inflight_requests = %v, want 1", got)
	}
	who = &user.DefaultInfo{Name: "admin", Groups: []string{user.SystemPrivilegedGroup}}
	if w := send("GET", "/api/v1/nodes", ""); w.Code != 200 {
		t.Errorf("an administrator is answered %d, want 200", w.Code)
	}
	close(release)
	<-done
	who = someone
	if w := send("GET", "/api/v1/nodes", ""); w.Code != 200 {
		t.Errorf("after the others ended a read is answered %d, want 200", w.Code)
	}
}
