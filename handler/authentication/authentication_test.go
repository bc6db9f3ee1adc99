package authentication_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/go-logr/logr/funcr"
	"k8s.io/apiserver/pkg/authentication/authenticator"
	"k8s.io/apiserver/pkg/authentication/user"
	"k8s.io/klog/v2"

	"github.com/portico-api/portico/handler/authentication"
)

const tokenCSV = `secret-a,alice,1001,"dev,ops"
secret-b,bob,1002
,nobody,1003
secret-c,first,1
secret-c,carol,2
`

func tokenFile(tb testing.TB, content string) string {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), "tokens.csv")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		tb.Fatal(err)
	}
	return path
}

func newAuthenticator(tb testing.TB, cfg authentication.Config) authenticator.Request {
	tb.Helper()
	a, err := authentication.New(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	return a
}

// frontProxy is the usual configuration of a front proxy.
func frontProxy(ca authority, allowed ...string) authentication.RequestHeader {
	return authentication.RequestHeader{
		CA: authentication.NewStaticCA(pool(ca)), AllowedNames: allowed,
		UsernameHeaders: []string{"X-Remote-User", "x-other-user"}, UIDHeaders: []string{"X-Remote-Uid"},
		GroupHeaders: []string{"X-Remote-Group", "X-Other-Group"}, ExtraHeaderPrefixes: []string{"x-remote-extra-"},
	}
}

// request is a GET of path with headers given as name, value, name, value.
func request(path string, cert *tls.Certificate, headers ...string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, path, nil)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	if cert != nil {
		r.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{cert.Leaf}}
	}
	return r
}

