package e2e

import (
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// A start that cannot succeed ends at once with one line that names the cause and the way out.
func TestAMistakeStopsTheStartWithOneLine(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	garbage := filepath.Join(t.TempDir(), "garbage.pem")
	if err := os.WriteFile(garbage, []byte("garbage\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	policy, _ := auditFiles(t, auditPolicy)
	misspelt, _ := auditFiles(t, "apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: Metadata, user: [someone]}]\n")
	for name, c := range map[string]struct {
		args []string
		want []string
	}{
		"an unknown flag":              {[]string{"--no-such-flag"}, []string{"--no-such-flag"}},
		"a taken port":                 {[]string{"--secure-port", strconv.Itoa(taken.Addr().(*net.TCPAddr).Port)}, []string{"in use", "--secure-port"}},
		"a port that is none":          {[]string{"--secure-port", "70000"}, []string{"--secure-port", "70000"}},
		"an address that is none":      {[]string{"--bind-address", "nonsense"}, []string{"--bind-address", "nonsense"}},
		"a missing certificate":        {[]string{"--tls-cert-file", "/nonexistent.crt", "--tls-private-key-file", "/nonexistent.key"}, []string{"/nonexistent.crt"}},
		"a malformed certificate":      {[]string{"--tls-cert-file", garbage, "--tls-private-key-file", garbage}, []string{garbage}},
		"a certificate without key":    {[]string{"--tls-cert-file", garbage}, []string{"--tls-private-key-file"}},
		"a malformed client CA":        {[]string{"--client-ca-file", garbage}, []string{garbage, "--client-ca-file"}},
		"a malformed token file":       {[]string{"--token-auth-file", garbage}, []string{garbage}},
		"an unknown mode":              {[]string{"--authorization-mode", "Magic"}, []string{"--authorization-mode", "Magic"}},
		"a data directory in a file":   {[]string{"--data-dir", garbage}, []string{garbage}},
		"a request timeout of zero":    {[]string{"--request-timeout", "0s"}, []string{"--request-timeout"}},
		"an unknown TLS version":       {[]string{"--tls-min-version", "VersionTLS99"}, []string{"--tls-min-version"}},
		"an unknown cipher":            {[]string{"--tls-cipher-suites", "ROT13"}, []string{"--tls-cipher-suites", "ROT13"}},
		"an issuer without a name":     {[]string{"--service-account-issuer="}, []string{"--service-account-issuer"}},
		"a missing token key":          {[]string{"--service-account-signing-key-file", "/nonexistent.key"}, []string{"--service-account-signing-key-file", "/nonexistent.key"}},
		"a malformed token key":        {[]string{"--service-account-key-file", garbage}, []string{"--service-account-key-file", garbage}},
		"tokens that live too short":   {[]string{"--service-account-max-token-expiration", "1m"}, []string{"--service-account-max-token-expiration"}},
		"a folder that is not there":   {[]string{"--manifests-dir", "/nonexistent"}, []string{"--manifests-dir", "/nonexistent"}},
		"a missing audit policy":       {[]string{"--audit-policy-file", "/nonexistent"}, []string{"--audit-policy-file", "/nonexistent"}},
		"an audit policy that is none": {[]string{"--audit-policy-file", garbage}, []string{"--audit-policy-file", garbage}},
		"a misspelt audit policy":      {[]string{"--audit-policy-file", misspelt}, []string{"--audit-policy-file", misspelt, `"rules[0].user"`}},
		"an audit log below a file":    {[]string{"--audit-policy-file", policy, "--audit-log-path", garbage + "/audit.log"}, []string{"--audit-log-path", garbage}},
		"an unknown audit mode":        {[]string{"--audit-log-mode", "often"}, []string{"--audit-log-mode", "often", "blocking-strict"}},
		"an unknown audit format":      {[]string{"--audit-log-format", "xml"}, []string{"--audit-log-format", "xml"}},
		"an audit webhook in garbage":  {[]string{"--audit-policy-file", policy, "--audit-webhook-config-file", garbage}, []string{"--audit-webhook-config-file", garbage}},
		"an audit webhook in a policy": {[]string{"--audit-policy-file", policy, "--audit-webhook-config-file", policy}, []string{"--audit-webhook-config-file", policy, "a kubeconfig is wanted"}},
		"tracing in garbage":           {[]string{"--tracing-config-file", garbage}, []string{"--tracing-config-file", garbage, "a mapping is wanted"}},
		"a throttle that is closed":    {[]string{"--audit-log-mode", "batch", "--audit-log-batch-throttle-enable"}, []string{"--audit-log-batch-throttle-qps"}},
		"an argument that is no flag":  {[]string{"now"}, []string{"now", "see portico serve --help"}},
		"a flag beside its value":      {[]string{"--anonymous-auth", "false"}, []string{"write --anonymous-auth=false"}},
	} {
		t.Run(name, func(t *testing.T) {
			args := []string{"serve"}
			if !contains(c.args, "--data-dir") {
				args = append(args, "--data-dir", t.TempDir())
			}
			if !contains(c.args, "--secure-port") {
				args = append(args, "--secure-port", "0")
			}
			refused(t, append(args, c.args...), c.want...)
		})
	}
}

func TestASecondProcessOnTheSameDataIsRefused(t *testing.T) {
	p := startPortico(t)
	refused(t, []string{"serve", "--data-dir", p.dataDir, "--secure-port", "0"}, p.dataDir, "in use", strconv.Itoa(p.cmd.Process.Pid))
}

func TestACorruptStoreIsNamed(t *testing.T) {
	p := startPortico(t)
	p.interrupt(t)
	p.wait(t)
	spoilt := 0
	filepath.Walk(filepath.Join(p.dataDir, "etcd"), func(path string, info os.FileInfo, err error) error {
		if err == nil && !info.IsDir() && (strings.HasSuffix(path, ".wal") || strings.HasSuffix(path, "/db")) {
			spoilt++
			return os.WriteFile(path, []byte(strings.Repeat("spoilt", 1000)), 0o600)
		}
		return nil
	})
	if spoilt == 0 {
		t.Fatal("found no file of the store")
	}
	refused(t, []string{"serve", "--data-dir", p.dataDir, "--secure-port", "0"}, filepath.Join(p.dataDir, "etcd"))
}

func TestASpoiltCertificateIsNamed(t *testing.T) {
	p := startPortico(t)
	p.interrupt(t)
	p.wait(t)
	if err := os.WriteFile(p.pki("ca.crt"), []byte("spoilt"), 0o600); err != nil {
		t.Fatal(err)
	}
	refused(t, []string{"serve", "--data-dir", p.dataDir, "--secure-port", "0"}, p.pki("ca.crt"))
}

// refused runs the binary and expects that it ends with a code other than 0 and one line that holds
// each of want.
func refused(t *testing.T, args []string, want ...string) {
	t.Helper()
	p := start(t, t.TempDir(), porticoBinary, args...)
	if code := p.wait(t); code == 0 {
		t.Errorf("portico %v ended with 0", args)
	}
	said := strings.TrimSpace(p.output.String())
	if strings.Count(said, "\n") > 0 {
		t.Errorf("portico %v said more than one line:\n%s", args, said)
	}
	for _, w := range want {
		if !strings.Contains(said, w) {
			t.Errorf("portico %v said %q, which lacks %q", args, said, w)
		}
	}
}

func contains(args []string, flag string) bool {
	for _, arg := range args {
		if arg == flag {
			return true
		}
	}
	return false
}
