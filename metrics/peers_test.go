package metrics_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/portico-api/portico/metrics"
)

// serverWith is a TLS server whose certificate is changed before somebody signs it, if anybody but itself does.
func serverWith(t *testing.T, change func(*x509.Certificate)) (address string, roots *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "localhost"}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature, DNSNames: []string{"localhost"},
	}
	change(leaf)
	der, err := x509.CreateCertificate(rand.Reader, leaf, leaf, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	made, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots = x509.NewCertPool()
	roots.AddCert(made)
	s := httptest.NewUnstartedServer(http.NotFoundHandler())
	s.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // clients hang up
	s.StartTLS()
	t.Cleanup(s.Close)
	return s.Listener.Addr().String(), roots
}

// dial connects as clients of backends and webhooks do.
func dial(p *metrics.Peers, address string, config *tls.Config) error {
	config.VerifyConnection, config.ServerName = p.Connected, "localhost"
	raw, err := net.Dial("tcp", address)
	if err != nil {
		return err
	}
	defer raw.Close()
	err = tls.Client(raw, config).Handshake()
	p.Failed(err)
	return err
}

func TestCertificatesWithoutNamesAreCounted(t *testing.T) {
	m := metrics.New()
	good, itsRoots := serverWith(t, func(*x509.Certificate) {})
	bad, badRoots := serverWith(t, func(c *x509.Certificate) { c.DNSNames = nil })
	if err := dial(m.BackendPeers, good, &tls.Config{RootCAs: itsRoots}); err != nil {
		t.Fatal(err)
	}
	wantPeers(t, m, 0, 0)
	if err := dial(m.BackendPeers, bad, &tls.Config{RootCAs: badRoots}); err == nil {
		t.Fatal("a certificate without names was taken")
	}
	wantPeers(t, m, 1, 0)
	if err := dial(m.BackendPeers, bad, &tls.Config{InsecureSkipVerify: true}); err != nil {
		t.Fatal(err)
	}
	wantPeers(t, m, 2, 0)
}

func TestCertificatesSignedWithSHA1AreCounted(t *testing.T) {
	m := metrics.New()
	// Go signs nothing with SHA-1 any more, so that the certificates are made as they are parsed.
	signed := &x509.Certificate{RawSubject: []byte("leaf"), RawIssuer: []byte("authority"), DNSNames: []string{"x"}, SignatureAlgorithm: x509.SHA1WithRSA}
	root := &x509.Certificate{RawSubject: []byte("root"), RawIssuer: []byte("root"), DNSNames: []string{"x"}, SignatureAlgorithm: x509.SHA1WithRSA}
	modern := &x509.Certificate{RawSubject: []byte("leaf"), RawIssuer: []byte("root"), DNSNames: []string{"x"}, SignatureAlgorithm: x509.SHA256WithRSA}
	connected := func(chain ...*x509.Certificate) {
		t.Helper()
		if err := m.BackendPeers.Connected(tls.ConnectionState{PeerCertificates: chain}); err != nil {
			t.Errorf("a connection was refused: %v", err)
		}
	}
	connected()
	connected(modern, root)
	wantPeers(t, m, 0, 0)
	connected(signed, signed)
	wantPeers(t, m, 0, 1)

	// What verifying such a chain fails with.
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	authority := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "old"}, NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, authority, authority, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	if authority, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	leaf := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "leaf"}, NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"localhost"}}
	if der, err = x509.CreateCertificate(rand.Reader, leaf, authority, key.Public(), key); err != nil {
		t.Fatal(err)
	}
	if leaf, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	leaf.SignatureAlgorithm = x509.SHA1WithRSA
	roots := x509.NewCertPool()
	roots.AddCert(authority)
	_, err = leaf.Verify(x509.VerifyOptions{Roots: roots})
	if err == nil || !strings.Contains(err.Error(), "SHA1") {
		t.Fatalf("verifying a chain signed with SHA-1: %v", err)
	}
	m.BackendPeers.Failed(&tls.CertificateVerificationError{UnverifiedCertificates: []*x509.Certificate{leaf}, Err: err})
	wantPeers(t, m, 0, 2)
}

func wantPeers(t *testing.T, m *metrics.Metrics, missingSAN, sha1 int) {
	t.Helper()
	page := get(t, m.Handler(), "/metrics")
	for name, want := range map[string]int{"apiserver_kube_aggregator_x509_missing_san_total": missingSAN, "apiserver_kube_aggregator_x509_insecure_sha1_total": sha1, "apiserver_webhooks_x509_missing_san_total": 0} {
		if got := lines(page, name+" "); got != name+" "+string(rune('0'+want)) {
			t.Errorf("got %s, want %d", got, want)
		}
	}
}
