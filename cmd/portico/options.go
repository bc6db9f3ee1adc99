package main

import (
	"crypto/tls"
	"fmt"
	"net"
	"slices"
	"time"

	"github.com/spf13/pflag"
)

// options are the flags of serve. Names and defaults are kube-apiserver's where the meaning is the
// same (contract, section 12); where the default differs, the usage text says what it is.
type options struct {
	dataDir string

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
	requestHeaderCAFile      string
	requestHeaderNames       []string
	requestHeaderUsername    []string
	requestHeaderUID         []string
	requestHeaderGroup       []string
	requestHeaderExtraPrefix []string
	authorizationModes       []string
	proxyClientCertFile      string
	proxyClientKeyFile       string

	store storeOptions

	maxRequestsInFlight         int
	maxMutatingRequestsInFlight int
	requestTimeout              time.Duration
	minRequestTimeout           int
	eventTTL                    time.Duration
	shutdownDelay               time.Duration
	shutdownWatchGrace          time.Duration
	livezGrace                  time.Duration
	profiling                   bool
}

// defaultDataDir is where everything is kept unless --data-dir says otherwise.
const defaultDataDir = ".portico"

// tlsVersions are the values of --tls-min-version.
var tlsVersions = map[string]uint16{"VersionTLS12": tls.VersionTLS12, "VersionTLS13": tls.VersionTLS13}

// addFlags declares the flags with their defaults.
func (o *options) addFlags(flags *pflag.FlagSet) {
	flags.StringVar(&o.dataDir, "data-dir", defaultDataDir, "Directory for the embedded store, the certificates made on the first start and admin.kubeconfig.")

	flags.StringVar(&o.bindAddress, "bind-address", "127.0.0.1", "IP address to listen on; 0.0.0.0 or :: for all interfaces.")
	flags.IntVar(&o.securePort, "secure-port", 6443, "Port to listen on; 0 chooses a free one.")
	flags.StringVar(&o.externalHostname, "external-hostname", "", "Name that clients reach this server by; the certificate made on the first start holds it.")
	flags.StringVar(&o.tlsCertFile, "tls-cert-file", "", "PEM file with the serving certificate and its chain, instead of one made in the data directory. Reloaded when it changes.")
	flags.StringVar(&o.tlsKeyFile, "tls-private-key-file", "", "PEM file with the key of --tls-cert-file.")
	flags.StringVar(&o.tlsMinVersion, "tls-min-version", "VersionTLS12", "Oldest TLS version that is accepted: VersionTLS12 or VersionTLS13.")
	flags.StringSliceVar(&o.tlsCipherSuites, "tls-cipher-suites", nil, "Cipher suites for TLS 1.2, by their Go names; empty for Go's choice.")
	flags.IntVar(&o.http2MaxStreams, "http2-max-streams-per-connection", 0, "Requests at a time on one HTTP/2 connection; 0 for 100.")
	flags.BoolVar(&o.disableHTTP2, "disable-http2-serving", false, "Serve HTTP/1.1 only.")

	flags.StringVar(&o.clientCAFile, "client-ca-file", "", "PEM file with the authorities whose client certificates name a user, instead of the one made in the data directory. Reloaded when it changes.")
	flags.StringVar(&o.tokenAuthFile, "token-auth-file", "", "CSV file of bearer tokens: token,user,uid,\"group1,group2\".")
	flags.BoolVar(&o.anonymousAuth, "anonymous-auth", true, "Let requests without a credential read the health checks and the version, and nothing else.")
	flags.StringVar(&o.requestHeaderCAFile, "requestheader-client-ca-file", "", "PEM file with the authorities of proxies that may assert identities in headers, instead of the one made in the data directory.")
	flags.StringSliceVar(&o.requestHeaderNames, "requestheader-allowed-names", []string{"front-proxy-client"}, "Common names of the certificates that may assert identities; empty for every certificate of that authority.")
	flags.StringSliceVar(&o.requestHeaderUsername, "requestheader-username-headers", []string{"X-Remote-User"}, "Headers that hold the user's name.")
	flags.StringSliceVar(&o.requestHeaderUID, "requestheader-uid-headers", []string{"X-Remote-Uid"}, "Headers that hold the user's UID.")
	flags.StringSliceVar(&o.requestHeaderGroup, "requestheader-group-headers", []string{"X-Remote-Group"}, "Headers that hold the user's groups.")
	flags.StringSliceVar(&o.requestHeaderExtraPrefix, "requestheader-extra-headers-prefix", []string{"X-Remote-Extra-"}, "Prefixes of the headers that hold more about the user.")
	flags.StringSliceVar(&o.authorizationModes, "authorization-mode", []string{"RBAC"}, "Authorizers to ask, in order: RBAC, AlwaysAllow, AlwaysDeny.")
	flags.StringVar(&o.proxyClientCertFile, "proxy-client-cert-file", "", "PEM file with the certificate shown to extension API servers, instead of one made in the data directory. Reloaded when it changes.")
	flags.StringVar(&o.proxyClientKeyFile, "proxy-client-key-file", "", "PEM file with the key of --proxy-client-cert-file.")

	o.store.addFlags(flags)

	flags.IntVar(&o.maxRequestsInFlight, "max-requests-inflight", 400, "Reading requests at a time; 0 for no limit.")
	flags.IntVar(&o.maxMutatingRequestsInFlight, "max-mutating-requests-inflight", 200, "Writing requests at a time; 0 for no limit.")
	flags.DurationVar(&o.requestTimeout, "request-timeout", time.Minute, "Deadline of every request that is not a watch or another stream.")
	flags.IntVar(&o.minRequestTimeout, "min-request-timeout", 1800, "Seconds that a watch lives at least, when it does not say itself how long; 0 for 1800.")
	flags.DurationVar(&o.eventTTL, "event-ttl", time.Hour, "How long an event is kept after its last write.")
	flags.DurationVar(&o.shutdownDelay, "shutdown-delay-duration", 0, "How long to go on serving, with /readyz failing, after the signal to stop.")
	flags.DurationVar(&o.shutdownWatchGrace, "shutdown-watch-termination-grace-period", 0, "How long the ends of the watches are spread over when stopping.")
	flags.DurationVar(&o.livezGrace, "livez-grace-period", 0, "How long /livez tolerates a start that is not finished.")
	flags.BoolVar(&o.profiling, "profiling", true, "Serve /debug/pprof to administrators.")
}

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
	return o.validateLimits()
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
