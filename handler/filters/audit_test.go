package filters_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	auditv1 "k8s.io/apiserver/pkg/apis/audit/v1"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authorization/authorizer"

	"github.com/portico-api/portico/handler"
	"github.com/portico-api/portico/handler/audit"
	"github.com/portico-api/portico/handler/filters"
)

// trail is where events come to.
type trail struct {
	mu  sync.Mutex
	out bytes.Buffer
	err error // of every write
}

func (tr *trail) Write(p []byte) (int, error) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	if tr.err != nil {
		return 0, tr.err
	}
	return tr.out.Write(p)
}

func (tr *trail) events(t *testing.T) (events []auditv1.Event) {
	t.Helper()
	tr.mu.Lock()
	defer tr.mu.Unlock()
	for line := range bytes.Lines(tr.out.Bytes()) {
		var e auditv1.Event
		if err := json.Unmarshal(line, &e); err != nil {
			t.Fatalf("%v in %s", err, line)
		}
		events = append(events, e)
	}
	return events
}

// eventually waits for n events: the last one of a request may be written when its client has the answer already.
func (tr *trail) eventually(t *testing.T, n int) []auditv1.Event {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(time.Millisecond) {
		if events := tr.events(t); len(events) >= n || time.Now().After(deadline) {
			if len(events) != n {
				t.Fatalf("%d events, want %d: %s", len(events), n, told(events))
			}
			return events
		}
	}
}

// told is what events are about, shortly.
func told(events []auditv1.Event) []string {
	var all []string
	for _, e := range events {
		said := fmt.Sprintf("%s %s", e.Stage, e.Verb)
		if s := e.ResponseStatus; s != nil {
			said += fmt.Sprintf(" %d %s", s.Code, s.Message)
		}
		all = append(all, strings.TrimSpace(said))
	}
	return all
}

// audited is a configuration that writes everything down in tr.
func audited(t testing.TB, tr *trail, rules string, mode audit.Mode) *filters.Config {
	t.Helper()
	policy, err := audit.ParsePolicy([]byte("apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: " + rules))
	if err != nil {
		t.Fatal(err)
	}
	c := config()
	c.Auditor = audit.New(policy, c.Metrics.Audit, audit.NewStream(tr, audit.JSON, audit.Config{Mode: mode, Metrics: c.Metrics.Audit}))
	return c
}

const everyRequest = "[{level: RequestResponse}]"

func TestAuditTellsHowARequestEnds(t *testing.T) {
	const start, end = "RequestReceived ", "ResponseComplete "
	for name, c := range map[string]struct {
		method, target string
		director       http.HandlerFunc
		want           []string
	}{
		"an answer": {"GET", "/api/v1/nodes", func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(202) },
			[]string{start + "list", end + "list 202"}},
		"an empty answer": {"GET", "/version", func(http.ResponseWriter, *http.Request) {}, []string{start + "get", end + "get 200"}},
		"a failure": {"DELETE", "/api/v1/nodes/n", func(w http.ResponseWriter, r *http.Request) { handler.WriteError(w, r, errors.New("oh")) },
			[]string{start + "delete", end + "delete 500 Internal error occurred: the cause is in the server's log"}},
		"a failure after the headers": {"GET", "/api/v1/nodes", func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(200)
			handler.WriteError(w, r, errors.New("oh"))
		}, []string{start + "list", end + "list 200"}},
		"a panic": {"GET", "/api/v1/nodes", func(w http.ResponseWriter, r *http.Request) { panic("a mistake") },
			[]string{start + "list", "Panic list 500 APIServer panic'd: a mistake"}},
		"a watch": {"GET", "/api/v1/nodes?watch=1", func(w http.ResponseWriter, r *http.Request) { w.(http.Flusher).Flush() },
			[]string{start + "watch", "ResponseStarted watch 200", end + "watch 200"}},
		"a watch that is refused": {"GET", "/api/v1/nodes?watch=1", func(w http.ResponseWriter, r *http.Request) { handler.WriteError(w, r, context.DeadlineExceeded) },
			[]string{start + "watch", "ResponseStarted watch 504 Timeout: request did not complete within the allotted timeout", end + "watch 504 Timeout: request did not complete within the allotted timeout"}},
		"a timeout that is none": {"GET", "/api/v1/nodes?timeout=x", nil,
			[]string{`ResponseStarted list 400 invalid timeout specified in the request URL - time: invalid duration "x"`}},
	} {
		t.Run(name, func(t *testing.T) {
			tr := &trail{}
			ask(t, c.director, audited(t, tr, everyRequest, audit.Blocking), c.method, c.target, "Audit-Id", "mine")
			events := tr.events(t)
			if got := told(events); !slices.Equal(got, c.want) {
				t.Errorf("got\n%q, want\n%q", got, c.want)
			}
			for _, e := range events {
				if e.AuditID != "mine" || e.RequestURI != c.target {
					t.Errorf("an event of %s with ID %s", e.RequestURI, e.AuditID)
				}
			}
		})
	}
}

