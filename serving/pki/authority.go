package pki

import (
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"slices"
	"time"
)

const (
	authorityLife = 10 * 365 * 24 * time.Hour
	leafLife      = 365 * 24 * time.Hour
	// renewBefore leaves a month to notice a Portico that cannot write its own directory.
	renewBefore = 30 * 24 * time.Hour
	// clockSkew lets a client whose clock is behind use a certificate made just now.
	clockSkew = 5 * time.Minute
)

// authority signs certificates.
type authority struct {
	pair Pair
	cert *x509.Certificate
	key  crypto.Signer
}

// ensureAuthority reads the authority in pair or makes it.
func ensureAuthority(pair Pair, name string, now time.Time) (*authority, error) {
	cert, key, err := pair.read()
	switch {
	case err == nil && now.After(cert.NotAfter):
		return nil, fmt.Errorf("%s expired on %s", pair.CertFile, cert.NotAfter.Format(time.DateOnly))
	case err == nil && !cert.IsCA:
		return nil, fmt.Errorf("%s is not a certificate authority", pair.CertFile)
	case err == nil:
		return &authority{pair, cert, key}, nil
	case !errors.Is(err, errMissing):
		return nil, err
	}
	if key, err = ensureKey(pair.KeyFile); err != nil {
		return nil, err
	}
	template := &x509.Certificate{
		Subject:               pkix.Name{CommonName: name},
		KeyUsage:              x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
	}
	cert, err = sign(pair.CertFile, template, template, key.Public(), key, now, authorityLife)
	if err != nil {
		return nil, err
	}
	return &authority{pair, cert, key}, nil
}

// leaf says what one certificate is for.
type leaf struct {
	pair   Pair
	name   string
	groups []string // organizations: the groups of a client
	hosts  []string // names and addresses of a server; none for a client
}

// ensure makes the leaf's certificate when there is none, when it ends soon, when another authority
// signed it or when it lacks a host, and tells whether it did.
func (a *authority) ensure(l leaf, now time.Time) (made bool, err error) {
	cert, _, err := l.pair.read()
	switch {
	case err == nil && a.good(cert, l, now):
		return false, nil
	case err != nil && !errors.Is(err, errMissing):
		return false, err
	}
	key, err := ensureKey(l.pair.KeyFile)
	if err != nil {
		return false, err
	}
	template := &x509.Certificate{
		Subject:     pkix.Name{CommonName: l.name, Organization: l.groups},
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	if len(l.hosts) > 0 {
		template.ExtKeyUsage[0] = x509.ExtKeyUsageServerAuth
	}
	for _, host := range l.hosts {
		if ip := net.ParseIP(host); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, host)
		}
	}
	_, err = sign(l.pair.CertFile, template, a.cert, key.Public(), a.key, now, leafLife)
	return err == nil, err
}

// good tells whether cert can go on serving as l.
func (a *authority) good(cert *x509.Certificate, l leaf, now time.Time) bool {
	return now.Add(renewBefore).Before(cert.NotAfter) &&
		cert.CheckSignatureFrom(a.cert) == nil &&
		cert.Subject.CommonName == l.name &&
		!slices.ContainsFunc(l.hosts, func(host string) bool { return cert.VerifyHostname(host) != nil })
}

// sign writes a certificate for public, made from template and signed by parent's key.
func sign(file string, template, parent *x509.Certificate, public crypto.PublicKey, key crypto.Signer, now time.Time, life time.Duration) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 126))
	if err != nil {
		return nil, fmt.Errorf("choosing a serial number for %s: %w", file, err)
	}
	template.SerialNumber = serial
	template.NotBefore = now.Add(-clockSkew)
	template.NotAfter = now.Add(life)
	der, err := x509.CreateCertificate(rand.Reader, template, parent, public, key)
	if err != nil {
		return nil, fmt.Errorf("signing %s: %w", file, err)
	}
	if err := WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o644); err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}
