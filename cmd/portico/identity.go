package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"k8s.io/klog/v2"

	"github.com/portico-api/portico/delegation"
	"github.com/portico-api/portico/delegation/core"
	"github.com/portico-api/portico/serving"
	"github.com/portico-api/portico/serving/pki"
)

// identity is every certificate and authority the server works with: those given by flags, else
// those made in the data directory. It tells others what to trust, and keeps up with the files.
type identity struct {
	pki             *pki.PKI
	servingCA       *serving.CAFile // vouches for the serving certificate
	serving         *serving.CertFile
	clientCA        *serving.CAFile
	requestHeaderCA *serving.CAFile
	proxyClient     *serving.CertFile
	files           *serving.Files // all of those
	opts            *options

	mu     sync.Mutex
	notify []func()
}

// newIdentity reads what the flags name and makes the rest.
func newIdentity(o *options) (*identity, error) {
	made, err := pki.Ensure(pki.Config{Dir: filepath.Join(o.dataDir, "pki"), Hosts: hosts(o)})
	if err != nil {
		return nil, fmt.Errorf("preparing certificates: %w", err)
	}
	id := &identity{pki: made, opts: o}
	servingPair, servingCA := made.Serving, made.CA.CertFile
	if o.tlsCertFile != "" {
		servingPair = pki.Pair{CertFile: o.tlsCertFile, KeyFile: o.tlsKeyFile}
		servingCA = o.tlsCertFile // self-signed, or with its chain
	}
	proxyPair := made.FrontProxyClient
	if o.proxyClientCertFile != "" {
		proxyPair = pki.Pair{CertFile: o.proxyClientCertFile, KeyFile: o.proxyClientKeyFile}
	}
	if id.serving, err = serving.NewCertFile(servingPair.CertFile, servingPair.KeyFile); err != nil {
		return nil, fmt.Errorf("--tls-cert-file: %w", err)
	}
	if id.proxyClient, err = serving.NewCertFile(proxyPair.CertFile, proxyPair.KeyFile); err != nil {
		return nil, fmt.Errorf("--proxy-client-cert-file: %w", err)
	}
	if id.servingCA, err = serving.NewCAFile(servingCA); err != nil {
		return nil, fmt.Errorf("--tls-cert-file: %w", err)
	}
	if id.clientCA, err = serving.NewCAFile(or(o.clientCAFile, made.CA.CertFile)); err != nil {
		return nil, fmt.Errorf("--client-ca-file: %w", err)
	}
	if id.requestHeaderCA, err = serving.NewCAFile(or(o.requestHeaderCAFile, made.FrontProxyCA.CertFile)); err != nil {
		return nil, fmt.Errorf("--requestheader-client-ca-file: %w", err)
	}
	id.files = serving.NewFiles(id.serving, id.proxyClient, id.servingCA, id.clientCA, id.requestHeaderCA)
	return id, id.checkProxyTrust()
}

// adminKubeconfig is the administrator's file in the data directory.
const adminKubeconfig = "admin.kubeconfig"

// writeKubeconfig writes the administrator's kubeconfig for a server at url, and returns its file.
// There is none when somebody else's authority vouches for clients: it did not sign ours.
func (id *identity) writeKubeconfig(url string) (string, error) {
	if id.opts.clientCAFile != "" {
		return "", nil
	}
	file := filepath.Join(id.opts.dataDir, adminKubeconfig)
	kubeconfig := pki.Kubeconfig{Server: url, CAFile: or(id.opts.tlsCertFile, id.pki.CA.CertFile), Client: id.pki.Admin}
	return file, kubeconfig.Write(file)
}

// Trust implements core.TrustSource.
func (id *identity) Trust() core.Trust {
	trust := core.Trust{
		UsernameHeaders:     id.opts.requestHeaderUsername,
		UIDHeaders:          id.opts.requestHeaderUID,
		GroupHeaders:        id.opts.requestHeaderGroup,
		ExtraHeaderPrefixes: id.opts.requestHeaderExtraPrefix,
		AllowedNames:        id.opts.requestHeaderNames,
	}
	_, trust.ServingCA = id.servingCA.Bundle()
	_, trust.ClientCA = id.clientCA.Bundle()
	_, trust.RequestHeaderCA = id.requestHeaderCA.Bundle()
	return trust
}

// OnTrustChange implements core.TrustSource.
func (id *identity) OnTrustChange(notify func()) {
	id.mu.Lock()
	defer id.mu.Unlock()
	id.notify = append(id.notify, notify)
}

// run renews what was made here and rereads what may have been replaced, until ctx ends.
func (id *identity) run(ctx context.Context, url string) error {
	var renewing sync.WaitGroup
	renewing.Go(func() {
		_ = id.pki.Run(ctx, func() { id.renewed(ctx, url) })
	})
	defer renewing.Wait()
	return id.files.Run(ctx, id.tell)
}

// renewed puts fresh certificates to use at once, the administrator's included.
func (id *identity) renewed(ctx context.Context, url string) {
	if id.files.Reload(ctx) {
		id.tell()
	}
	if _, err := id.writeKubeconfig(url); err != nil {
		klog.FromContext(ctx).Error(err, "Writing the administrator's kubeconfig with a renewed certificate")
	}
}

// healthChecks are about what a restart would make anew. A certificate that was given is not: an alert tells of that.
func (id *identity) healthChecks() []delegation.HealthCheck {
	if id.opts.tlsCertFile != "" {
		return nil
	}
	return []delegation.HealthCheck{{Name: "loopback-serving-certificate", Check: func(context.Context) error {
		if end := id.serving.Current().Leaf.NotAfter; time.Now().After(end) {
			return fmt.Errorf("the serving certificate expired on %s", end.Format(time.DateOnly))
		}
		return nil
	}}}
}

// tell has everybody who asked for it look at what has changed.
func (id *identity) tell() {
	id.mu.Lock()
	defer id.mu.Unlock()
	for _, notify := range id.notify {
		notify()
	}
}

// hosts are the names and addresses that clients may reach the server by.
func hosts(o *options) []string {
	names := []string{
		"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local",
		"127.0.0.1", "::1", o.externalHostname,
	}
	if name, err := os.Hostname(); err == nil {
		names = append(names, name)
	}
	names = append(names, boundAddresses(o.bindAddress)...)
	slices.Sort(names)
	return slices.DeleteFunc(slices.Compact(names), func(name string) bool { return name == "" })
}

// boundAddresses are the addresses that bind stands for: all of this machine's if it says none.
func boundAddresses(bind string) []string {
	if !net.ParseIP(bind).IsUnspecified() {
		return []string{bind}
	}
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		return nil
	}
	var out []string
	for _, address := range addresses {
		if network, ok := address.(*net.IPNet); ok && !network.IP.IsLinkLocalUnicast() {
			out = append(out, network.IP.String())
		}
	}
	return out
}

func or(given, otherwise string) string {
	if given != "" {
		return given
	}
	return otherwise
}

// proxyClientCert is what this front door shows to extension API servers.
func (id *identity) proxyClientCert() (*tls.Certificate, error) { return id.proxyClient.Current(), nil }
