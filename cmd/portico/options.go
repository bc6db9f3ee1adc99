package main

import (
	"crypto/tls"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/validation"
)

// options are the flags of serve. Names and defaults are kube-apiserver's where the meaning is the
// same (contract, section 12); where the default differs, the usage text says what it is.
type options struct {
	dataDir      string
	manifestsDir string

	bindAddress      string
	securePort       int
	externalHostname string
	tlsCertFile      string
	tlsKeyFile       string
	tlsMinVersion    string
	tlsCipherSuites  []string
	http2MaxStreams  int
	disableHTTP2     bool

	clientCAFile             string
	tokenAuthFile            string
	anonymousAuth            bool
	bootstrapTokenAuth       bool
	requestHeaderCAFile      string
	requestHeaderNames       []string
	requestHeaderUsername    []string
	requestHeaderUID         []string
	requestHeaderGroup       []string
	requestHeaderExtraPrefix []string
	authorizationModes       []string
	proxyClientCertFile      string
	proxyClientKeyFile       string

	store   storeOptions
	audit   auditOptions
	tokens  tokenOptions
	signing signingOptions

	maxRequestsInFlight         int
	maxMutatingRequestsInFlight int
	requestTimeout              time.Duration
	minRequestTimeout           int
	garbageCollector            bool
	workloadAPIs                bool
	eventTTL                    time.Duration
	shutdownDelay               time.Duration
	shutdownWatchGrace          time.Duration
	livezGrace                  time.Duration
	profiling                   bool
	logFormat                   string
	tracingConfigFile           string

	given map[string]string // every flag with its value, for /flagz
}

// defaultDataDir is where everything is kept unless --data-dir says otherwise.
const defaultDataDir = ".portico"

// tlsVersions are the values of --tls-min-version.
var tlsVersions = map[string]uint16{"VersionTLS12": tls.VersionTLS12, "VersionTLS13": tls.VersionTLS13}

// validate returns the first mistake, with the flag that it is in and what to do.
func (o *options) validate() error {
	if net.ParseIP(o.bindAddress) == nil {
		return fmt.Errorf("--bind-address %q is not an IP address: give one of this machine's, or 0.0.0.0 for all", o.bindAddress)
	}
	if o.securePort < 0 || o.securePort > 65535 {
		return fmt.Errorf("--secure-port %d is not a port: choose 1 to 65535, or 0 for a free one", o.securePort)
	}
	if _, ok := tlsVersions[o.tlsMinVersion]; !ok {
		return fmt.Errorf("--tls-min-version %q is unknown: choose VersionTLS12 or VersionTLS13", o.tlsMinVersion)
	}
	if _, err := o.cipherSuites(); err != nil {
		return err
	}
	for _, pair := range [][4]string{
		{"--tls-cert-file", o.tlsCertFile, "--tls-private-key-file", o.tlsKeyFile},
		{"--proxy-client-cert-file", o.proxyClientCertFile, "--proxy-client-key-file", o.proxyClientKeyFile},
	} {
		if (pair[1] == "") != (pair[3] == "") {
			return fmt.Errorf("%s and %s go together: give both or neither", pair[0], pair[2])
		}
	}
	if err := o.validateProxyTrust(); err != nil {
		return err
	}
	for _, mode := range o.authorizationModes {
		if !slices.Contains([]string{"RBAC", "AlwaysAllow", "AlwaysDeny"}, mode) {
			return fmt.Errorf("--authorization-mode %q is unknown: choose from RBAC, AlwaysAllow, AlwaysDeny", mode)
		}
	}
	if len(o.authorizationModes) == 0 {
		return fmt.Errorf("--authorization-mode is empty: choose from RBAC, AlwaysAllow, AlwaysDeny")
	}
	if err := o.store.validate(); err != nil {
		return err
	}
	for _, validate := range []func() error{o.tokens.validate, o.signing.validate, o.audit.validate, o.validateExternalHostname, o.validateLogs} {
		if err := validate(); err != nil {
			return err
		}
	}
	return o.validateLimits()
}

func (o *options) validateExternalHostname() error {
	host := o.externalHostname
	if host == "" || net.ParseIP(host) != nil || len(validation.IsDNS1123Subdomain(strings.ToLower(host))) == 0 {
		return nil
	}
	return fmt.Errorf("--external-hostname %q is no host name: give one such as front.example.com, or an IP address, without a port", host)
}

func (o *options) validateLimits() error {
	for flag, value := range map[string]int{
		"--max-requests-inflight":            o.maxRequestsInFlight,
		"--max-mutating-requests-inflight":   o.maxMutatingRequestsInFlight,
		"--http2-max-streams-per-connection": o.http2MaxStreams,
		"--min-request-timeout":              o.minRequestTimeout,
	} {
		if value < 0 {
			return fmt.Errorf("%s %d is negative: choose 0 or more", flag, value)
		}
	}
	for flag, value := range map[string]time.Duration{
		"--shutdown-delay-duration":                 o.shutdownDelay,
		"--shutdown-watch-termination-grace-period": o.shutdownWatchGrace,
		"--livez-grace-period":                      o.livezGrace,
	} {
		if value < 0 {
			return fmt.Errorf("%s %v is negative: choose 0s or more", flag, value)
		}
	}
	if o.eventTTL < time.Second {
		return fmt.Errorf("--event-ttl %v is too short: choose 1s or more", o.eventTTL)
	}
	if o.requestTimeout <= 0 {
		return fmt.Errorf("--request-timeout %v leaves no time for a request: choose more than 0s", o.requestTimeout)
	}
	return nil
}

// cipherSuites returns the numbers of --tls-cipher-suites. Only suites that Go holds to be secure
// have a name here.
func (o *options) cipherSuites() ([]uint16, error) {
	var ids []uint16
	for _, name := range o.tlsCipherSuites {
		i := slices.IndexFunc(tls.CipherSuites(), func(suite *tls.CipherSuite) bool { return suite.Name == name })
		if i < 0 {
			return nil, fmt.Errorf("--tls-cipher-suites %q is unknown or insecure: use names such as %s", name, tls.CipherSuites()[len(tls.CipherSuites())-1].Name)
		}
		ids = append(ids, tls.CipherSuites()[i].ID)
	}
	return ids, nil
}
