package filters_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"go.opentelemetry.io/otel/trace"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/apiserver/pkg/authorization/authorizer"

	"github.com/portico-api/portico/handler/audit"
	"github.com/portico-api/portico/handler/filters"
	"github.com/portico-api/portico/metrics"
)

// everyone authenticates as one user.
func everyone(u user.Info) authenticator.Request {
	response := &authenticator.Response{User: u}
	return authenticator.RequestFunc(func(*http.Request) (*authenticator.Response, bool, error) { return response, true, nil })
}

// everything allows whatever is asked.
var everything = authorizer.AuthorizerFunc(func(_ context.Context, _ authorizer.Attributes) (authorizer.Decision, string, error) {
	return authorizer.DecisionAllow, "", nil
})

// sink is a response writer that costs nothing.
type sink struct{ header http.Header }

func (s *sink) Header() http.Header         { return s.header }
func (s *sink) Write(p []byte) (int, error) { return len(p), nil }
func (s *sink) WriteHeader(int)             {}

func BenchmarkChain(b *testing.B) {
	body := []byte("{}")
	director := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header()["Content-Type"] = jsonType
		w.Write(body)
	})
	_, never := tracer(0)
	_, always := tracer(1)
	for name, how := range map[string]struct {
		m      *metrics.Metrics
		tracer trace.Tracer
	}{"unmeasured": {}, "measured": {metrics.New(), nil}, "rarely traced": {metrics.New(), never}, "traced": {metrics.New(), always}} {
		b.Run(name, func(b *testing.B) {
			benchmarkChain(b, director, &filters.Config{
				Authenticator: everyone(&user.DefaultInfo{Name: "someone", Groups: []string{"system:authenticated"}}),
				Authorizer:    everything,
				Metrics:       how.m,
				Tracer:        how.tracer,
			})
		})
	}
}

func benchmarkChain(b *testing.B, director http.Handler, c *filters.Config) {
	h := filters.DefaultBuildHandlerChain(director, c)
	r := httptest.NewRequest(http.MethodGet, "/api/v1/namespaces/default/configmaps/one", nil)
	for name, value := range map[string]string{"Accept": "application/json", "User-Agent": "kubectl/v1.36", "Accept-Encoding": "gzip", "Authorization": "Bearer x"} {
		r.Header.Set(name, value)
	}
	w := &sink{header: http.Header{}}
	b.ReportAllocs()
	for b.Loop() {
		clear(w.header)
		h.ServeHTTP(w, r)
	}
}

var jsonType = []string{"application/json"}

// BenchmarkAudit shows what a request costs of which nothing is written down, or what it always is (two events, to a disk that costs nothing), beside
// one without an auditor.
func BenchmarkAudit(b *testing.B) {
	director := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusOK) })
	for name, rules := range map[string]string{
		"off":      "",
		"None":     `[{level: Metadata, users: [other]}, {level: Metadata, resources: [{group: apps}]}, {level: None, userGroups: [system:authenticated]}]`,
		"Metadata": `[{level: Metadata}]`,
	} {
		b.Run(name, func(b *testing.B) {
			c := &filters.Config{
				Authenticator: everyone(&user.DefaultInfo{Name: "someone", Groups: []string{"system:authenticated"}}),
				Authorizer:    everything,
				Metrics:       metrics.New(),
			}
			if rules != "" {
				policy, err := audit.ParsePolicy([]byte("apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: " + rules))
				if err != nil {
					b.Fatal(err)
				}
				c.Auditor = audit.New(policy, c.Metrics.Audit, audit.NewStream(io.Discard, audit.JSON, audit.Config{Metrics: c.Metrics.Audit}))
			}
			benchmarkChain(b, director, c)
		})
	}
}
