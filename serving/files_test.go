package serving_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"k8s.io/klog/v2"
	"k8s.io/klog/v2/ktesting"

	"github.com/portico-api/portico/serving"
	"github.com/portico-api/portico/serving/pki"
)

func TestFilesAreReloadedAndBrokenOnesIgnored(t *testing.T) {
	first, err := pki.Ensure(pki.Config{Dir: t.TempDir(), Hosts: []string{"one"}})
	if err != nil {
		t.Fatal(err)
	}
	second, err := pki.Ensure(pki.Config{Dir: t.TempDir(), Hosts: []string{"two"}})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	certFile, keyFile, caFile := filepath.Join(dir, "cert"), filepath.Join(dir, "key"), filepath.Join(dir, "ca")
	install := func(p *pki.PKI) {
		copyFile(t, p.Serving.CertFile, certFile)
		copyFile(t, p.Serving.KeyFile, keyFile)
		copyFile(t, p.CA.CertFile, caFile)
	}
	install(first)
	cert, err := serving.NewCertFile(certFile, keyFile)
	if err != nil {
		t.Fatal(err)
	}
	ca, err := serving.NewCAFile(caFile)
	if err != nil {
		t.Fatal(err)
	}
	before, generation := cert.Current(), ca.Generation()
	if changed, err := cert.Reload(); changed || err != nil || cert.Current() != before {
		t.Errorf("reloading the same files: changed %v, error %v", changed, err)
	}

	write(t, certFile, "not a certificate")
	write(t, caFile, "neither")
	if changed, err := cert.Reload(); changed || err == nil || cert.Current() != before {
		t.Errorf("reloading a broken certificate: changed %v, error %v; want the old one and an error", changed, err)
	} else if !strings.Contains(err.Error(), certFile) {
		t.Errorf("error %q does not name %s", err, certFile)
	}
	if changed, err := ca.Reload(); changed || err == nil || ca.Generation() != generation {
		t.Errorf("reloading a broken bundle: changed %v, error %v; want the old one and an error", changed, err)
	} else if !strings.Contains(err.Error(), caFile) {
		t.Errorf("error %q does not name %s", err, caFile)
	}

	install(second)
	if changed, err := cert.Reload(); !changed || err != nil || cert.Current().Leaf.VerifyHostname("two") != nil {
		t.Errorf("reloading a new certificate: changed %v, error %v", changed, err)
	}
	if changed, err := ca.Reload(); !changed || err != nil || ca.Generation() <= generation {
		t.Errorf("reloading a new bundle: changed %v, error %v, generation %d after %d", changed, err, ca.Generation(), generation)
	}
}

func TestAnUnreadableFileIsNamed(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "missing.pem")
	if _, err := serving.NewCertFile(missing, missing); !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), missing) {
		t.Errorf("NewCertFile: error %v, want one that names %s", err, missing)
	}
	if _, err := serving.NewCAFile(missing); !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), missing) {
		t.Errorf("NewCAFile: error %v, want one that names %s", err, missing)
	}
}

func TestFilesAreReadAgainEachMinute(t *testing.T) {
	p, err := pki.Ensure(pki.Config{Dir: t.TempDir(), Hosts: []string{"one"}})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	changing, broken := filepath.Join(dir, "changing.pem"), filepath.Join(dir, "broken.pem")
	copyFile(t, p.CA.CertFile, changing)
	copyFile(t, p.CA.CertFile, broken)
	synctest.Test(t, func(t *testing.T) {
		ca, other := newCAFile(t, changing), newCAFile(t, broken)
		changes := 0
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- serving.NewFiles(other, ca).Run(ctx, func() { changes++ }) }()
		copyFile(t, p.FrontProxyCA.CertFile, changing)
		write(t, broken, "spoilt")
		time.Sleep(10*time.Minute + time.Second)
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run ended with %v", err)
		}
		if ca.Generation() != 2 || changes != 1 {
			t.Errorf("generation is %d and was told %d times minutes after the file changed, want 2 and once", ca.Generation(), changes)
		}
		if other.Generation() != 1 {
			t.Errorf("generation of a spoilt file is %d, want 1", other.Generation())
		}
	})
}

func TestAFileThatStaysBrokenIsLoggedOnce(t *testing.T) {
	dir := t.TempDir()
	p, err := pki.Ensure(pki.Config{Dir: dir, Hosts: []string{"one"}})
	if err != nil {
		t.Fatal(err)
	}
	ca := newCAFile(t, p.CA.CertFile)
	files := serving.NewFiles(ca)
	logger := ktesting.NewLogger(t, ktesting.NewConfig(ktesting.BufferLogs(true)))
	ctx := klog.NewContext(t.Context(), logger)
	for _, content := range []string{"spoilt", "spoilt", "spoilt"} {
		write(t, p.CA.CertFile, content)
		files.Reload(ctx)
	}
	logged := logger.GetSink().(ktesting.Underlier).GetBuffer().String()
	if strings.Count(logged, "Keeping what was read before") != 1 || !strings.Contains(logged, p.CA.CertFile) {
		t.Errorf("logged %q, want one line that names %s", logged, p.CA.CertFile)
	}
}

func newCAFile(t *testing.T, file string) *serving.CAFile {
	t.Helper()
	ca, err := serving.NewCAFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return ca
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	data, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	write(t, to, string(data))
}

func write(t *testing.T, file, data string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(data), 0o600); err != nil {
		t.Fatal(err)
	}
}
