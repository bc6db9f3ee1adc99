package authentication_test

import (
	"net/http"
	"testing"

	"github.com/portico-api/portico/handler/authentication"
	"github.com/portico-api/portico/metrics"
)

func BenchmarkAuthenticate(b *testing.B) {
	users, proxies := newAuthority(b, "users"), newAuthority(b, "proxies")
	a := newAuthenticator(b, authentication.Config{
		ClientCA:      authentication.NewStaticCA(pool(users)),
		RequestHeader: frontProxy(proxies, "front"),
		TokenFile:     tokenFile(b, tokenCSV+"a-long-token-such-as-a-careful-operator-makes-0123456789,dora,4\n"),
		LoopbackToken: "loop",
		Anonymous:     true,
		Metrics:       metrics.New().Authentication,
	})
	cert, front := users.issue(b, client{name: "alice", groups: []string{"dev"}}), proxies.issue(b, client{name: "front"})
	onConnection := func(r *http.Request) *http.Request {
		return r.WithContext(authentication.WithConnection(r.Context(), nil))
	}
	for _, c := range []struct {
		name    string
		request *http.Request
		prepare func(*http.Request)
	}{
		{name: "certificate", request: onConnection(request("/api", &cert))},
		{name: "certificate, verified each time", request: request("/api", &cert)},
		{name: "token", request: onConnection(request("/api", nil, "Authorization", "Bearer a-long-token-such-as-a-careful-operator-makes-0123456789"))},
		{name: "anonymous", request: onConnection(request("/readyz", nil))},
		{name: "front proxy", request: onConnection(request("/api", &front)), prepare: func(r *http.Request) {
			r.Header["X-Remote-User"] = []string{"eve"}
			r.Header["X-Remote-Group"] = []string{"g1", "g2"}
		}},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if c.prepare != nil {
					c.prepare(c.request)
				}
				if _, ok, err := a.AuthenticateRequest(c.request); !ok || err != nil {
					b.Fatalf("got %v, %v", ok, err)
				}
			}
		})
	}
}
