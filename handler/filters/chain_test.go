package filters_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"

	"github.com/portico-api/portico/handler"
	"github.com/portico-api/portico/handler/filters"
	"github.com/portico-api/portico/metrics"
)

var someone = &user.DefaultInfo{Name: "someone", Groups: []string{"system:authenticated"}}

// config lets everyone do everything.
func config() *filters.Config {
	return &filters.Config{Authenticator: everyone(someone), Authorizer: everything, Metrics: metrics.New()}
}

// ok answers "ok".
var ok = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "ok") })

// serve starts a TLS server with both HTTP versions and returns its URL and a client for each.
func serve(t *testing.T, director http.Handler, c *filters.Config) (url string, clients map[string]*http.Client) {
	t.Helper()
	s := httptest.NewUnstartedServer(filters.DefaultBuildHandlerChain(director, c))
	s.EnableHTTP2 = true
	s.StartTLS()
	t.Cleanup(s.Close)
	clients = map[string]*http.Client{}
	for _, version := range []string{"HTTP/1.1", "HTTP/2.0"} {
		transport := s.Client().Transport.(*http.Transport).Clone()
		if version == "HTTP/1.1" {
			transport.ForceAttemptHTTP2 = false
			transport.TLSClientConfig.NextProtos = nil
			transport.TLSNextProto = map[string]func(string, *tls.Conn) http.RoundTripper{}
		}
		t.Cleanup(transport.CloseIdleConnections)
		clients[version] = &http.Client{Transport: transport}
	}
	return s.URL, clients
}

// ask sends one request through a bare chain.
func ask(t *testing.T, director http.Handler, c *filters.Config, method, target string, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequest(method, target, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header[header[i]] = append(r.Header[header[i]], header[i+1])
	}
	w := httptest.NewRecorder()
	filters.DefaultBuildHandlerChain(director, c).ServeHTTP(w, r)
	return w
}

func status(t *testing.T, w *httptest.ResponseRecorder) metav1.Status {
	t.Helper()
	var s metav1.Status
	if err := json.Unmarshal(w.Body.Bytes(), &s); err != nil {
		t.Fatalf("answer %d %q is no Status: %v", w.Code, w.Body, err)
	}
	return s
}

func TestFiltersAreMetInTheContractsOrder(t *testing.T) {
	var met []string
	h := filters.RecordOrder(ok, config(), func(name string) { met = append(met, name) })
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/api/v1/nodes", nil))
	want := []string{"withAuditID", "withPanicRecovery", "withMuxComplete", "withRequestInfo", "withMetrics", "withAccessLog", "withCacheControl",
		"withWaitGroup", "withDeadline", "withTimeout", "withAuthentication", "withImpersonation", "withMaxInFlight", "withAuthorization"}
	if !slices.Equal(met, want) {
		t.Errorf("filters are met in the order\n%q, want\n%q", met, want)
	}
}

func TestTheDirectorSeesOneRequestValue(t *testing.T) {
	var got *handler.Request
	ask(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got, _ = handler.RequestFrom(r.Context()) }),
		config(), "GET", "/apis/g/v/namespaces/n/r/x", "Audit-Id", "mine")
	if got == nil {
		t.Fatal("the director sees no handler.Request")
	}
	if got.Info.Resource != "r" || got.User != someone || got.AuditID != "mine" || got.ReceivedAt.IsZero() || got.LongRunning || got.MuxIncomplete {
		t.Errorf("the director sees %+v", got)
	}
}

func TestEveryAnswerCarriesTheAuditID(t *testing.T) {
	if got := ask(t, ok, config(), "GET", "/", "Audit-Id", "mine").Header().Get("Audit-ID"); got != "mine" {
		t.Errorf("got Audit-ID %q, want that of the request", got)
	}
	first, second := ask(t, ok, config(), "GET", "/").Header().Get("Audit-ID"), ask(t, ok, config(), "GET", "/").Header().Get("Audit-ID")
	if len(first) != 36 || first[14] != '4' || first == second {
		t.Errorf("got Audit-IDs %q and %q, want two different random UUIDs", first, second)
	}
}

