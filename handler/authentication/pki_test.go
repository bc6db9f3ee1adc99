package authentication_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"sync/atomic"
	"testing"
	"time"
)

// authority is a certificate authority that lives for one test.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(tb testing.TB, name string) authority {
	tb.Helper()
	key := newKey(tb)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	return authority{cert: sign(tb, template, template, key, key), key: key}
}

// pool is the bundle of the authorities.
func pool(authorities ...authority) *x509.CertPool {
	p := x509.NewCertPool()
	for _, a := range authorities {
		p.AddCert(a.cert)
	}
	return p
}

// client describes a client certificate.
type client struct {
	name     string
	groups   []string
	uids     []string
	lifetime time.Duration
	usage    x509.ExtKeyUsage
}

func (a authority) issue(tb testing.TB, c client) tls.Certificate {
	tb.Helper()
	if c.lifetime == 0 {
		c.lifetime = time.Hour
	}
	if c.usage == x509.ExtKeyUsageAny {
		c.usage = x509.ExtKeyUsageClientAuth
	}
	subject := pkix.Name{CommonName: c.name, Organization: c.groups}
	for _, uid := range c.uids {
		subject.ExtraNames = append(subject.ExtraNames, pkix.AttributeTypeAndValue{Type: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 57683, 2}, Value: uid})
	}
	key := newKey(tb)
	leaf := sign(tb, &x509.Certificate{
		SerialNumber: big.NewInt(7), Subject: subject,
		NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(c.lifetime),
		ExtKeyUsage: []x509.ExtKeyUsage{c.usage},
	}, a.cert, key, a.key)
	return tls.Certificate{Certificate: [][]byte{leaf.Raw}, PrivateKey: key, Leaf: leaf}
}

func newKey(tb testing.TB) *ecdsa.PrivateKey {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	return key
}

func sign(tb testing.TB, template, parent *x509.Certificate, key, by *ecdsa.PrivateKey) *x509.Certificate {
	tb.Helper()
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, by)
	if err != nil {
		tb.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		tb.Fatal(err)
	}
	return cert
}

// changingCA is a bundle that a test may exchange.
type changingCA struct {
	state atomic.Pointer[caState]
}

type caState struct {
	pool       *x509.CertPool
	generation uint64
}

func newChangingCA(p *x509.CertPool) *changingCA {
	c := &changingCA{}
	c.state.Store(&caState{pool: p})
	return c
}

func (c *changingCA) set(p *x509.CertPool) {
	c.state.Store(&caState{pool: p, generation: c.state.Load().generation + 1})
}

func (c *changingCA) Pool() (*x509.CertPool, uint64) {
	s := c.state.Load()
	return s.pool, s.generation
}
