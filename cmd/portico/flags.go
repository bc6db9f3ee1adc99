package main

import (
	"flag"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"k8s.io/klog/v2"
)

// helpWidth is where lines of a help text are wrapped.
const helpWidth = 110

// flagGroup is the flags that are about one thing.
type flagGroup struct {
	about string
	add   func(*pflag.FlagSet)
}

// flagGroups declares the flags of serve, with their defaults, in the order of the help text.
func (o *options) flagGroups() []flagGroup {
	return []flagGroup{
		{"Data", o.addDataFlags},
		{"Listening", o.addServingFlags},
		{"Users", o.addUserFlags},
		{"Service accounts", o.tokens.addFlags},
		{"Certificates for users", o.signing.addFlags},
		{"Extension API servers", o.addBackendFlags},
		{"Limits", o.addLimitFlags},
		{"Start and end", o.addLifeFlags},
		{"Audit trail", o.audit.addFlags},
		{"Logs, traces and profiles", o.addLogFlags},
	}
}

// addGroups gives command the flags of groups and a help text that keeps them together.
func addGroups(command *cobra.Command, groups []flagGroup) {
	var help strings.Builder
	for _, group := range groups {
		flags := pflag.NewFlagSet(group.about, pflag.ContinueOnError)
		flags.SortFlags = false
		group.add(flags)
		command.Flags().AddFlagSet(flags)
		fmt.Fprintf(&help, "\n%s:\n%s", group.about, flags.FlagUsagesWrapped(helpWidth))
	}
	command.SetUsageFunc(func(c *cobra.Command) error {
		_, err := fmt.Fprintf(c.OutOrStderr(), "Usage:\n  %s\n%s", c.UseLine(), help.String())
		return err
	})
}

// given returns every flag with its value. None holds a secret: those are in files, and the flags name the files.
func given(flags *pflag.FlagSet) map[string]string {
	values := map[string]string{}
	flags.VisitAll(func(f *pflag.Flag) { values[f.Name] = f.Value.String() })
	return values
}

func (o *options) addDataFlags(flags *pflag.FlagSet) {
	flags.StringVar(&o.dataDir, "data-dir", defaultDataDir, "Directory for the embedded store, the certificates made on the first start and admin.kubeconfig.")
	flags.StringVar(&o.manifestsDir, "manifests-dir", "", "Folder of manifests (.yaml, .yml, .json) that are applied at the start, with the folders in it and in the order of their paths; what begins with a dot is left out. What another has set otherwise is taken over; what is not in the folder any more stays.")
	o.store.addFlags(flags)
	flags.BoolVar(&o.garbageCollector, "enable-garbage-collector", true, "Delete objects whose owners are gone, and finish deletions that wait for their dependents.")
	flags.BoolVar(&o.workloadAPIs, "workload-apis", false, "Serve pods, nodes, apps, batch, networking.k8s.io, policy, autoscaling, storage.k8s.io, scheduling.k8s.io and node.k8s.io as data that nobody runs.")
	flags.DurationVar(&o.eventTTL, "event-ttl", time.Hour, "How long an event is kept after its last write.")
}

func (o *options) addServingFlags(flags *pflag.FlagSet) {
	flags.StringVar(&o.bindAddress, "bind-address", "127.0.0.1", "IP address to listen on; 0.0.0.0 or :: for all interfaces.")
	flags.IntVar(&o.securePort, "secure-port", 6443, "Port to listen on; 0 chooses a free one.")
	flags.StringVar(&o.externalHostname, "external-hostname", "", "Name that clients reach this server by; the certificate made on the first start holds it.")
	flags.StringVar(&o.tlsCertFile, "tls-cert-file", "", "PEM file with the serving certificate and its chain, instead of one made in the data directory. Reloaded when it changes.")
	flags.StringVar(&o.tlsKeyFile, "tls-private-key-file", "", "PEM file with the key of --tls-cert-file.")
	flags.StringVar(&o.tlsMinVersion, "tls-min-version", "VersionTLS12", "Oldest TLS version that is accepted: VersionTLS12 or VersionTLS13.")
	flags.StringSliceVar(&o.tlsCipherSuites, "tls-cipher-suites", nil, "Cipher suites for TLS 1.2, by their Go names; empty for Go's choice.")
	flags.IntVar(&o.http2MaxStreams, "http2-max-streams-per-connection", 0, "Requests at a time on one HTTP/2 connection; 0 for 100.")
	flags.BoolVar(&o.disableHTTP2, "disable-http2-serving", false, "Serve HTTP/1.1 only.")
}