func TestPanics(t *testing.T) {
	c := config()
	panics := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "7")
		panic("a mistake")
	})
	w := ask(t, panics, c, "GET", "/api/v1/nodes")
	want := "This request caused apiserver to panic. Look in the logs for details.\n"
	if w.Code != 500 || w.Body.String() != want || w.Header().Get("Audit-ID") == "" || w.Header().Get("Content-Length") != "" {
		t.Errorf("a panic is answered %d %q %v, want 500 %q", w.Code, w.Body, w.Header(), want)
	}
	if got := value(t, c.Metrics, `apiserver_request_total`, "code", "500"); got != 1 {
		t.Errorf("apiserver_request_total with code 500 is %v after a panic, want 1", got)
	}

	url, clients := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.(http.Flusher).Flush()
		panic("after the headers")
	}), c)
	for version, client := range clients {
		response, err := client.Get(url)
		if err == nil {
			_, err = io.ReadAll(response.Body)
			response.Body.Close()
		}
		if err == nil {
			t.Errorf("%s: an answer that a panic cut off looks complete", version)
		}
	}
}

func TestAbortPassesThroughRecovery(t *testing.T) {
	c := config()
	defer func() {
		if got := recover(); got != http.ErrAbortHandler {
			t.Errorf("recovered %v, want http.ErrAbortHandler", got)
		}
		if got := value(t, c.Metrics, "apiserver_request_aborts_total"); got != 1 {
			t.Errorf("apiserver_request_aborts_total = %v, want 1", got)
		}
	}()
	ask(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }), c, "GET", "/api/v1/nodes")
}

func TestRequestsDuringStartAreMarked(t *testing.T) {
	c := config()
	complete := false
	c.MuxComplete = func() bool { return complete }
	for _, complete = range []bool{false, true} {
		var incomplete bool
		ask(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			rq, _ := handler.RequestFrom(r.Context())
			incomplete = rq.MuxIncomplete
		}), c, "GET", "/")
		if incomplete == complete {
			t.Errorf("with complete = %v the request is marked %v", complete, incomplete)
		}
	}
}

func TestAPathWithoutAResourceIs500(t *testing.T) {
	w := ask(t, ok, config(), "GET", "/api/v1/watch")
	if w.Code != 500 || !strings.HasPrefix(w.Header().Get("Content-Type"), "text/plain") {
		t.Errorf("GET /api/v1/watch = %d %s, want 500 in plain text", w.Code, w.Header().Get("Content-Type"))
	}
}

func TestCacheControlIsADefault(t *testing.T) {
	if got := ask(t, ok, config(), "GET", "/").Header()["Cache-Control"]; !slices.Equal(got, []string{"no-cache, private"}) {
		t.Errorf("got Cache-Control %q", got)
	}
	own := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.Header().Set("Cache-Control", "public") })
	if got := ask(t, own, config(), "GET", "/").Header()["Cache-Control"]; !slices.Equal(got, []string{"public"}) {
		t.Errorf("got Cache-Control %q, want the handler's own", got)
	}
}

type waitGroup struct {
	draining bool
	n        atomic.Int64
}

func (g *waitGroup) Add() error {
	if g.draining {
		return errors.New("draining")
	}
	g.n.Add(1)
	return nil
}
func (g *waitGroup) Done() { g.n.Add(-1) }

func TestShutdownWaitsForRequestsAndRefusesNewOnes(t *testing.T) {
	c, group := config(), &waitGroup{}
	c.WaitGroup = group
	counts := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, group.n.Load()) })
	if got := ask(t, counts, c, "GET", "/api/v1/nodes").Body.String(); got != "1" {
		t.Errorf("%s requests are waited for, want 1", got)
	}
	if got := ask(t, counts, c, "GET", "/api/v1/nodes?watch=1").Body.String(); got != "0" {
		t.Errorf("%s watches are waited for, want 0", got)
	}
	if got := group.n.Load(); got != 0 {
		t.Errorf("%d requests are waited for after all have ended", got)
	}
	group.draining = true
	w := ask(t, ok, c, "GET", "/api/v1/nodes")
	if s := status(t, w); w.Code != 503 || s.Reason != metav1.StatusReasonServiceUnavailable || s.Message != "apiserver is shutting down" ||
		w.Header().Get("Retry-After") != "1" || w.Header().Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("a new request is answered %d %+v %v", w.Code, s, w.Header())
	}
	for _, path := range []string{"/readyz", "/livez/ping", "/healthz", "/metrics"} {
		if w := ask(t, ok, c, "GET", path); w.Code != 200 {
			t.Errorf("GET %s = %d during shutdown, want 200", path, w.Code)
		}
	}
}

