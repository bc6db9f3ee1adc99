package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/portico-api/portico/serving/pki"
)

// as is the front door used by somebody else, who has a client certificate of its authority.
func (p *portico) as(t *testing.T, user string, groups ...string) *portico {
	t.Helper()
	other := *p
	other.kubeconfig = p.kubeconfigFor(t, user, groups...)
	other.home = t.TempDir()
	return &other
}

// kubeconfigFor writes a kubeconfig for a user who is made now.
func (p *portico) kubeconfigFor(t *testing.T, user string, groups ...string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "kubeconfig") // not by the user's name: colons separate files in KUBECONFIG
	kubeconfig := pki.Kubeconfig{Server: p.url, CAFile: p.pki("ca.crt"), Client: p.newUser(t, user, groups...)}
	if err := kubeconfig.Write(file); err != nil {
		t.Fatal(err)
	}
	return file
}

// clientAs is an HTTP client of a user who is made now.
func (p *portico) clientAs(t *testing.T, user string, groups ...string) *http.Client {
	t.Helper()
	pair := p.newUser(t, user, groups...)
	cert, err := tls.LoadX509KeyPair(pair.CertFile, pair.KeyFile)
	if err != nil {
		t.Fatal(err)
	}
	return p.clientWith(t, &cert)
}

// newUser signs a client certificate with the front door's authority, as openssl would.
func (p *portico) newUser(t *testing.T, user string, groups ...string) pki.Pair {
	t.Helper()
	ca, err := tls.LoadX509KeyPair(p.pki("ca.crt"), p.pki("ca.key"))
	if err != nil {
		t.Fatal(err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()),
		Subject:      pkix.Name{CommonName: user, Organization: groups},
		NotBefore:    time.Now().Add(-time.Minute),
		NotAfter:     time.Now().Add(time.Hour),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, ca.Leaf, key.Public(), ca.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	pair := pki.Pair{CertFile: filepath.Join(dir, "tls.crt"), KeyFile: filepath.Join(dir, "tls.key")}
	for file, block := range map[string]*pem.Block{
		pair.CertFile: {Type: "CERTIFICATE", Bytes: cert},
		pair.KeyFile:  {Type: "PRIVATE KEY", Bytes: private},
	} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return pair
}
