package serving

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
)

// CertFile is a certificate and its key in two PEM files that may change while the server runs.
type CertFile struct {
	certFile, keyFile string
	current           atomic.Pointer[tls.Certificate]

	mu        sync.Mutex // one Reload at a time; guards what follows
	cert, key []byte
}

// NewCertFile reads the files. The error names the file and what is wrong with it.
func NewCertFile(cert, key string) (*CertFile, error) {
	f := &CertFile{certFile: cert, keyFile: key}
	if _, err := f.Reload(); err != nil {
		return nil, err
	}
	return f, nil
}

// Current is the newest certificate that could be used. It is never nil, and it is another pointer
// when the certificate has changed.
func (f *CertFile) Current() *tls.Certificate { return f.current.Load() }

// String is the name of the certificate's file.
func (f *CertFile) String() string { return f.certFile }

// GetCertificate is Current for a tls.Config of a server.
func (f *CertFile) GetCertificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	return f.Current(), nil
}

// GetClientCertificate is Current for a tls.Config of a client.
func (f *CertFile) GetClientCertificate(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
	return f.Current(), nil
}

// Reload reads the files again and tells whether they have changed. When they cannot be used, the
// certificate stays what it was.
func (f *CertFile) Reload() (changed bool, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	cert, err := os.ReadFile(f.certFile)
	if err != nil {
		return false, fmt.Errorf("reading the certificate: %w", err)
	}
	key, err := os.ReadFile(f.keyFile)
	if err != nil {
		return false, fmt.Errorf("reading the private key: %w", err)
	}
	if bytes.Equal(cert, f.cert) && bytes.Equal(key, f.key) {
		return false, nil
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return false, fmt.Errorf("using certificate %s with key %s: %w", f.certFile, f.keyFile, err)
	}
	if pair.Leaf == nil {
		if pair.Leaf, err = x509.ParseCertificate(pair.Certificate[0]); err != nil {
			return false, fmt.Errorf("reading the certificate in %s: %w", f.certFile, err)
		}
	}
	f.cert, f.key = cert, key
	f.current.Store(&pair)
	return true, nil
}
