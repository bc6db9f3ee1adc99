package pki_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/client-go/tools/clientcmd"

	"github.com/portico-api/portico/serving/pki"
)

var hosts = []string{"localhost", "127.0.0.1"}

func ensure(t *testing.T, cfg pki.Config) *pki.PKI {
	t.Helper()
	p, err := pki.Ensure(cfg)
	if err != nil {
		t.Fatalf("Ensure(%+v): %v", cfg, err)
	}
	return p
}

func leaf(t *testing.T, pair pki.Pair) *x509.Certificate {
	t.Helper()
	cert, err := tls.LoadX509KeyPair(pair.CertFile, pair.KeyFile)
	if err != nil {
		t.Fatal(err)
	}
	return cert.Leaf
}

func pool(t *testing.T, file string) *x509.CertPool {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	certs := x509.NewCertPool()
	if !certs.AppendCertsFromPEM(data) {
		t.Fatalf("%s holds no certificate", file)
	}
	return certs
}

func read(t *testing.T, file string) string {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestAFirstStartMakesACompleteSet(t *testing.T) {
	p := ensure(t, pki.Config{Dir: filepath.Join(t.TempDir(), "pki"), Hosts: hosts})
	for _, c := range []struct {
		what  string
		pair  pki.Pair
		ca    pki.Pair
		usage x509.ExtKeyUsage
		host  string
	}{
		{"serving", p.Serving, p.CA, x509.ExtKeyUsageServerAuth, "127.0.0.1"},
		{"admin", p.Admin, p.CA, x509.ExtKeyUsageClientAuth, ""},
		{"front proxy client", p.FrontProxyClient, p.FrontProxyCA, x509.ExtKeyUsageClientAuth, ""},
	} {
		_, err := leaf(t, c.pair).Verify(x509.VerifyOptions{
			Roots: pool(t, c.ca.CertFile), DNSName: c.host, KeyUsages: []x509.ExtKeyUsage{c.usage},
		})
		if err != nil {
			t.Errorf("%s certificate does not verify: %v", c.what, err)
		}
		if info, err := os.Stat(c.pair.KeyFile); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s key: got %v, %v, want mode 0600", c.what, info.Mode(), err)
		}
	}
	admin := leaf(t, p.Admin)
	if got := admin.Subject.Organization; len(got) != 1 || got[0] != "system:masters" {
		t.Errorf("admin's groups: got %q, want system:masters", got)
	}
	if _, err := admin.Verify(x509.VerifyOptions{Roots: pool(t, p.FrontProxyCA.CertFile), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}}); err == nil {
		t.Error("a user's certificate passes as a front proxy's")
	}
}

func TestASecondStartReusesWhatIsThere(t *testing.T) {
	cfg := pki.Config{Dir: t.TempDir(), Hosts: hosts}
	p := ensure(t, cfg)
	files := []string{p.CA.CertFile, p.CA.KeyFile, p.Serving.CertFile, p.Admin.CertFile, p.FrontProxyCA.CertFile, p.FrontProxyClient.CertFile, p.ServiceAccount.KeyFile, p.ServiceAccount.CertFile}
	before := make([]string, len(files))
	for i, file := range files {
		before[i] = read(t, file)
	}
	ensure(t, cfg)
	for i, file := range files {
		if read(t, file) != before[i] {
			t.Errorf("%s was made anew", file)
		}
	}
}

func TestWhatEndsSoonIsRenewedByTheSameAuthority(t *testing.T) {
	cfg := pki.Config{Dir: t.TempDir(), Hosts: hosts}
	p := ensure(t, cfg)
	ca, old := read(t, p.CA.CertFile), leaf(t, p.Serving)
	cfg.Now = func() time.Time { return old.NotAfter.Add(-24 * time.Hour) }
	ensure(t, cfg)
	if got := leaf(t, p.Serving); !got.NotAfter.After(old.NotAfter) {
		t.Errorf("serving certificate ends on %v, want later than %v", got.NotAfter, old.NotAfter)
	}
	if read(t, p.CA.CertFile) != ca {
		t.Error("the authority was made anew")
	}
}