func (o *options) addUserFlags(flags *pflag.FlagSet) {
	flags.StringVar(&o.clientCAFile, "client-ca-file", "", "PEM file with the authorities whose client certificates name a user, instead of the one made in the data directory. Reloaded when it changes.")
	flags.StringVar(&o.tokenAuthFile, "token-auth-file", "", "CSV file of bearer tokens: token,user,uid,\"group1,group2\". Read at the start only.")
	flags.BoolVar(&o.bootstrapTokenAuth, "enable-bootstrap-token-auth", false, "Let in who shows a token of a secret of type bootstrap.kubernetes.io/token in kube-system, and delete those that have ended.")
	flags.BoolVar(&o.anonymousAuth, "anonymous-auth", true, "Let requests without a credential read the health checks and the version, and nothing else.")
	flags.StringSliceVar(&o.authorizationModes, "authorization-mode", []string{"RBAC"}, "Authorizers to ask, in order: RBAC, AlwaysAllow, AlwaysDeny.")
	flags.StringVar(&o.requestHeaderCAFile, "requestheader-client-ca-file", "", "PEM file with the authorities of proxies that may assert identities in headers, instead of the one made in the data directory.")
	flags.StringSliceVar(&o.requestHeaderNames, "requestheader-allowed-names", []string{"front-proxy-client"}, "Common names of the certificates that may assert identities; empty for every certificate of that authority.")
	flags.StringSliceVar(&o.requestHeaderUsername, "requestheader-username-headers", []string{"X-Remote-User"}, "Headers that hold the user's name.")
	flags.StringSliceVar(&o.requestHeaderUID, "requestheader-uid-headers", []string{"X-Remote-Uid"}, "Headers that hold the user's UID.")
	flags.StringSliceVar(&o.requestHeaderGroup, "requestheader-group-headers", []string{"X-Remote-Group"}, "Headers that hold the user's groups.")
	flags.StringSliceVar(&o.requestHeaderExtraPrefix, "requestheader-extra-headers-prefix", []string{"X-Remote-Extra-"}, "Prefixes of the headers that hold more about the user.")
}

func (o *options) addBackendFlags(flags *pflag.FlagSet) {
	flags.StringVar(&o.proxyClientCertFile, "proxy-client-cert-file", "", "PEM file with the certificate shown to extension API servers, instead of one made in the data directory. Reloaded when it changes.")
	flags.StringVar(&o.proxyClientKeyFile, "proxy-client-key-file", "", "PEM file with the key of --proxy-client-cert-file.")
}

func (o *options) addLimitFlags(flags *pflag.FlagSet) {
	flags.IntVar(&o.maxRequestsInFlight, "max-requests-inflight", 400, "Reading requests at a time; 0 for no limit.")
	flags.IntVar(&o.maxMutatingRequestsInFlight, "max-mutating-requests-inflight", 200, "Writing requests at a time; 0 for no limit.")
	flags.DurationVar(&o.requestTimeout, "request-timeout", time.Minute, "Deadline of every request that is not a watch or another stream.")
	flags.IntVar(&o.minRequestTimeout, "min-request-timeout", 1800, "Seconds that a watch lives at least, when it does not say itself how long; 0 for 1800.")
}

func (o *options) addLifeFlags(flags *pflag.FlagSet) {
	flags.DurationVar(&o.livezGrace, "livez-grace-period", 0, "How long /livez tolerates a start that is not finished.")
	flags.DurationVar(&o.shutdownDelay, "shutdown-delay-duration", 0, "How long to go on serving, with /readyz failing, after the signal to stop.")
	flags.DurationVar(&o.shutdownWatchGrace, "shutdown-watch-termination-grace-period", 0, "How long watches may take to end when stopping; 0s for 15s.")
}

// addLogFlags adds the flags of klog that are of use to whoever runs a server.
func (o *options) addLogFlags(flags *pflag.FlagSet) {
	all := flag.NewFlagSet("klog", flag.ContinueOnError)
	klog.InitFlags(all)
	for _, kept := range []struct{ name, usage string }{
		{"v", "How much to log: 0 for what an operator wants to know, 2 for what changes, 3 for every request, 5 for every decision."},
		{"vmodule", "How much to log in single source files: file=2,other*=5."},
	} {
		f := all.Lookup(kept.name)
		f.Usage = kept.usage
		flags.AddGoFlag(f)
	}
	flags.StringVar(&o.logFormat, "logging-format", logText, "Form of the log on standard error: text, or json with an object on each line.")
	flags.StringVar(&o.tracingConfigFile, "tracing-config-file", "", "File with a TracingConfiguration of apiserver.config.k8s.io: where to send traces, and of how many requests.")
	flags.BoolVar(&o.profiling, "profiling", true, "Serve /debug/pprof, and /debug/flags/v which sets --v while it runs, to administrators.")
}
