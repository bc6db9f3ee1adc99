package serving_test

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/portico-api/portico/serving"
	"github.com/portico-api/portico/serving/pki"
)

func TestAClientCertificateIsShownToTheHandlerUnverified(t *testing.T) {
	// The server knows no client CA at all, so a verifying handshake would end in an alert.
	s := serve(t, http.HandlerFunc(echoProtocol), nil)
	for _, http2 := range []bool{false, true} {
		answer, err := s.httpClient(t, http2, s.client).Get("https://" + s.address)
		if err != nil {
			t.Fatalf("http2 %v: %v", http2, err)
		}
		body, _ := io.ReadAll(answer.Body)
		answer.Body.Close()
		if !strings.HasSuffix(string(body), " "+leaf(t, s.client).Subject.CommonName) {
			t.Errorf("http2 %v: the handler saw %q, want the certificate's common name", http2, body)
		}
	}
}

func leaf(t *testing.T, c tls.Certificate) *x509.Certificate {
	t.Helper()
	l, err := x509.ParseCertificate(c.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestAConnectionWithoutTLSIsCountedAndToldSo(t *testing.T) {
	failed := make(chan struct{}, 1)
	s := serve(t, http.HandlerFunc(echoProtocol), func(i *serving.SecureServingInfo) {
		i.OnHandshakeError = func() { failed <- struct{}{} }
	})
	conn, err := net.Dial("tcp", s.address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	io.WriteString(conn, "GET / HTTP/1.1\r\n\r\n")
	body, _ := io.ReadAll(conn)
	if !strings.Contains(string(body), "HTTP request to an HTTPS server") {
		t.Errorf("answer is %q", body)
	}
	await(t, "the failed handshake to be counted", failed)
}

func TestOldTLSIsRefused(t *testing.T) {
	s := serve(t, http.HandlerFunc(echoProtocol), nil)
	c, err := tls.Dial("tcp", s.address, &tls.Config{RootCAs: s.roots, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11})
	if err == nil {
		c.Close()
		t.Error("TLS 1.1 was accepted")
	}
}

func TestSNICertificateIsChosenByName(t *testing.T) {
	p, err := pki.Ensure(pki.Config{Dir: t.TempDir(), Hosts: []string{"other.example.com"}})
	if err != nil {
		t.Fatal(err)
	}
	sni, err := serving.NewCertFile(p.Serving.CertFile, p.Serving.KeyFile)
	if err != nil {
		t.Fatal(err)
	}
	s := serve(t, http.HandlerFunc(echoProtocol), func(i *serving.SecureServingInfo) { i.SNICerts = []serving.Certificate{sni} })
	for name, want := range map[string]bool{"other.example.com": true, "localhost": false, "": false} {
		c, err := tls.Dial("tcp", s.address, &tls.Config{ServerName: name, InsecureSkipVerify: true})
		if err != nil {
			t.Fatal(err)
		}
		got := c.ConnectionState().PeerCertificates[0].VerifyHostname("other.example.com") == nil
		c.Close()
		if got != want {
			t.Errorf("server name %q: SNI certificate shown = %v, want %v", name, got, want)
		}
	}
}

func TestTheAuthoritiesOfClientsAreNamedAndKeptCurrent(t *testing.T) {
	file := filepath.Join(t.TempDir(), "ca.pem")
	var made []*pki.PKI
	for range 2 {
		p, err := pki.Ensure(pki.Config{Dir: t.TempDir(), Hosts: []string{"localhost"}})
		if err != nil {
			t.Fatal(err)
		}
		made = append(made, p)
	}
	copyFile(t, made[0].CA.CertFile, file)
	ca, err := serving.NewCAFile(file)
	if err != nil {
		t.Fatal(err)
	}
	s := serve(t, http.HandlerFunc(echoProtocol), func(i *serving.SecureServingInfo) { i.ClientCAs = []serving.CABundle{ca} })
	for _, p := range made {
		copyFile(t, p.CA.CertFile, file)
		if _, err := ca.Reload(); err != nil {
			t.Fatal(err)
		}
		client, err := tls.LoadX509KeyPair(p.Admin.CertFile, p.Admin.KeyFile)
		if err != nil {
			t.Fatal(err)
		}
		named := false
		c, err := tls.Dial("tcp", s.address, &tls.Config{RootCAs: s.roots, GetClientCertificate: func(r *tls.CertificateRequestInfo) (*tls.Certificate, error) {
			named = r.SupportsCertificate(&client) == nil
			return &client, nil
		}})
		if err != nil {
			t.Fatal(err)
		}
		c.Close()
		if !named {
			t.Errorf("the authority of %s was not named", p.Admin.CertFile)
		}
	}
}

func TestSessionsAreResumed(t *testing.T) {
	s := serve(t, http.HandlerFunc(echoProtocol), func(i *serving.SecureServingInfo) {
		i.ClientCAs = []serving.CABundle{bundle{}}
	})
	config := &tls.Config{RootCAs: s.roots, ClientSessionCache: tls.NewLRUClientSessionCache(0), NextProtos: []string{"http/1.1"}}
	for i := range 2 {
		c, err := tls.Dial("tcp", s.address, config)
		if err != nil {
			t.Fatal(err)
		}
		// The ticket arrives with the first answer.
		io.WriteString(c, "GET / HTTP/1.0\r\n\r\n")
		_, _ = io.Copy(io.Discard, c)
		if got := c.ConnectionState().DidResume; got != (i > 0) {
			t.Errorf("connection %d: resumed = %v, want %v", i, got, i > 0)
		}
		c.Close()
	}
}

type bundle struct{}

func (bundle) Bundle() (*x509.CertPool, []byte) { return x509.NewCertPool(), nil }
func (bundle) Generation() uint64               { return 1 }
