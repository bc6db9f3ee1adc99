package main

import (
	"net"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/pflag"
)

// parse returns the options that args say, or the mistake in them.
func parse(t *testing.T, args ...string) (*options, error) {
	t.Helper()
	var o options
	flags := pflag.NewFlagSet("serve", pflag.ContinueOnError)
	for _, group := range o.flagGroups() {
		group.add(flags)
	}
	if err := flags.Parse(args); err != nil {
		t.Fatal(err)
	}
	return &o, o.validate()
}

func TestAMistakeInAFlagIsNamed(t *testing.T) {
	for name, c := range map[string]struct{ args, want string }{
		"a username header that this proxy does not send": {"--requestheader-username-headers=X-User", "X-Remote-User"},
		"a group header that this proxy does not send":    {"--requestheader-group-headers=X-Group", "X-Remote-Group"},
		"a name that is none":                             {"--external-hostname=a b", "--external-hostname"},
		"a name with a port":                              {"--external-hostname=front.example.com:6443", "without a port"},
		"a proxy's authority without its certificate":     {"--requestheader-client-ca-file=ca.crt", "--proxy-client-cert-file"},
		"events that are gone at once":                    {"--event-ttl=0s", "--event-ttl"},
		"a negative limit":                                {"--max-requests-inflight=-1", "--max-requests-inflight"},
		"an unknown audit mode":                           {"--audit-webhook-mode=sometimes", "--audit-webhook-mode"},
		"an unknown audit version":                        {"--audit-log-version=audit.k8s.io/v1beta1", "audit.k8s.io/v1"},
		"an unknown audit format":                         {"--audit-log-format=xml", "legacy"},
		"a negative number of audit logs":                 {"--audit-log-maxbackup=-1", "--audit-log-maxbackup"},
		"no room for audit events":                        {"--audit-webhook-batch-buffer-size=0", "--audit-webhook-batch-buffer-size"},
		"a negative wait for audit events":                {"--audit-log-batch-max-wait=-1s", "--audit-log-batch-max-wait"},
		"a throttle that lets nothing through":            {"--audit-webhook-batch-throttle-qps=0", "--audit-webhook-batch-throttle-burst"},
		"a batch smaller than an event":                   {"--audit-webhook-truncate-max-batch-size=5", "--audit-webhook-truncate-max-event-size"},
		"no wait before trying again":                     {"--audit-webhook-initial-backoff=0s", "--audit-webhook-initial-backoff"},
		"no authorizer":                                   {"--authorization-mode=", "--authorization-mode"},
		"a key without its certificate":                   {"--proxy-client-key-file=k", "--proxy-client-cert-file"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := parse(t, c.args); err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("%s: got %v, want one line with %s", c.args, err, c.want)
			}
		})
	}
	if _, err := parse(t, "--requestheader-username-headers=x-remote-user,X-User"); err != nil {
		t.Errorf("a username header beside the usual one: %v", err)
	}
}

// Whoever may be believed about others must not be everybody, and must be this proxy.
func TestProxyTrustIsCheckedAtStart(t *testing.T) {
	dir := t.TempDir()
	made := func(name string) string { return filepath.Join(dir, "pki", name) }
	if _, err := identityOf(t, dir); err != nil {
		t.Fatalf("the defaults: %v", err)
	}
	for name, c := range map[string]struct {
		args []string
		want string // "" for no error
	}{
		"a name that is not this proxy's": {[]string{"--requestheader-allowed-names=other"}, `"front-proxy-client"`},
		"this proxy's among others":       {[]string{"--requestheader-allowed-names=other,front-proxy-client"}, ""},
		"every name":                      {[]string{"--requestheader-allowed-names="}, ""},
		"every name of the authority of users": {[]string{
			"--requestheader-allowed-names=", "--requestheader-client-ca-file=" + made("ca.crt"),
			"--proxy-client-cert-file=" + made("front-proxy-client.crt"), "--proxy-client-key-file=" + made("front-proxy-client.key"),
		}, "claim to be anybody"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := identityOf(t, dir, c.args...)
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("%q: got %v, want %q", c.args, err, c.want)
			}
		})
	}
}

func identityOf(t *testing.T, dir string, args ...string) (*identity, error) {
	t.Helper()
	o, err := parse(t, append(args, "--data-dir="+dir)...)
	if err != nil {
		t.Fatal(err)
	}
	return newIdentity(o)
}

func TestAddressesAreThoseThatCanBeReached(t *testing.T) {
	for bind, want := range map[string]string{
		"0.0.0.0":   "127.0.0.1:6443",
		"::":        "127.0.0.1:6443",
		"127.0.0.1": "127.0.0.1:6443",
		"::1":       "[::1]:6443",
		"192.0.2.7": "192.0.2.7:6443",
	} {
		if got := reachable(&net.TCPAddr{IP: net.ParseIP(bind), Port: 6443}); got != want {
			t.Errorf("bound to %s: reachable at %s, want %s", bind, got, want)
		}
	}
}

func TestTheCertificateIsForEachNameOnce(t *testing.T) {
	o, err := parse(t, "--external-hostname=front.example.com", "--bind-address=127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]int{}
	for _, host := range hosts(o) {
		seen[host]++
	}
	for _, want := range []string{"front.example.com", "localhost", "127.0.0.1", "::1", "kubernetes.default.svc"} {
		if seen[want] != 1 {
			t.Errorf("%s stands %d times in %v, want once", want, seen[want], seen)
		}
	}
	if seen[""] > 0 {
		t.Error("an empty name")
	}
}
