package rig

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
	"time"
)

// Door is a running front door as its administrator reaches it: with what is in its data directory.
type Door struct {
	URL     string
	DataDir string

	roots *x509.CertPool
	ca    tls.Certificate
	admin *http.Client
}

// Open reads the certificates of the front door at url.
func Open(url, dataDir string) (*Door, error) {
	d := &Door{URL: url, DataDir: dataDir, roots: x509.NewCertPool()}
	pem, err := os.ReadFile(d.pki("ca.crt"))
	if err != nil {
		return nil, err
	}
	d.roots.AppendCertsFromPEM(pem)
	if d.ca, err = tls.LoadX509KeyPair(d.pki("ca.crt"), d.pki("ca.key")); err != nil {
		return nil, err
	}
	admin, err := tls.LoadX509KeyPair(d.pki("admin.crt"), d.pki("admin.key"))
	if err != nil {
		return nil, err
	}
	config := &tls.Config{RootCAs: d.roots, Certificates: []tls.Certificate{admin}}
	d.admin = &http.Client{Transport: &http.Transport{TLSClientConfig: config, ForceAttemptHTTP2: true}, Timeout: patience}
	return d, nil
}

// Close closes the administrator's connections.
func (d *Door) Close() { d.admin.CloseIdleConnections() }

// Trust adds the authorities of the front door to pool.
func (d *Door) Trust(pool *x509.CertPool) { pool.AddCert(d.ca.Leaf) }

func (d *Door) pki(file string) string { return filepath.Join(d.DataDir, "pki", file) }

// NewUser signs a client certificate with the front door's authority.
func (d *Door) NewUser(name string, groups ...string) (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()),
		Subject:      pkix.Name{CommonName: name, Organization: groups},
		NotBefore:    time.Now().Add(-time.Minute),
		NotAfter:     time.Now().Add(24 * time.Hour),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, d.ca.Leaf, key.Public(), d.ca.PrivateKey)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("signing the certificate of %s: %w", name, err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
}

// Create stores an object below path, as the administrator.
func (d *Door) Create(ctx context.Context, path string, object any) error {
	body, err := json.Marshal(object)
	if err != nil {
		return err
	}
	code, answer, err := d.do(ctx, http.MethodPost, path, body)
	if err == nil && code != http.StatusCreated {
		err = fmt.Errorf("status %d: %s", code, answer)
	}
	if err != nil {
		return fmt.Errorf("creating %s: %w", path, err)
	}
	return nil
}

// WaitFor returns when a GET of path succeeds.
func (d *Door) WaitFor(ctx context.Context, path string) error {
	for begin := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		code, answer, err := d.do(ctx, http.MethodGet, path, nil)
		switch {
		case err != nil:
			return err
		case code == http.StatusOK:
			return nil
		case time.Since(begin) > patience:
			return fmt.Errorf("waiting for %s: status %d: %s", path, code, answer)
		}
	}
}

// Read returns what is at path.
func (d *Door) Read(ctx context.Context, path, accept string) ([]byte, error) {
	body, err := d.open(ctx, d.admin, path, accept)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	return io.ReadAll(body)
}

// Stream opens an answer that goes on, until ctx ends.
func (d *Door) Stream(ctx context.Context, path string) (io.ReadCloser, error) {
	return d.open(ctx, &http.Client{Transport: d.admin.Transport}, path, "application/json")
}

func (d *Door) open(ctx context.Context, client *http.Client, path, accept string) (io.ReadCloser, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, d.URL+path, nil)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Accept", accept)
	response, err := client.Do(r)
	if err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK {
		defer response.Body.Close()
		text, _ := io.ReadAll(response.Body)
		return nil, fmt.Errorf("reading %s: status %d: %s", path, response.StatusCode, text)
	}
	return response.Body, nil
}

func (d *Door) do(ctx context.Context, method, path string, body []byte) (int, []byte, error) {
	r, err := http.NewRequestWithContext(ctx, method, d.URL+path, bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	r.Header.Set("Content-Type", "application/json")
	response, err := d.admin.Do(r)
	if err != nil {
		return 0, nil, err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	return response.StatusCode, answer, err
}
