package serving

import (
	"crypto/tls"
	"crypto/x509"
	"sync"
)

// CABundle is a set of authorities that may change while the server runs.
type CABundle interface {
	// Bundle returns the authorities, as a pool and as PEM.
	Bundle() (*x509.CertPool, []byte)
	// Generation changes whenever the bundle does.
	Generation() uint64
}

// tlsConfig returns the configuration of all handshakes.
func (s *SecureServingInfo) tlsConfig() *tls.Config {
	c := &tls.Config{
		MinVersion:     max(s.MinTLSVersion, tls.VersionTLS12),
		CipherSuites:   s.CipherSuites,
		NextProtos:     []string{"h2", "http/1.1"},
		ClientAuth:     tls.RequestClientCert,
		GetCertificate: s.certificateFor,
	}
	if s.DisableHTTP2 {
		c.NextProtos = []string{"http/1.1"}
	}
	if len(s.ClientCAs) > 0 {
		named := &namedAuthorities{base: c, bundles: s.ClientCAs}
		outer := c.Clone()
		outer.GetConfigForClient = named.config
		return outer
	}
	return c
}

// certificateFor chooses by the name that the client asks for.
func (s *SecureServingInfo) certificateFor(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	if hello.ServerName != "" {
		for _, sni := range s.SNICerts {
			if c := sni.Current(); c != nil && c.Leaf != nil && c.Leaf.VerifyHostname(hello.ServerName) == nil {
				return c, nil
			}
		}
	}
	return s.Cert.Current(), nil
}

// namedAuthorities keeps the configuration that names the present client CAs. It lives as long as
// they do: session tickets are bound to it, and a new one for each client would end resumption.
type namedAuthorities struct {
	base    *tls.Config
	bundles []CABundle

	mu         sync.Mutex
	generation uint64
	current    *tls.Config
}

func (n *namedAuthorities) config(*tls.ClientHelloInfo) (*tls.Config, error) {
	var generation uint64
	for _, b := range n.bundles {
		generation += b.Generation()
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.current == nil || n.generation != generation {
		n.current, n.generation = n.base.Clone(), generation
		n.current.ClientCAs = x509.NewCertPool()
		for _, b := range n.bundles {
			_, pem := b.Bundle()
			n.current.ClientCAs.AppendCertsFromPEM(pem)
		}
	}
	return n.current, nil
}