func TestAuthenticate(t *testing.T) {
	users, proxies, strangers := newAuthority(t, "users"), newAuthority(t, "proxies"), newAuthority(t, "strangers")
	a := newAuthenticator(t, authentication.Config{
		ClientCA:      authentication.NewStaticCA(pool(users)),
		RequestHeader: frontProxy(proxies, "front"),
		TokenFile:     tokenFile(t, tokenCSV),
		LoopbackToken: "loop",
		Anonymous:     true,
	})
	cert := func(ca authority, c client) *tls.Certificate {
		issued := ca.issue(t, c)
		return &issued
	}
	alice := cert(users, client{name: "alice", groups: []string{"dev", "ops"}})
	front := cert(proxies, client{name: "front"})
	webSocket := func(protocols string) []string {
		return []string{"Connection", "keep-alive, Upgrade", "Upgrade", "websocket", "Sec-WebSocket-Protocol", protocols}
	}
	encoded := "base64url.bearer.authorization.k8s.io." + base64.RawURLEncoding.EncodeToString([]byte("secret-b"))

	for _, c := range []struct {
		name    string
		path    string // default /api
		cert    *tls.Certificate
		headers []string
		user    string // name/uid/groups
		err     string // part of the error; "" with no user is no opinion
	}{
		{name: "a client certificate names the user and the groups", cert: alice, user: "alice//dev,ops,system:authenticated"},
		{name: "a client certificate may carry a UID", cert: cert(users, client{name: "dave", uids: []string{"u-1"}}), user: "dave/u-1/system:authenticated"},
		{name: "two UIDs in a client certificate are refused", cert: cert(users, client{name: "dave", uids: []string{"u-1", "u-2"}}), err: "there is more than one"},
		{name: "a client certificate without a common name says nothing", cert: cert(users, client{}), err: "unknown authority"},
		{name: "an unknown authority's certificate is refused", cert: cert(strangers, client{name: "mallory"}), err: "unknown authority"},
		{name: "an unknown authority's certificate is refused even where anonymous may go", path: "/healthz", cert: cert(strangers, client{name: "mallory"}), err: "unknown authority"},
		{name: "an expired certificate is refused", cert: cert(users, client{name: "alice", lifetime: -1}), err: "expired"},
		{name: "a serving certificate is no client certificate", cert: cert(users, client{name: "alice", usage: x509.ExtKeyUsageServerAuth}), err: "incompatible key usage"},
		{name: "a certificate beats a token", cert: alice, headers: []string{"Authorization", "Bearer secret-b"}, user: "alice//dev,ops,system:authenticated"},
		{name: "a bad certificate does not spoil a good token", cert: cert(strangers, client{name: "mallory"}), headers: []string{"Authorization", "Bearer secret-b"}, user: "bob/1002/system:authenticated"},
		{name: "a bad token does not spoil a good certificate", cert: alice, headers: []string{"Authorization", "Bearer wrong"}, user: "alice//dev,ops,system:authenticated"},

		{name: "a front proxy names the user, the UID and the groups", cert: front, headers: []string{
			"X-Remote-User", "eve", "X-Remote-Uid", "e-1", "X-Remote-Group", "g1", "X-Remote-Group", "g2", "X-Other-Group", "g3",
		}, user: "eve/e-1/g1,g2,g3,system:authenticated"},
		{name: "the first user header that is not empty counts", cert: front, headers: []string{"X-Remote-User", "", "X-Other-User", "eve"}, user: "eve//system:authenticated"},
		{name: "anonymous behind a front proxy is not authenticated", cert: front, headers: []string{"X-Remote-User", user.Anonymous, "X-Remote-Group", user.AllUnauthenticated}, user: "system:anonymous//system:unauthenticated"},
		{name: "a front proxy that names nobody is refused, its certificate being no user's", cert: front, err: "unknown authority"},
		{name: "another certificate of the front proxy's authority is refused", cert: cert(proxies, client{name: "other"}), headers: []string{"X-Remote-User", "eve"}, err: "x509: subject with cn=other is not in the allowed list"},
		{name: "a user cannot name another one", cert: alice, headers: []string{"X-Remote-User", "admin"}, user: "alice//dev,ops,system:authenticated"},
		{name: "headers without a certificate name nobody", headers: []string{"X-Remote-User", "admin"}},

		{name: "a token of the file names the user, the UID and the groups", headers: []string{"Authorization", "Bearer secret-a"}, user: "alice/1001/dev,ops,system:authenticated"},
		{name: "the scheme may be written in any case", headers: []string{"Authorization", "bEARER secret-b"}, user: "bob/1002/system:authenticated"},
		{name: "of two lines with one token the last counts", headers: []string{"Authorization", "Bearer secret-c"}, user: "carol/2/system:authenticated"},
		{name: "an unknown token is refused", headers: []string{"Authorization", "Bearer wrong"}, err: "invalid bearer token"},
		{name: "an unknown token is refused even where anonymous may go", path: "/healthz", headers: []string{"Authorization", "Bearer wrong"}, err: "invalid bearer token"},
		{name: "an empty token is no credential", path: "/healthz", headers: []string{"Authorization", "Bearer "}, user: "system:anonymous//system:unauthenticated"},
		{name: "a token after two spaces is no credential", headers: []string{"Authorization", "Bearer  secret-a"}},
		{name: "another scheme is no credential", headers: []string{"Authorization", "Basic c2VjcmV0LWE="}},
		{name: "the loopback token is the server itself", headers: []string{"Authorization", "Bearer loop"}, user: "system:apiserver/*/system:authenticated,system:masters"},
		{name: "the loopback token comes before a certificate", cert: alice, headers: []string{"Authorization", "Bearer loop"}, user: "system:apiserver/*/system:authenticated,system:masters"},

		{name: "a WebSocket may carry its token as a subprotocol", headers: webSocket(encoded + ", v5.channel.k8s.io"), user: "bob/1002/system:authenticated"},
		{name: "the token must not be the only subprotocol", headers: webSocket(encoded), err: "no other subprotocol"},
		{name: "two tokens are refused", headers: webSocket(encoded + "," + encoded + ",v5"), err: "more than one"},
		{name: "a padded token is refused", headers: webSocket("base64url.bearer.authorization.k8s.io.YQ==, v5"), err: "unpadded base64url"},
		{name: "an unknown token of a WebSocket is refused", headers: webSocket("base64url.bearer.authorization.k8s.io.d3Jvbmc, v5"), err: "invalid bearer token"},
		{name: "without an upgrade subprotocols carry no token", headers: []string{"Sec-WebSocket-Protocol", encoded + ", v5"}},

		{name: "anonymous may see the health", path: "/readyz?verbose", user: "system:anonymous//system:unauthenticated"},
		{name: "anonymous may see the version", path: "/version", user: "system:anonymous//system:unauthenticated"},
		{name: "anonymous may see nothing below the health", path: "/readyz/ping"},
		{name: "anonymous may see nothing else", path: "/api"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.path == "" {
				c.path = "/api"
			}
			r := request(c.path, c.cert, c.headers...)
			response, ok, err := a.AuthenticateRequest(r)
			switch {
			case c.err != "":
				if ok || err == nil || !strings.Contains(err.Error(), c.err) {
					t.Fatalf("%s %v: got %v, %v, want an error with %q", c.path, c.headers, ok, err, c.err)
				}
			case err != nil:
				t.Fatalf("%s %v: got error %v", c.path, c.headers, err)
			case c.user == "":
				if ok {
					t.Fatalf("%s %v: got %+v, want no opinion", c.path, c.headers, response.User)
				}
			case !ok:
				t.Fatalf("%s %v: got no opinion, want %s", c.path, c.headers, c.user)
			default:
				uid := response.User.GetUID()
				if strings.Contains(c.user, "/*/") {
					uid = "*"
				}
				if got := response.User.GetName() + "/" + uid + "/" + strings.Join(response.User.GetGroups(), ","); got != c.user {
					t.Fatalf("%s %v: got %s, want %s", c.path, c.headers, got, c.user)
				}
			}
		})
	}
}

