package pki

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"k8s.io/klog/v2"
)

// checkInterval is how often Run looks for certificates that end soon.
const checkInterval = time.Hour

// Config says where the files are and what the server is called.
type Config struct {
	// Dir holds the files; it is made with mode 0700.
	Dir string
	// Hosts are the names and addresses that clients may reach the server by.
	Hosts []string
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// PKI is a complete set of certificates and keys on disk.
type PKI struct {
	cfg Config

	// CA vouches for the server's certificate and for clients.
	CA Pair
	// Serving is the server's own certificate.
	Serving Pair
	// Admin is a client certificate of the group system:masters.
	Admin Pair
	// FrontProxyCA vouches for proxies that assert identities; FrontProxyClient is this server's own
	// certificate as such a proxy, which it shows to extension API servers.
	FrontProxyCA     Pair
	FrontProxyClient Pair
	// ServiceAccount signs tokens; its public half is in CertFile.
	ServiceAccount Pair
}

// Ensure returns the set in cfg.Dir: what is there and good is kept, what is missing or ends soon is
// made. An error names the file and what is wrong with it.
func Ensure(cfg Config) (*PKI, error) {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	pair := func(name string) Pair {
		return Pair{filepath.Join(cfg.Dir, name+".crt"), filepath.Join(cfg.Dir, name+".key")}
	}
	p := &PKI{
		cfg:              cfg,
		CA:               pair("ca"),
		Serving:          pair("apiserver"),
		Admin:            pair("admin"),
		FrontProxyCA:     pair("front-proxy-ca"),
		FrontProxyClient: pair("front-proxy-client"),
		ServiceAccount:   Pair{filepath.Join(cfg.Dir, "sa.pub"), filepath.Join(cfg.Dir, "sa.key")},
	}
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the directory of certificates: %w", err)
	}
	if _, err := p.renew(); err != nil {
		return nil, fmt.Errorf("%w (mend the file, or remove %s to have all certificates made anew; clients then need the new admin.kubeconfig)", err, cfg.Dir)
	}
	return p, nil
}

// Run renews certificates before they end, until ctx does. onRenewed is called after each round
// that made one.
func (p *PKI) Run(ctx context.Context, onRenewed func()) error {
	ticker := time.NewTicker(checkInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		made, err := p.renew()
		if err != nil {
			klog.FromContext(ctx).Error(err, "Renewing certificates; trying again", "in", checkInterval)
		}
		if made {
			onRenewed()
		}
	}
}

// renew makes every certificate that is missing or ends soon, and tells whether it made one.
func (p *PKI) renew() (made bool, err error) {
	now := p.cfg.Now()
	ca, err := ensureAuthority(p.CA, "portico-ca", now)
	if err != nil {
		return false, err
	}
	front, err := ensureAuthority(p.FrontProxyCA, "portico-front-proxy-ca", now)
	if err != nil {
		return false, err
	}
	for _, l := range []struct {
		by *authority
		leaf
	}{
		{ca, leaf{pair: p.Serving, name: "portico", hosts: p.cfg.Hosts}},
		{ca, leaf{pair: p.Admin, name: "portico-admin", groups: []string{"system:masters"}}},
		{front, leaf{pair: p.FrontProxyClient, name: "front-proxy-client"}},
	} {
		fresh, err := l.by.ensure(l.leaf, now)
		if err != nil {
			return made, err
		}
		made = made || fresh
	}
	return made, p.ensureServiceAccount()
}

// ensureServiceAccount makes the key that signs tokens, and writes its public half beside it.
func (p *PKI) ensureServiceAccount() error {
	key, err := ensureKey(p.ServiceAccount.KeyFile)
	if err != nil {
		return err
	}
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return fmt.Errorf("encoding %s: %w", p.ServiceAccount.CertFile, err)
	}
	public := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	if old, err := os.ReadFile(p.ServiceAccount.CertFile); err == nil && string(old) == string(public) {
		return nil
	}
	return WriteFile(p.ServiceAccount.CertFile, public, 0o644)
}