// An answer that is broken off is no panic: an auditor who looks for those would find every client that ends its watch.
func TestAnAnswerThatIsBrokenOffIsAudited(t *testing.T) {
	for name, c := range map[string]struct {
		begins, clientGoes bool
		want               string
		annotated          bool
	}{
		"by our side":                           {true, false, "ResponseComplete list 202", true},
		"by our side, before it began":          {false, false, "ResponseComplete list 500 the connection was closed without an answer", true},
		"because the client has gone":           {true, true, "ResponseComplete list 202", false},
		"before it began, and the client knows": {false, true, "ResponseComplete list 200 Connection closed early", false},
	} {
		t.Run(name, func(t *testing.T) {
			tr, asked := &trail{}, make(chan struct{})
			url, clients := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				handler.RecordFrom(r.Context()).AddAnswer([]byte(`{"kind":"Half"}`))
				if c.begins {
					w.WriteHeader(202)
					w.(http.Flusher).Flush()
				}
				close(asked)
				if c.clientGoes {
					<-r.Context().Done()
				}
				panic(http.ErrAbortHandler)
			}), audited(t, tr, everyRequest, audit.Blocking))
			ctx, hangUp := context.WithCancel(t.Context())
			defer hangUp()
			if c.clientGoes {
				go func() {
					<-asked
					hangUp()
				}()
			}
			request, err := http.NewRequestWithContext(ctx, "GET", url+"/api/v1/nodes", nil)
			if err != nil {
				t.Fatal(err)
			}
			if response, err := clients["HTTP/2.0"].Do(request); err == nil {
				if _, err := io.ReadAll(response.Body); err == nil {
					t.Error("the client takes the answer for a whole one")
				}
				response.Body.Close()
			}
			last := tr.eventually(t, 2)[1]
			if got := told([]auditv1.Event{last})[0]; got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
			if marked := last.Annotations["portico/incomplete-answer"] == "true"; marked != c.annotated {
				t.Errorf("annotations %v, want it said: %v", last.Annotations, c.annotated)
			}
			if c.annotated && last.ResponseObject != nil {
				t.Errorf("the event has what the client may not have: %s", last.ResponseObject.Raw)
			}
		})
	}
}

func TestTheAnswerOfADeadlineIsAudited(t *testing.T) {
	tr := &trail{}
	url, clients := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		<-r.Context().Done()
		time.Sleep(20 * time.Millisecond) // the deadline answers meanwhile
		handler.RecordFrom(r.Context()).AddAnswer([]byte(`{"kind":"Late"}`))
		io.WriteString(w, "late")
	}), audited(t, tr, everyRequest, audit.Blocking))
	n := 0
	for version, client := range clients {
		response, err := client.Get(url + "/api/v1/nodes?timeout=20ms")
		if err != nil {
			t.Fatal(version, err)
		}
		response.Body.Close()
		n += 2
		last := tr.eventually(t, n)[n-1]
		if s := last.ResponseStatus; response.StatusCode != 504 || s.Code != 504 || s.Reason != metav1.StatusReasonTimeout {
			t.Errorf("%s: the answer is %d, the event %+v", version, response.StatusCode, s)
		}
		if last.ResponseObject != nil {
			t.Errorf("%s: the event has what the client has not: %s", version, last.ResponseObject.Raw)
		}
	}
}