func TestCertificateCarriesItsFingerprint(t *testing.T) {
	ca := newAuthority(t, "users")
	a := newAuthenticator(t, authentication.Config{ClientCA: authentication.NewStaticCA(pool(ca))})
	cert := ca.issue(t, client{name: "alice"})
	response, _, err := a.AuthenticateRequest(request("/api", &cert))
	if err != nil {
		t.Fatal(err)
	}
	got := response.User.GetExtra()[user.CredentialIDKey]
	if len(got) != 1 || !strings.HasPrefix(got[0], "X509SHA256=") || len(got[0]) != len("X509SHA256=")+64 {
		t.Errorf("credential id: got %q, want X509SHA256= and 64 hexadecimal digits", got)
	}
}

func TestFrontProxyExtraIsDecodedAndHidden(t *testing.T) {
	ca := newAuthority(t, "proxies")
	a := newAuthenticator(t, authentication.Config{RequestHeader: frontProxy(ca)})
	cert := ca.issue(t, client{name: "any"})
	r := request("/api", &cert, "X-Other-User", "eve",
		"X-Remote-Extra-Scopes", "a", "X-Remote-Extra-Scopes", "b",
		"X-Remote-Extra-Example.org%2fRole", "admin", "X-Remote-Extra-Odd%zz", "kept", "X-Unrelated", "stays")
	response, ok, err := a.AuthenticateRequest(r)
	if !ok || err != nil {
		t.Fatalf("got %v, %v", ok, err)
	}
	extra := response.User.GetExtra()
	for key, want := range map[string][]string{"scopes": {"a", "b"}, "example.org/role": {"admin"}, "odd%zz": {"kept"}} {
		if !slices.Equal(extra[key], want) {
			t.Errorf("extra %q: got %q, want %q; all: %v", key, extra[key], want, extra)
		}
	}
	if len(r.Header) != 1 || r.Header.Get("X-Unrelated") != "stays" {
		t.Errorf("headers behind the authenticator: got %v, want X-Unrelated alone", r.Header)
	}
}

func TestWebSocketTokenIsHidden(t *testing.T) {
	a := newAuthenticator(t, authentication.Config{TokenFile: tokenFile(t, tokenCSV)})
	encoded := "base64url.bearer.authorization.k8s.io." + base64.RawURLEncoding.EncodeToString([]byte("secret-b"))
	r := request("/api", nil, "Connection", "Upgrade", "Upgrade", "websocket",
		"Sec-WebSocket-Protocol", "v5.channel.k8s.io, "+encoded, "Sec-WebSocket-Protocol", "v4.channel.k8s.io")
	if _, ok, err := a.AuthenticateRequest(r); !ok || err != nil {
		t.Fatalf("got %v, %v", ok, err)
	}
	want := []string{"v5.channel.k8s.io,v4.channel.k8s.io"}
	if got := r.Header["Sec-Websocket-Protocol"]; !slices.Equal(got, want) {
		t.Errorf("subprotocols: got %q, want %q", got, want)
	}

	r = request("/api", nil, "Authorization", "Bearer secret-b", "Sec-WebSocket-Protocol", "v5.channel.k8s.io, "+encoded)
	if _, ok, err := a.AuthenticateRequest(r); !ok || err != nil {
		t.Fatalf("got %v, %v", ok, err)
	}
	if got := r.Header["Sec-Websocket-Protocol"]; !slices.Equal(got, []string{"v5.channel.k8s.io"}) {
		t.Errorf("subprotocols of a user who was known by another token: got %q, want v5.channel.k8s.io alone", got)
	}
}

