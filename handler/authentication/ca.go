package authentication

import "crypto/x509"

// CASource is a bundle of certificate authorities that may change while the server runs.
type CASource interface {
	// Pool returns the current bundle and a number that differs whenever the bundle does. A nil pool
	// verifies nobody. The pool must not change afterwards.
	Pool() (pool *x509.CertPool, generation uint64)
}

// StaticCA is a bundle that never changes.
type StaticCA struct{ pool *x509.CertPool }

// NewStaticCA returns the bundle that is pool for ever.
func NewStaticCA(pool *x509.CertPool) StaticCA { return StaticCA{pool: pool} }

// Pool returns the bundle.
func (s StaticCA) Pool() (*x509.CertPool, uint64) { return s.pool, 0 }
