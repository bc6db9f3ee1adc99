package main

import (
	"crypto/x509"
	"encoding/pem"
	"time"

	"github.com/portico-api/portico/metrics"
	"github.com/portico-api/portico/serving"
)

// show tells metrics when what the server works with ends: whatever is in use at the time of a scrape.
func (id *identity) show(m *metrics.Certificates) {
	for name, pair := range map[string]*serving.CertFile{"serving": id.serving, "proxy-client": id.proxyClient} {
		m.Show(name, func() time.Time { return pair.Current().Leaf.NotAfter })
	}
	for name, authority := range map[string]*serving.CAFile{"client-ca": id.clientCA, "requestheader-client-ca": id.requestHeaderCA} {
		m.Show(name, func() time.Time {
			_, bundle := authority.Bundle()
			return firstEnd(bundle)
		})
	}
}

// firstEnd is when the first of the certificates in a PEM file ends, zero when there is none.
func firstEnd(bundle []byte) time.Time {
	var first time.Time
	for block, rest := pem.Decode(bundle); block != nil; block, rest = pem.Decode(rest) {
		cert, err := x509.ParseCertificate(block.Bytes)
		if err == nil && (first.IsZero() || cert.NotAfter.Before(first)) {
			first = cert.NotAfter
		}
	}
	return first
}