func TestAnUpgradeIsAudited(t *testing.T) {
	tr := &trail{}
	url, clients := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n")
	}), audited(t, tr, everyRequest, audit.Blocking))
	r, _ := http.NewRequest("GET", url+"/api/v1/namespaces/ns/pods/p/exec", nil)
	r.Header = http.Header{"Connection": {"Upgrade"}, "Upgrade": {"x"}}
	response, err := clients["HTTP/1.1"].Do(r)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	want := []string{"RequestReceived get", "ResponseStarted get 101", "ResponseComplete get 101"}
	events := tr.eventually(t, 3)
	if got := told(events); !slices.Equal(got, want) || events[0].ObjectRef.Subresource != "exec" {
		t.Errorf("got %q of %+v, want %q", got, events[0].ObjectRef, want)
	}
}

func TestAuditTellsWhoReallyAsksAndWhatWasDecided(t *testing.T) {
	for name, c := range map[string]struct {
		decision authorizer.Decision
		err      error
		as       string
		want     string
		code     int32
	}{
		"allowed":              {authorizer.DecisionAllow, nil, "jane", `map[authorization.k8s.io/decision:allow authorization.k8s.io/reason:why]`, 200},
		"allowed in the end":   {authorizer.DecisionAllow, errors.New("oh"), "", `map[authorization.k8s.io/decision:allow authorization.k8s.io/reason:why]`, 200},
		"refused":              {authorizer.DecisionDeny, nil, "", `map[authorization.k8s.io/decision:forbid authorization.k8s.io/reason:why]`, 403},
		"not allowed":          {authorizer.DecisionNoOpinion, nil, "", `map[authorization.k8s.io/decision:forbid authorization.k8s.io/reason:why]`, 403},
		"undecided":            {authorizer.DecisionNoOpinion, errors.New("oh"), "", `map[authorization.k8s.io/reason:internal error]`, 500},
		"not allowed to be so": {authorizer.DecisionNoOpinion, nil, "jane", `map[]`, 403},
	} {
		t.Run(name, func(t *testing.T) {
			tr := &trail{}
			cfg := audited(t, tr, everyRequest, audit.Blocking)
			cfg.Authorizer = authorizer.AuthorizerFunc(func(context.Context, authorizer.Attributes) (authorizer.Decision, string, error) {
				return c.decision, "why", c.err
			})
			var header []string
			if c.as != "" {
				header = []string{"Impersonate-User", c.as}
			}
			ask(t, ok, cfg, "GET", "/api/v1/nodes", header...)
			events := tr.eventually(t, 2)
			first, last := events[0], events[1]
			if first.User.Username != "someone" || first.ImpersonatedUser != nil || last.User.Username != "someone" {
				t.Errorf("who: %+v as %+v, then %+v", first.User, first.ImpersonatedUser, last.User)
			}
			acts := c.as != "" && c.decision == authorizer.DecisionAllow
			if (last.ImpersonatedUser != nil) != acts || acts && last.ImpersonatedUser.Username != "jane" {
				t.Errorf("as %+v", last.ImpersonatedUser)
			}
			if got := fmt.Sprint(last.Annotations); got != c.want || last.ResponseStatus.Code != c.code {
				t.Errorf("%d with %s, want %d with %s", last.ResponseStatus.Code, got, c.code, c.want)
			}
		})
	}
}

