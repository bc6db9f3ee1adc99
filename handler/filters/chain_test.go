package filters_test

import (
	"crypto/tls"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apiserver/pkg/authentication/user"

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
		"withWaitGroup", "withDeadline", "withTimeout", "withAuthentication", "withTracing", "withAudit", "withImpersonation", "withMaxInFlight", "withAuthorization"}
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
