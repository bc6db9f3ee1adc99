package e2e

import (
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Whatever the verbosity, the log is for people who may not know the secrets.
func TestTheLogNeverHoldsASecret(t *testing.T) {
	const static, data, changed, broken = "planted-static-token", "planted-secret-data", "planted-changed-data", "planted-in-a-broken-body"
	tokens := filepath.Join(t.TempDir(), "tokens.csv")
	if err := os.WriteFile(tokens, []byte(static+",jane,1,\"system:masters\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, format := range []string{"text", "json"} {
		t.Run(format, func(t *testing.T) {
			p := startPortico(t, "--v=10", "--logging-format="+format, "--token-auth-file", tokens, "--enable-bootstrap-token-auth")
			p.kubectl(t, "create", "secret", "generic", "s", "--from-literal=key="+data)
			p.kubectl(t, "patch", "secret", "s", "-p", fmt.Sprintf(`{"data":{"key":%q}}`, base64.StdEncoding.EncodeToString([]byte(changed))))
			p.kubectl(t, "get", "secrets", "-A", "-o", "yaml")
			p.kubectlIn(t, fmt.Sprintf(`{"apiVersion":"v1","kind":"Secret","metadata":{"name":"s"},"stringData":{"key":%q}}`, data), "apply", "--server-side", "--force-conflicts", "-f", "-")
			p.kubectl(t, "create", "serviceaccount", "robot")
			account := strings.TrimSpace(p.kubectl(t, "create", "token", "robot"))
			const joining, joiningID = "0123456789abcdef", "07401b"
			p.kubectl(t, "-n", "kube-system", "create", "secret", "generic", "bootstrap-token-"+joiningID, "--type=bootstrap.kubernetes.io/token",
				"--from-literal=token-id="+joiningID, "--from-literal=token-secret="+joining, "--from-literal=usage-bootstrap-authentication=true")
			p.kubectl(t, "delete", "secret", "s")

			const wrong = "planted-wrong-token"
			for _, token := range []string{static, account, joiningID + "." + joining, wrong, account[:len(account)-3] + "abc"} {
				p.ask(t, "GET", "/api/v1/namespaces/default/secrets", token, "", "X-Remote-User", "planted-remote-user", "Cookie", "session=planted-cookie")
				p.ask(t, "GET", "/api/v1/namespaces", "", "", "Authorization", "Basic planted-basic", "Connection", "Upgrade", "Upgrade", "websocket",
					"Sec-WebSocket-Protocol", "base64url.bearer.authorization.k8s.io."+base64.RawURLEncoding.EncodeToString([]byte(token))+", v4.channel.k8s.io")
			}
			for _, body := range []string{
				`{"kind":"Secret","apiVersion":"v1","metadata":{"name":"x"},"data":{"k":"` + broken + `"}}`,
				`{"kind":"Secret","apiVersion":"v1","metadata":{"name":"x"},"data":"` + broken + `"}`,
				`{"kind":"Secret","apiVersion":"v1","metadata":{"name":"x"},"stringData":{"k":"` + broken,
				`{"kind":"Secret","apiVersion":"v1","metadata":{"name":"x"},"stringData":{"k":"` + broken + `"},"type":"kubernetes.io/tls"}`,
			} {
				p.ask(t, "POST", "/api/v1/namespaces/default/secrets", static, body, "Content-Type", "application/json")
			}

			signature := account[strings.LastIndexByte(account, '.')+1:]
			log := p.output.String()
			if !strings.Contains(log, "/api/v1/namespaces/default/secrets") {
				t.Fatal("the log tells of no request: nothing is tested")
			}
			for _, secret := range []string{static, data, changed, broken, joining, signature, wrong, "planted-basic", "planted-cookie", "planted-remote-user", "BEGIN PRIVATE", "BEGIN EC PRIVATE"} {
				for form, planted := range map[string]string{"": secret, " in base64": base64.RawStdEncoding.EncodeToString([]byte(secret))} {
					if at := strings.Index(log, planted); at >= 0 {
						t.Errorf("the log holds %q%s: …%s…", secret, form, log[max(0, at-200):min(len(log), at+100)])
					}
				}
			}
		})
	}
}