func TestAFailedLoginIsAudited(t *testing.T) {
	for name, c := range map[string]struct {
		target string
		header []string
		tls    bool
		want   string
	}{
		"nothing":         {"/api/v1/nodes", nil, false, "Authentication failed, no credentials provided"},
		"a token":         {"/api/v1/nodes", []string{"Authorization", "bEaReR the-token"}, false, "Authentication failed, attempted: bearer"},
		"a password":      {"/api/v1/nodes", []string{"Authorization", "Basic YTpi"}, false, "Authentication failed, attempted: basic"},
		"something else":  {"/api/v1/nodes", []string{"Authorization", "Negotiate x"}, false, "Authentication failed, no credentials provided"},
		"a certificate":   {"/api/v1/nodes", nil, true, "Authentication failed, attempted: x509"},
		"all of them":     {"/api/v1/nodes?access_token=a", []string{"Authorization", "Bearer the-token"}, true, "Authentication failed, attempted: bearer, access_token, x509"},
		"a watch of them": {"/api/v1/nodes?watch=1", []string{"Authorization", "Bearer the-token"}, false, "Authentication failed, attempted: bearer"},
	} {
		t.Run(name, func(t *testing.T) {
			tr := &trail{}
			cfg := audited(t, tr, everyRequest, audit.Blocking)
			cfg.Authenticator = authenticator.RequestFunc(func(*http.Request) (*authenticator.Response, bool, error) { return nil, false, errors.New("no") })
			r, w := httptest.NewRequest("GET", c.target, nil), httptest.NewRecorder()
			if len(c.header) > 0 {
				r.Header.Set(c.header[0], c.header[1])
			}
			if c.tls {
				r.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{{}}}
			}
			filters.DefaultBuildHandlerChain(ok, cfg).ServeHTTP(w, r)
			e := tr.eventually(t, 1)[0]
			s := e.ResponseStatus
			if e.Stage != auditv1.StageResponseStarted || s.Code != 401 || s.Status != "Failure" || s.Reason != metav1.StatusReasonUnauthorized || s.Message != c.want || e.User.Username != "" {
				t.Errorf("got %s by %+v: %+v, want 401 with %q", e.Stage, e.User, s, c.want)
			}
			if strings.Contains(tr.out.String(), "the-token") {
				t.Error("the event holds the token")
			}
			if got := status(t, w); got.Message != "Unauthorized" || w.Code != 401 {
				t.Errorf("the client is told %d %+v", w.Code, got)
			}
		})
	}
}

func TestWhatCannotBeWrittenDownIsRefusedWhenThatIsStrict(t *testing.T) {
	for mode, want := range map[audit.Mode]int{audit.Blocking: 200, audit.BlockingStrict: 500} {
		tr := &trail{err: errors.New("the disk is full")}
		c := audited(t, tr, everyRequest, mode)
		w := ask(t, ok, c, "GET", "/api/v1/nodes")
		if w.Code != want {
			t.Errorf("%s: got %d %q, want %d", mode, w.Code, w.Body, want)
		}
		if want == 500 && !strings.Contains(w.Body.String(), "failed to store audit event") {
			t.Errorf("%s: the client is told %q", mode, w.Body)
		}
		rejected := 0.0
		if want == 500 {
			rejected = 1
		}
		if got := value(t, c.Metrics, "apiserver_audit_requests_rejected_total"); got != rejected {
			t.Errorf("%s: apiserver_audit_requests_rejected_total is %v, want %v", mode, got, rejected)
		}
	}
}

func TestOfWhatThePolicyLeavesOutNothingIsWritten(t *testing.T) {
	tr := &trail{}
	c := audited(t, tr, "[{level: None, users: [someone]}, {level: Metadata}]", audit.Blocking)
	ask(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if record := handler.RecordFrom(r.Context()); record != nil {
			t.Errorf("there is a record: %+v", record)
		}
	}), c, "GET", "/api/v1/nodes")
	if events := tr.events(t); len(events) > 0 {
		t.Errorf("got %q", told(events))
	}
	if got := value(t, c.Metrics, "apiserver_audit_level_total", "level", "None"); got != 1 {
		t.Errorf("apiserver_audit_level_total of None is %v, want 1", got)
	}
}

func TestASlowRequestSaysHowLongItTook(t *testing.T) {
	tr := &trail{}
	ask(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { time.Sleep(520 * time.Millisecond) }), audited(t, tr, everyRequest, audit.Blocking), "GET", "/api/v1/nodes")
	if took, err := time.ParseDuration(tr.eventually(t, 2)[1].Annotations["apiserver.latency.k8s.io/total"]); err != nil || took < 500*time.Millisecond {
		t.Errorf("it took %v, %v", took, err)
	}
}

func TestARequestTooManyIsAudited(t *testing.T) {
	tr := &trail{}
	c := audited(t, tr, everyRequest, audit.Blocking)
	c.MaxRequestsInFlight = 1
	var h http.Handler
	h = filters.DefaultBuildHandlerChain(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Again") != "" {
			h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/api/v1/nodes", nil))
		}
	}), c)
	r := httptest.NewRequest("GET", "/api/v1/pods", nil)
	r.Header.Set("Again", "yes")
	h.ServeHTTP(httptest.NewRecorder(), r)
	want := []string{"RequestReceived list", "RequestReceived list", "ResponseComplete list 429 Too many requests, please try again later.", "ResponseComplete list 200"}
	if got := told(tr.events(t)); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