func TestDeadlines(t *testing.T) {
	for name, test := range map[string]struct {
		target string
		want   time.Duration // 0 for none
	}{
		"is the limit without a wish":    {"/api/v1/nodes", time.Minute},
		"is the client's if shorter":     {"/api/v1/nodes?timeout=7s", 7 * time.Second},
		"is the limit if that is less":   {"/api/v1/nodes?timeout=7h", time.Minute},
		"is the limit for a wish of 0":   {"/api/v1/nodes?timeout=0", time.Minute},
		"is the limit for an empty wish": {"/api/v1/nodes?timeout=", time.Minute},
		"is none for a watch":            {"/api/v1/nodes?watch=1&timeout=7s", 0},
	} {
		t.Run(name, func(t *testing.T) {
			var got time.Duration
			ask(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				if deadline, ok := r.Context().Deadline(); ok {
					rq, _ := handler.RequestFrom(r.Context())
					got = deadline.Sub(rq.ReceivedAt)
				}
			}), config(), "GET", test.target)
			if got != test.want {
				t.Errorf("GET %s has %v, want %v", test.target, got, test.want)
			}
		})
	}
	w := ask(t, ok, config(), "GET", "/api/v1/nodes?timeout=soon")
	if s := status(t, w); w.Code != 400 || s.Reason != metav1.StatusReasonBadRequest || !strings.HasPrefix(s.Message, "invalid timeout specified in the request URL - ") {
		t.Errorf("a bad timeout is answered %d %+v", w.Code, s)
	}
}

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

func TestUpgradesWorkThroughTheChain(t *testing.T) {
	url, _ := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, buffered, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
		line, _ := buffered.ReadString('\n')
		io.WriteString(conn, line)
	}), config())
	conn, err := tls.Dial("tcp", strings.TrimPrefix(url, "https://"), &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprint(conn, "GET /api/v1/namespaces/n/pods/x/exec HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nhello\n")
	r := bufio.NewReader(conn)
	response, err := http.ReadResponse(r, nil)
	if err != nil || response.StatusCode != 101 {
		t.Fatalf("got %v, %v, want 101", response, err)
	}
	if line, err := r.ReadString('\n'); line != "hello\n" {
		t.Errorf("got %q, %v through the upgraded connection, want hello", line, err)
	}
}

func TestWriterOffersWhatTheConnectionCan(t *testing.T) {
	url, clients := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, hijacker := w.(http.Hijacker)
		_, flusher := w.(http.Flusher)
		err := http.NewResponseController(w).SetWriteDeadline(time.Time{})
		fmt.Fprint(w, hijacker, flusher, err)
	}), config())
	for version, want := range map[string]string{"HTTP/1.1": "true true <nil>", "HTTP/2.0": "false true <nil>"} {
		response, err := clients[version].Get(url)
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(response.Body)
		response.Body.Close()
		if response.Proto != version || string(body) != want {
			t.Errorf("%s: got %s %q, want %q", version, response.Proto, body, want)
		}
	}
}

func TestWarningsReachTheClient(t *testing.T) {
	w := ask(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		handler.AddWarning(r.Context(), "careful")
		io.WriteString(w, "ok")
		handler.AddWarning(r.Context(), "too late")
	}), config(), "GET", "/api/v1/nodes")
	if got := w.Header()["Warning"]; !slices.Equal(got, []string{`299 - "careful"`}) {
		t.Errorf("got warnings %q", got)
	}
	w = ask(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { handler.AddWarning(r.Context(), "empty") }), config(), "GET", "/")
	if got := w.Header()["Warning"]; !slices.Equal(got, []string{`299 - "empty"`}) {
		t.Errorf("got warnings %q with an empty answer", got)
	}
}

