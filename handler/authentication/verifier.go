package authentication

import (
	"crypto/x509"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"

	"k8s.io/apiserver/pkg/authentication/authenticator"
)

// failureKept is how long a rejected certificate stays rejected without another look: it may only not be valid yet.
const failureKept = time.Minute

// verifier verifies client certificates once per connection: verifying one again for every request was a
// quarter of all the time a front door spends. It looks again when the authorities change and when any
// certificate of the chain expires, so that a long connection does not outlive what it was let in by.
type verifier struct {
	ca   CASource
	slot func(*connection) *atomic.Pointer[verdict]
	// identify makes the response for a verified certificate, or refuses it; nil is no opinion.
	identify func(leaf *x509.Certificate) (*authenticator.Response, error)
}

// verdict is what verifier found out, and until when and for which authorities that holds.
type verdict struct {
	by         *verifier
	leaf       *x509.Certificate
	generation uint64
	until      time.Time

	response *authenticator.Response
	err      error
}

func (d *verdict) holds(by *verifier, leaf *x509.Certificate, generation uint64, now time.Time) bool {
	return d != nil && d.by == by && d.leaf == leaf && d.generation == generation && now.Before(d.until)
}

// verify returns the verdict on the client certificate of r; nil when there is no certificate or no authority.
func (v *verifier) verify(r *http.Request, now time.Time) *verdict {
	if r.TLS == nil || len(r.TLS.PeerCertificates) == 0 {
		return nil
	}
	pool, generation := v.ca.Pool()
	if pool == nil {
		return nil
	}
	leaf := r.TLS.PeerCertificates[0]
	conn, kept := connectionFrom(r.Context())
	if kept {
		if d := v.slot(conn).Load(); d.holds(v, leaf, generation, now) {
			return d
		}
	}
	d := v.judge(leaf, r.TLS.PeerCertificates[1:], pool, now)
	d.generation = generation
	if kept {
		v.slot(conn).Store(d)
	}
	return d
}

func (v *verifier) judge(leaf *x509.Certificate, intermediates []*x509.Certificate, pool *x509.CertPool, now time.Time) *verdict {
	d := &verdict{by: v, leaf: leaf, until: now.Add(failureKept)}
	opts := x509.VerifyOptions{Roots: pool, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	if len(intermediates) > 0 {
		opts.Intermediates = x509.NewCertPool()
		for _, c := range intermediates {
			opts.Intermediates.AddCert(c)
		}
	}
	chains, err := leaf.Verify(opts)
	if err != nil {
		d.err = fmt.Errorf("verifying the client certificate with serial number %d: %w", leaf.SerialNumber, err)
		return d
	}
	d.response, d.err = v.identify(leaf)
	d.until = expiry(chains[0])
	return d
}

// expiry is the moment after which some certificate of the chain is no longer valid.
func expiry(chain []*x509.Certificate) time.Time {
	first := chain[0].NotAfter
	for _, c := range chain[1:] {
		if c.NotAfter.Before(first) {
			first = c.NotAfter
		}
	}
	return first
}
