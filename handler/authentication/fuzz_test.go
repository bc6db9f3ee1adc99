package authentication_test

import (
	"os"
	"path/filepath"
	"testing"
	"unicode/utf8"

	"github.com/portico-api/portico/handler/authentication"
)

// FuzzCredentials: whatever a client writes into the headers of a credential, it becomes nobody.
func FuzzCredentials(f *testing.F) {
	f.Add("Bearer wrong", "base64url.bearer.authorization.k8s.io.d3Jvbmc, v5")
	f.Add("bearer  two", "base64url.bearer.authorization.k8s.io.,")
	f.Add("Bearer", ",,,")
	f.Add("", "base64url.bearer.authorization.k8s.io._w, x")
	a := newAuthenticator(f, authentication.Config{TokenFile: tokenFile(f, "\x00a secret that no corpus finds,alice,1\n"), LoopbackToken: "\x00another", Anonymous: true})
	f.Fuzz(func(t *testing.T, authorization, protocols string) {
		r := request("/api", nil, "Connection", "Upgrade", "Upgrade", "websocket")
		r.Header["Authorization"] = []string{authorization}
		r.Header["Sec-Websocket-Protocol"] = []string{protocols}
		if response, ok, err := a.AuthenticateRequest(r); ok || response != nil {
			t.Fatalf("%q, %q: got %v, %v", authorization, protocols, response, err)
		}
	})
}

// FuzzTokenFile: a token file is read or refused, and no line of it lets in a user without a name.
func FuzzTokenFile(f *testing.F) {
	f.Add(tokenCSV, "secret-a")
	f.Add("a,b\n", "a")
	f.Add("\"a\nb\",c,d\n", "a\nb")
	f.Add("a,,d\n", "a")
	f.Fuzz(func(t *testing.T, content, token string) {
		path := filepath.Join(t.TempDir(), "tokens")
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		a, err := authentication.New(authentication.Config{TokenFile: path})
		if err != nil {
			return
		}
		response, ok, _ := a.AuthenticateRequest(request("/api", nil, "Authorization", "Bearer "+token))
		if ok && (response.User.GetName() == "" || !utf8.ValidString(token) && token == "") {
			t.Fatalf("%q, token %q: got a user without a name", content, token)
		}
	})
}
