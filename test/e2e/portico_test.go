package e2e

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// portico is a running front door on an embedded store.
type portico struct {
	*process
	dataDir    string
	url        string
	kubeconfig string
	home       string // kubectl's home: its caches stay out of the user's
}

var addressLine = regexp.MustCompile(`https://127\.0\.0\.1:\d+`)

// startPortico starts the built binary on a free port and an empty directory and waits until it is
// ready.
func startPortico(t *testing.T, args ...string) *portico {
	t.Helper()
	return restartPortico(t, filepath.Join(t.TempDir(), "data"), args...)
}

// restartPortico starts the built binary on dataDir.
func restartPortico(t *testing.T, dataDir string, args ...string) *portico {
	t.Helper()
	p := &portico{dataDir: dataDir, kubeconfig: filepath.Join(dataDir, "admin.kubeconfig"), home: t.TempDir()}
	p.process = start(t, t.TempDir(), porticoBinary, append([]string{"serve", "--data-dir", dataDir, "--secure-port", "0"}, args...)...)
	eventually(t, "the address is printed", func() bool {
		p.url = addressLine.FindString(p.output.String())
		return p.url != "" || p.ended()
	})
	client := p.client(t)
	eventually(t, "readyz is ok", func() bool {
		if p.ended() {
			t.Fatalf("ended before it was ready:\n%s", p.output)
		}
		response, err := client.Get(p.url + "/readyz")
		if err != nil {
			return false
		}
		defer response.Body.Close()
		io.Copy(io.Discard, response.Body)
		return response.StatusCode == http.StatusOK
	})
	return p
}

// client is an HTTP client that trusts the front door and is its administrator.
func (p *portico) client(t *testing.T) *http.Client {
	t.Helper()
	cert, err := tls.LoadX509KeyPair(p.pki("admin.crt"), p.pki("admin.key"))
	if err != nil {
		t.Fatal(err)
	}
	return p.clientWith(t, &cert)
}

// clientWith is an HTTP client that trusts the front door and shows cert, if there is one.
func (p *portico) clientWith(t *testing.T, cert *tls.Certificate) *http.Client {
	t.Helper()
	ca, err := os.ReadFile(p.pki("ca.crt"))
	if err != nil {
		t.Fatal(err)
	}
	config := &tls.Config{RootCAs: x509.NewCertPool()}
	config.RootCAs.AppendCertsFromPEM(ca)
	if cert != nil {
		config.Certificates = []tls.Certificate{*cert}
	}
	transport := &http.Transport{TLSClientConfig: config, ForceAttemptHTTP2: true}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: patience}
}

func (p *portico) pki(file string) string { return filepath.Join(p.dataDir, "pki", file) }

// get reads a path as administrator.
func (p *portico) get(t *testing.T, path string) (int, string) {
	t.Helper()
	return fetch(t, p.client(t), p.url+path)
}

func fetch(t *testing.T, client *http.Client, url string) (int, string) {
	t.Helper()
	response, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatalf("reading %s: %v", url, err)
	}
	return response.StatusCode, string(body)
}

// kubectl runs the real kubectl as administrator and fails the test when it fails.
func (p *portico) kubectl(t *testing.T, args ...string) string {
	t.Helper()
	return p.kubectlIn(t, "", args...)
}

// kubectlIn is kubectl with something on its standard input.
func (p *portico) kubectlIn(t *testing.T, stdin string, args ...string) string {
	t.Helper()
	out, errs, err := p.tryKubectl(t, stdin, args...)
	if err != nil {
		t.Fatalf("kubectl %s: %v\n%s%s", strings.Join(args, " "), err, out, errs)
	}
	return out
}

// tryKubectl runs the real kubectl as administrator.
func (p *portico) tryKubectl(t *testing.T, stdin string, args ...string) (stdout, stderr string, err error) {
	t.Helper()
	return run(t, []string{"KUBECONFIG=" + p.kubeconfig, "HOME=" + p.home}, stdin, kubectlBinary, args...)
}

// untilKubectl repeats kubectl until it prints something that holds want.
func (p *portico) untilKubectl(t *testing.T, want string, args ...string) string {
	t.Helper()
	var out string
	for deadline := time.Now().Add(patience); ; time.Sleep(100 * time.Millisecond) {
		stdout, stderr, err := p.tryKubectl(t, "", args...)
		if out = stdout; err == nil && strings.Contains(out, want) {
			return out
		}
		if time.Now().After(deadline) {
			t.Fatalf("kubectl %s never printed %q; last: %s%s", strings.Join(args, " "), want, stdout, stderr)
		}
	}
}