func TestUnauthorized(t *testing.T) {
	for name, answer := range map[string]struct {
		ok  bool
		err error
	}{"nobody recognised": {}, "an error": {false, errors.New("bad token")}, "an error and yet ok": {true, errors.New("bad token")}} {
		t.Run(name, func(t *testing.T) {
			c := config()
			c.Authenticator = authenticator.RequestFunc(func(*http.Request) (*authenticator.Response, bool, error) {
				return &authenticator.Response{User: someone}, answer.ok, answer.err
			})
			w := ask(t, ok, c, "GET", "/healthz")
			want := `{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"Unauthorized","reason":"Unauthorized","code":401}` + "\n"
			if w.Code != 401 || w.Body.String() != want {
				t.Errorf("got %d %s, want 401 %s", w.Code, w.Body, want)
			}
		})
	}
}

func TestCredentialsGoNoFurther(t *testing.T) {
	c := config()
	c.IdentityHeaders, c.IdentityHeaderPrefixes = []string{"Front-User"}, []string{"Front-Extra-"}
	var got http.Header
	ask(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = r.Header }), c, "GET", "/",
		"Authorization", "Bearer x", "X-Remote-User", "a", "X-Remote-Uid", "a", "X-Remote-Group", "a", "X-Remote-Extra-Scopes", "a",
		"X_remote_user", "a", "X-Remote_Group", "a", "Front-User", "a", "Front_extra_x", "a", "X-Remote-Other", "kept", "Accept", "kept")
	if len(got) != 2 || got["X-Remote-Other"] == nil || got["Accept"] == nil {
		t.Errorf("behind authentication the headers are %v", got)
	}
}

func TestUnknownClientsGetOneHTTP2RequestPerConnection(t *testing.T) {
	c := config()
	c.Authenticator = everyone(&user.DefaultInfo{Name: user.Anonymous})
	url, clients := serve(t, ok, c)
	for version, want := range map[string]bool{"HTTP/1.1": false, "HTTP/2.0": true} {
		var conns []net.Conn
		for range 2 {
			ctx := context.Background()
			r, _ := http.NewRequestWithContext(withConns(ctx, &conns), "GET", url, nil)
			response, err := clients[version].Do(r)
			if err != nil {
				t.Fatal(err)
			}
			io.Copy(io.Discard, response.Body)
			response.Body.Close()
		}
		if got := conns[0] != conns[1]; got != want {
			t.Errorf("%s: anonymous requests use different connections: %v, want %v", version, got, want)
		}
	}
}

func TestForbidden(t *testing.T) {
	c := config()
	c.Authorizer = authorizer.AuthorizerFunc(func(context.Context, authorizer.Attributes) (authorizer.Decision, string, error) {
		return authorizer.DecisionNoOpinion, "", nil
	})
	for target, want := range map[string]string{
		"/apis/g/v/namespaces/n/things/x": `things.g "x" is forbidden: User "someone" cannot get resource "things" in API group "g" in the namespace "n"`,
		"/apis/g/v/things":                `things.g is forbidden: User "someone" cannot list resource "things" in API group "g" at the cluster scope`,
		"/api/v1/nodes/x/status":          `nodes "x" is forbidden: User "someone" cannot get resource "nodes/status" in API group "" at the cluster scope`,
		"/version":                        `forbidden: User "someone" cannot get path "/version"`,
	} {
		w := ask(t, ok, c, "GET", target)
		if s := status(t, w); w.Code != 403 || s.Message != want || s.Reason != metav1.StatusReasonForbidden || w.Header().Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("GET %s = %d %q, want 403 %q", target, w.Code, s.Message, want)
		}
	}
	c.Authorizer = authorizer.AuthorizerFunc(func(context.Context, authorizer.Attributes) (authorizer.Decision, string, error) {
		return authorizer.DecisionNoOpinion, "because", nil
	})
	if s := status(t, ask(t, ok, c, "GET", "/version")); s.Message != `forbidden: User "someone" cannot get path "/version": because` {
		t.Errorf("got %q, want the reason after the message", s.Message)
	}
	for decision, want := range map[authorizer.Decision]int{authorizer.DecisionAllow: 200, authorizer.DecisionNoOpinion: 500} {
		c.Authorizer = authorizer.AuthorizerFunc(func(context.Context, authorizer.Attributes) (authorizer.Decision, string, error) {
			return decision, "", errors.New("a rule is broken")
		})
		if w := ask(t, ok, c, "GET", "/version"); w.Code != want || strings.Contains(w.Body.String(), "broken") {
			t.Errorf("%v with an error is answered %d %s, want %d", decision, w.Code, w.Body, want)
		}
	}
}

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
