package conformance

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/portico-api/portico/serving/pki"
)

// secured is an etcd that speaks TLS only, to clients with a certificate only.
func secured(t *testing.T) (s *server, certificates *pki.PKI) {
	t.Helper()
	dir := t.TempDir()
	certificates, err := pki.Ensure(pki.Config{Dir: filepath.Join(dir, "pki"), Hosts: []string{"127.0.0.1"}})
	if err != nil {
		t.Fatal(err)
	}
	s = &server{engine: "etcd over TLS", dataDir: filepath.Join(dir, "data")}
	err = s.startEtcd("https", filepath.Join(dir, "etcd"), "--client-cert-auth", "--trusted-ca-file", certificates.CA.CertFile,
		"--cert-file", certificates.Serving.CertFile, "--key-file", certificates.Serving.KeyFile)
	t.Cleanup(s.stop)
	if err != nil {
		t.Fatal(err)
	}
	return s, certificates
}

func TestAClusterBehindTLS(t *testing.T) {
	t.Parallel()
	s, certificates := secured(t)
	s.args = []string{"--etcd-servers", s.etcdURL, "--etcd-cafile", certificates.CA.CertFile,
		"--etcd-certfile", certificates.Admin.CertFile, "--etcd-keyfile", certificates.Admin.KeyFile}
	if err := s.start(); err != nil {
		t.Fatal(err)
	}
	namespace := s.namespace(t)
	s.put(t, namespace, "one", "first", "")
	s.restart(t)
	if got := s.must(t, 200, exchange{path: collection(namespace, "configmaps") + "/one"}).object(t); got.GetName() != "one" {
		t.Errorf("got %v after a restart", got)
	}
}

func TestAClusterThatDoesNotTrustUsIsNamed(t *testing.T) {
	t.Parallel()
	s, certificates := secured(t)
	strangers, err := pki.Ensure(pki.Config{Dir: t.TempDir(), Hosts: []string{"127.0.0.1"}})
	if err != nil {
		t.Fatal(err)
	}
	for name, args := range map[string][]string{
		"no authority of its certificate": {"--etcd-certfile", certificates.Admin.CertFile, "--etcd-keyfile", certificates.Admin.KeyFile},
		"another authority":               {"--etcd-cafile", strangers.CA.CertFile, "--etcd-certfile", certificates.Admin.CertFile, "--etcd-keyfile", certificates.Admin.KeyFile},
		"no client certificate":           {"--etcd-cafile", certificates.CA.CertFile},
		"the certificate of a stranger":   {"--etcd-cafile", certificates.CA.CertFile, "--etcd-certfile", strangers.Admin.CertFile, "--etcd-keyfile", strangers.Admin.KeyFile},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			begin := time.Now()
			said, err := exec.CommandContext(within(t, 2*patience), porticoBinary,
				append([]string{"serve", "--data-dir", t.TempDir(), "--secure-port", "0", "--etcd-servers", s.etcdURL}, args...)...).CombinedOutput()
			if err == nil {
				t.Fatalf("it started: %s", said)
			}
			if text := strings.TrimSpace(string(said)); strings.Contains(text, "\n") || !strings.Contains(text, s.etcdURL) || !strings.Contains(text, "--etcd-") {
				t.Errorf("after %v got %q, want one line that names the cluster and a flag", time.Since(begin), text)
			}
		})
	}
}