func TestAnonymousIsOffUnlessAskedFor(t *testing.T) {
	a := newAuthenticator(t, authentication.Config{})
	if response, ok, err := a.AuthenticateRequest(request("/healthz", nil)); ok || err != nil {
		t.Errorf("got %v, %v, %v, want no opinion", response, ok, err)
	}
}

func TestTokensAreForTheirAudiences(t *testing.T) {
	a := newAuthenticator(t, authentication.Config{TokenFile: tokenFile(t, tokenCSV), Audiences: []string{"api", "other"}})
	for _, c := range []struct {
		name   string
		wanted []string
		got    []string // nil: refused
	}{
		{name: "asked for none, a token is good for all of them", got: []string{"api", "other"}},
		{name: "asked for one of them, it is good for that one", wanted: []string{"api", "vault"}, got: []string{"api"}},
		{name: "asked for another, it is unknown", wanted: []string{"vault"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := request("/api", nil, "Authorization", "Bearer secret-a")
			if c.wanted != nil {
				r = r.WithContext(authenticator.WithAudiences(r.Context(), c.wanted))
			}
			response, ok, err := a.AuthenticateRequest(r)
			if c.got == nil {
				if ok || err == nil {
					t.Fatalf("got %v, %v, want an error", ok, err)
				}
				return
			}
			if !ok || !slices.Equal(response.Audiences, c.got) {
				t.Fatalf("got %v, %v, want %v", ok, response, c.got)
			}
		})
	}
}

func TestBrokenTokenFileIsRefusedByFileLineAndCause(t *testing.T) {
	for _, c := range []struct{ name, content, want string }{
		{"too few columns", "a,alice,1\nb,bob\n", "line 2: it has 2 columns and needs at least 3"},
		{"no user name", "a,,1\n", "line 1: the user name is empty"},
		{"a stray quote", "a,alice,1\nb,\"bob,2\n", "line 2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := tokenFile(t, c.content)
			_, err := authentication.New(authentication.Config{TokenFile: path})
			if err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%q: got %v, want the file's name and %q", c.content, err, c.want)
			}
		})
	}
	t.Run("no such file", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "absent.csv")
		_, err := authentication.New(authentication.Config{TokenFile: path})
		if err == nil || strings.Count(err.Error(), path) != 1 || !strings.Contains(err.Error(), "no such file") {
			t.Errorf("got %v, want the file's name once and its cause", err)
		}
	})
}

func TestWhatATokenFileHasInVainIsLogged(t *testing.T) {
	for name, c := range map[string]struct{ content, want string }{
		"nothing":           {"", "There is no token in the token file FILE"},
		"an empty token":    {",alice,1\n", "There is no token in the token file FILE"},
		"one token twice":   {"a,alice,1\nb,bob,2\na,carol,3\n,dora,4\n", "token file FILE that let nobody in, being without a token or with that of a later line: 1, 4"},
		"one token all day": {strings.Repeat("a,alice,1\n", 20), ": 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, …"},
		"nothing in vain":   {"a,alice,1\n", ""},
	} {
		t.Run(name, func(t *testing.T) {
			var logged strings.Builder
			defer klog.CaptureState().Restore()
			klog.SetLogger(funcr.New(func(_, line string) { logged.WriteString(line) }, funcr.Options{}))
			path := tokenFile(t, c.content)
			if _, err := authentication.New(authentication.Config{TokenFile: path}); err != nil {
				t.Fatal(err)
			}
			if got := logged.String(); !strings.Contains(got, strings.Replace(c.want, "FILE", path, 1)) || (got == "") != (c.want == "") {
				t.Errorf("got %q, want %q in it", got, c.want)
			}
		})
	}
}

func TestEmptyHeaderNameIsRefused(t *testing.T) {
	h := frontProxy(newAuthority(t, "proxies"))
	h.GroupHeaders = []string{" "}
	if _, err := authentication.New(authentication.Config{RequestHeader: h}); err == nil {
		t.Error("got no error for a header name of spaces")
	}
}
