package metrics

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
)

// Peers observes the certificates of one kind of servers that this one connects to: which of them clients are about to refuse, or do already.
type Peers struct{ missingSAN, insecureSHA1 prometheus.Counter }

// newPeers makes the two counters that begin with prefix.
func newPeers(r prometheus.Registerer, prefix, whose string) *Peers {
	return &Peers{
		missingSAN:   counter(r, prefix+"_x509_missing_san_total", "[ALPHA] Connections to "+whose+" whose certificate names its host in the common name only."),
		insecureSHA1: counter(r, prefix+"_x509_insecure_sha1_total", "[ALPHA] Connections to "+whose+" whose certificate was signed with SHA-1."),
	}
}

// Connected looks at the certificate of a server: it is a tls.Config's VerifyConnection, and refuses nothing.
func (p *Peers) Connected(state tls.ConnectionState) error {
	if p == nil || len(state.PeerCertificates) == 0 {
		return nil
	}
	leaf := state.PeerCertificates[0]
	if len(leaf.DNSNames) == 0 && len(leaf.IPAddresses) == 0 && len(leaf.EmailAddresses) == 0 && len(leaf.URIs) == 0 {
		p.missingSAN.Inc()
	}
	for _, c := range state.PeerCertificates {
		if signedWithSHA1(c) {
			p.insecureSHA1.Inc()
			break
		}
	}
	return nil
}

// Failed looks at why there is no connection to a server. The TLS library has no errors of their own for the two, only words.
func (p *Peers) Failed(err error) {
	if p == nil || err == nil {
		return
	}
	var host x509.HostnameError
	var authority x509.UnknownAuthorityError
	switch {
	case errors.As(err, &host) && strings.Contains(err.Error(), "relies on legacy Common Name field"):
		p.missingSAN.Inc()
	case errors.As(err, &authority) && strings.Contains(err.Error(), "insecure algorithm"):
		p.insecureSHA1.Inc()
	}
}

// signedWithSHA1 tells whether somebody vouches for c in that way. What an authority says of itself is not verified by anybody.
func signedWithSHA1(c *x509.Certificate) bool {
	if string(c.RawIssuer) == string(c.RawSubject) {
		return false
	}
	switch c.SignatureAlgorithm {
	case x509.SHA1WithRSA, x509.ECDSAWithSHA1, x509.DSAWithSHA1:
		return true
	}
	return false
}
