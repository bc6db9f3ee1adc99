package authentication_test

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/apiserver/pkg/authentication/authenticator"

	"github.com/portico-api/portico/handler/authentication"
)

// whoAmI answers with the user's name, or 401.
func whoAmI(a authenticator.Request) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		response, ok, err := a.AuthenticateRequest(r)
		if !ok || err != nil {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		_, _ = io.WriteString(w, response.User.GetName())
	})
}

// TestOpenConnectionFollowsTheAuthorities speaks to a real server: a connection that stays open loses and regains its
// user as the bundle changes.
func TestOpenConnectionFollowsTheAuthorities(t *testing.T) {
	for _, c := range []struct {
		name  string
		http2 bool
	}{{"HTTP/1.1", false}, {"HTTP/2", true}} {
		t.Run(c.name, func(t *testing.T) {
			old, next := newAuthority(t, "old"), newAuthority(t, "next")
			ca := newChangingCA(pool(old))
			server := httptest.NewUnstartedServer(whoAmI(newAuthenticator(t, authentication.Config{ClientCA: ca})))
			server.EnableHTTP2 = c.http2
			server.TLS = &tls.Config{ClientAuth: tls.RequestClientCert}
			server.Config.ConnContext = authentication.WithConnection
			server.StartTLS()
			defer server.Close()

			transport := server.Client().Transport.(*http.Transport)
			transport.TLSClientConfig.Certificates = []tls.Certificate{old.issue(t, client{name: "alice"})}
			for _, step := range []struct {
				name string
				pool *x509.CertPool
				want int
			}{
				{"its authority is trusted", pool(old), http.StatusOK},
				{"and still is", pool(old), http.StatusOK},
				{"it no longer is", pool(next), http.StatusUnauthorized},
				{"it is again, beside another", pool(old, next), http.StatusOK},
				{"there is none left", nil, http.StatusUnauthorized},
			} {
				ca.set(step.pool)
				response, err := server.Client().Get(server.URL)
				if err != nil {
					t.Fatal(err)
				}
				_, _ = io.Copy(io.Discard, response.Body)
				response.Body.Close()
				if response.StatusCode != step.want {
					t.Errorf("%s: got %d, want %d", step.name, response.StatusCode, step.want)
				}
			}
		})
	}
}

func TestOpenConnectionDoesNotOutliveItsCertificate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ca := newAuthority(t, "users")
		a := newAuthenticator(t, authentication.Config{ClientCA: authentication.NewStaticCA(pool(ca))})
		cert := ca.issue(t, client{name: "alice", lifetime: time.Minute})
		r := request("/api", &cert)
		r = r.WithContext(authentication.WithConnection(r.Context(), nil))
		for _, step := range []struct {
			after time.Duration
			want  bool
		}{{0, true}, {59 * time.Second, true}, {2 * time.Second, false}} {
			time.Sleep(step.after)
			if _, ok, err := a.AuthenticateRequest(r); ok != step.want {
				t.Errorf("%v later: got %v, %v, want %v", step.after, ok, err, step.want)
			}
		}
	})
}

func TestIdentityIsMadeOncePerConnection(t *testing.T) {
	ca := newAuthority(t, "users")
	a := newAuthenticator(t, authentication.Config{
		ClientCA:      authentication.NewStaticCA(pool(ca)),
		RequestHeader: frontProxy(newAuthority(t, "proxies")),
	})
	cert := ca.issue(t, client{name: "alice", groups: []string{"dev"}})
	r := request("/api", &cert)
	r = r.WithContext(authentication.WithConnection(r.Context(), nil))
	first, ok, err := a.AuthenticateRequest(r)
	if !ok || err != nil {
		t.Fatalf("got %v, %v", ok, err)
	}
	second, _, _ := a.AuthenticateRequest(r)
	if first != second {
		t.Error("the second request of a connection got another identity")
	}
	if allocs := testing.AllocsPerRun(100, func() { _, _, _ = a.AuthenticateRequest(r) }); allocs != 0 {
		t.Errorf("got %v allocations per request, want none", allocs)
	}
}

// TestVerdictIsTheAuthenticatorsOwn: what one authenticator found out on a connection is nothing to another.
func TestVerdictIsTheAuthenticatorsOwn(t *testing.T) {
	ours, theirs := newAuthority(t, "ours"), newAuthority(t, "theirs")
	trusting := newAuthenticator(t, authentication.Config{ClientCA: authentication.NewStaticCA(pool(ours))})
	strict := newAuthenticator(t, authentication.Config{ClientCA: authentication.NewStaticCA(pool(theirs))})
	cert := ours.issue(t, client{name: "alice"})
	r := request("/api", &cert)
	r = r.WithContext(authentication.WithConnection(r.Context(), nil))
	if _, ok, err := trusting.AuthenticateRequest(r); !ok {
		t.Fatalf("got %v, %v", ok, err)
	}
	if response, ok, _ := strict.AuthenticateRequest(r); ok {
		t.Errorf("another authenticator's verdict was believed: %v", response.User)
	}
}