func TestANewHostGetsANewServingCertificate(t *testing.T) {
	cfg := pki.Config{Dir: t.TempDir(), Hosts: hosts}
	ensure(t, cfg)
	cfg.Hosts = append(cfg.Hosts, "api.example.com")
	p := ensure(t, cfg)
	if err := leaf(t, p.Serving).VerifyHostname("api.example.com"); err != nil {
		t.Error(err)
	}
}

func TestRunRenewsWhileTheServerRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := ensure(t, pki.Config{Dir: t.TempDir(), Hosts: hosts})
		old := leaf(t, p.Serving)
		ctx, cancel := context.WithCancel(t.Context())
		renewed := make(chan struct{}, 1)
		go p.Run(ctx, func() {
			renewed <- struct{}{}
			cancel()
		})
		<-renewed
		if got := leaf(t, p.Serving); !got.NotAfter.After(old.NotAfter) {
			t.Errorf("serving certificate ends on %v, want later than %v", got.NotAfter, old.NotAfter)
		}
	})
}

func TestAnUnusableFileIsNamed(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(t *testing.T, p *pki.PKI)
		want  string
	}{
		"a certificate that is no PEM": {func(t *testing.T, p *pki.PKI) { write(t, p.CA.CertFile, "garbage") }, "ca.crt holds no PEM certificate"},
		"a malformed certificate": {func(t *testing.T, p *pki.PKI) {
			write(t, p.Serving.CertFile, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
		}, "apiserver.crt holds a malformed certificate"},
		"a key that is no PEM":         {func(t *testing.T, p *pki.PKI) { write(t, p.Admin.KeyFile, "") }, "admin.key holds no PEM private key"},
		"a key of another certificate": {func(t *testing.T, p *pki.PKI) { write(t, p.CA.KeyFile, read(t, p.FrontProxyCA.KeyFile)) }, "ca.key is not the key of"},
		"a certificate without key":    {func(t *testing.T, p *pki.PKI) { remove(t, p.CA.KeyFile) }, "ca.key: no such file"},
		"an authority that is none": {func(t *testing.T, p *pki.PKI) {
			write(t, p.CA.CertFile, read(t, p.Serving.CertFile))
			write(t, p.CA.KeyFile, read(t, p.Serving.KeyFile))
		}, "ca.crt is not a certificate authority"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := pki.Config{Dir: t.TempDir(), Hosts: hosts}
			c.spoil(t, ensure(t, cfg))
			_, err := pki.Ensure(cfg)
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("got %v, want one line with %q", err, c.want)
			}
		})
	}
}

func TestAnInterruptedFirstStartIsFinished(t *testing.T) {
	cfg := pki.Config{Dir: t.TempDir(), Hosts: hosts}
	p := ensure(t, cfg)
	remove(t, p.CA.CertFile) // the key is written first
	remove(t, p.Serving.CertFile)
	ensure(t, cfg)
	if _, err := leaf(t, p.Serving).Verify(x509.VerifyOptions{Roots: pool(t, p.CA.CertFile)}); err != nil {
		t.Error(err)
	}
}

func TestKubeconfigIsPrivateAndComplete(t *testing.T) {
	dir := t.TempDir()
	p := ensure(t, pki.Config{Dir: dir, Hosts: hosts})
	file := filepath.Join(dir, "admin.kubeconfig")
	if err := (pki.Kubeconfig{Server: "https://127.0.0.1:1", CAFile: p.CA.CertFile, Client: p.Admin}).Write(file); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("got %v, %v, want mode 0600", info, err)
	}
	config, err := clientcmd.BuildConfigFromFlags("", file)
	if err != nil {
		t.Fatal(err)
	}
	if config.Host != "https://127.0.0.1:1" || len(config.CAData) == 0 || len(config.CertData) == 0 || len(config.KeyData) == 0 {
		t.Errorf("kubeconfig is incomplete: %+v", config)
	}
}

func write(t *testing.T, file, data string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(data), 0o600); err != nil {
		t.Fatal(err)
	}
}

func remove(t *testing.T, file string) {
	t.Helper()
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
}
