package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"
	"k8s.io/klog/v2"

	"github.com/portico-api/portico/delegation"
	"github.com/portico-api/portico/handler/audit"
	"github.com/portico-api/portico/metrics"
)

// auditOptions are the flags that say what is written down of requests, and where.
type auditOptions struct {
	policyFile string

	logPath   string
	logFormat string
	rotation  audit.Rotation
	log       backendOptions

	webhookFile    string
	webhookBackoff time.Duration
	webhook        backendOptions
}

// backendOptions are the flags that the log and the webhook have in common.
type backendOptions struct {
	prefix   string // of the flags: --audit-log, --audit-webhook
	mode     string
	version  string
	batching audit.Batching
	throttle bool
	truncate bool
	maxEvent int
	maxBatch int
}

const (
	auditVersion = "audit.k8s.io/v1"
	standardOut  = "-"
)

func (o *auditOptions) addFlags(flags *pflag.FlagSet) {
	flags.StringVar(&o.policyFile, "audit-policy-file", "", "File with a Policy of audit.k8s.io/v1: what is written down of which requests. Without one nothing is.")
	flags.StringVar(&o.logPath, "audit-log-path", "", "File that audit events are written to, a new one with mode 0600; - for standard output, which then has nothing else.")
	flags.IntVar(&o.rotation.MaxMegabytes, "audit-log-maxsize", 100, "Megabytes after which a new audit log begins; 0 for 100.")
	flags.IntVar(&o.rotation.MaxDays, "audit-log-maxage", 366, "Days that old audit logs are kept; 0 for ever.")
	flags.IntVar(&o.rotation.MaxBackups, "audit-log-maxbackup", 100, "How many old audit logs are kept; 0 for all.")
	flags.BoolVar(&o.rotation.Compress, "audit-log-compress", false, "Compress old audit logs with gzip.")
	flags.StringVar(&o.logFormat, "audit-log-format", string(audit.JSON), "Form of the audit log: json with an Event on each line, or legacy with its main things as text.")
	o.log = backendOptions{prefix: "audit-log", mode: string(audit.Blocking), batching: audit.Batching{BufferSize: 10000, MaxSize: 1}}
	o.log.addFlags(flags)
	flags.StringVar(&o.webhookFile, "audit-webhook-config-file", "", "Kubeconfig file of a server that audit events are sent to.")
	flags.DurationVar(&o.webhookBackoff, "audit-webhook-initial-backoff", 10*time.Second, "How long to wait before events are sent again that could not be; later waits are longer.")
	o.webhook = backendOptions{prefix: "audit-webhook", mode: string(audit.Batch), throttle: true,
		batching: audit.Batching{BufferSize: 10000, MaxSize: 400, MaxWait: 30 * time.Second, QPS: 10, Burst: 15}}
	o.webhook.addFlags(flags)
}

// addFlags adds flags with what o holds as defaults.
func (o *backendOptions) addFlags(flags *pflag.FlagSet) {
	name := func(rest string) string { return o.prefix + "-" + rest }
	b := &o.batching
	flags.StringVar(&o.mode, name("mode"), o.mode, "blocking makes each request wait for its events, blocking-strict refuses requests that cannot be written down, and batch does neither: what does not fit into the buffer is lost.")
	flags.IntVar(&b.BufferSize, name("batch-buffer-size"), b.BufferSize, "Events that are kept in memory at most, in batch mode.")
	flags.IntVar(&b.MaxSize, name("batch-max-size"), b.MaxSize, "Events that are handed on together at most, in batch mode.")
	flags.DurationVar(&b.MaxWait, name("batch-max-wait"), b.MaxWait, "How long events are collected, in batch mode.")
	flags.BoolVar(&o.throttle, name("batch-throttle-enable"), o.throttle, "Limit the batches per second, in batch mode.")
	flags.Float64Var(&b.QPS, name("batch-throttle-qps"), b.QPS, "Batches per second at most, in the long run.")
	flags.IntVar(&b.Burst, name("batch-throttle-burst"), b.Burst, "Batches at once after a pause.")
	flags.BoolVar(&o.truncate, name("truncate-enabled"), false, "Leave the bodies out of events that are too large.")
	flags.IntVar(&o.maxEvent, name("truncate-max-event-size"), 100<<10, "Bytes that an event may have, when they are left out.")
	flags.IntVar(&o.maxBatch, name("truncate-max-batch-size"), 10<<20, "Bytes that the events of a batch may have together, when they are left out.")
	flags.StringVar(&o.version, name("version"), auditVersion, "Version in which events are written. There is one.")
}

func (o *auditOptions) validate() error {
	if formats := []string{string(audit.JSON), string(audit.Legacy)}; !slices.Contains(formats, o.logFormat) {
		return fmt.Errorf("--audit-log-format %q is unknown: choose from %s", o.logFormat, strings.Join(formats, ", "))
	}
	for flag, value := range map[string]int{
		"--audit-log-maxsize": o.rotation.MaxMegabytes, "--audit-log-maxage": o.rotation.MaxDays, "--audit-log-maxbackup": o.rotation.MaxBackups,
	} {
		if value < 0 {
			return fmt.Errorf("%s %d is negative: choose 0 or more", flag, value)
		}
	}
	if o.webhookBackoff <= 0 {
		return fmt.Errorf("--audit-webhook-initial-backoff %v is no time to wait: choose more than 0s", o.webhookBackoff)
	}
	if err := o.log.validate(); err != nil {
		return err
	}
	return o.webhook.validate()
}

func (o *backendOptions) validate() error {
	modes := []string{string(audit.Batch), string(audit.Blocking), string(audit.BlockingStrict)}
	if !slices.Contains(modes, o.mode) {
		return fmt.Errorf("--%s-mode %q is unknown: choose from %s", o.prefix, o.mode, strings.Join(modes, ", "))
	}
	if o.version != auditVersion {
		return fmt.Errorf("--%s-version %q is unknown: the only one is %s", o.prefix, o.version, auditVersion)
	}
	b := &o.batching
	for flag, value := range map[string]int{"batch-buffer-size": b.BufferSize, "batch-max-size": b.MaxSize, "truncate-max-event-size": o.maxEvent, "truncate-max-batch-size": o.maxBatch} {
		if value < 1 {
			return fmt.Errorf("--%s-%s %d is too small: choose 1 or more", o.prefix, flag, value)
		}
	}
	if b.MaxWait < 0 {
		return fmt.Errorf("--%s-batch-max-wait %v is negative: choose 0s or more", o.prefix, b.MaxWait)
	}
	if o.mode == string(audit.Batch) && o.throttle && (b.QPS <= 0 || b.Burst < 1) {
		return fmt.Errorf("--%s-batch-throttle-qps %v and --%s-batch-throttle-burst %d let nothing through: choose more than 0 of both", o.prefix, b.QPS, o.prefix, b.Burst)
	}
	if o.maxBatch < o.maxEvent {
		return fmt.Errorf("--%s-truncate-max-batch-size %d is smaller than --%s-truncate-max-event-size %d: choose as much or more", o.prefix, o.maxBatch, o.prefix, o.maxEvent)
	}
	return nil
}

func (o *backendOptions) config(m *metrics.Audit) audit.Config {
	c := audit.Config{Mode: audit.Mode(o.mode), Batching: o.batching, Metrics: m}
	if !o.throttle {
		c.Batching.QPS = 0
	}
	if o.truncate {
		c.MaxEventSize, c.MaxBatchSize = o.maxEvent, o.maxBatch
	}
	return c
}

// takesOut tells whether audit events go to standard output.
func (o *auditOptions) takesOut() bool { return o.logPath == standardOut }

// auditor is what writes down what the flags say; nil for nothing. out is standard output.
func (o *auditOptions) auditor(ctx context.Context, out io.Writer, m *metrics.Audit) (*audit.Auditor, error) {
	places := o.logPath != "" || o.webhookFile != ""
	switch {
	case o.policyFile == "" && places:
		klog.Warning("No audit events are written: --audit-policy-file does not say which")
		return nil, nil
	case o.policyFile == "":
		return nil, nil
	}
	policy, err := audit.ReadPolicy(o.policyFile)
	if err != nil {
		return nil, fmt.Errorf("--audit-policy-file: %w", err)
	}
	for _, doubt := range policy.Doubts() {
		klog.Warningf("--audit-policy-file: in %s, %s", o.policyFile, doubt)
	}
	if !places {
		klog.Warning("No audit events are written: neither --audit-log-path nor --audit-webhook-config-file says where")
		return nil, nil
	}
	var backends []*audit.Backend
	switch format := audit.Format(o.logFormat); o.logPath {
	case "":
	case standardOut:
		backends = append(backends, audit.NewStream(out, format, o.log.config(m)))
	default:
		file, err := audit.NewFile(o.logPath, o.rotation, format, o.log.config(m))
		if err != nil {
			return nil, fmt.Errorf("--audit-log-path: %w", err)
		}
		backends = append(backends, file)
	}
	if o.webhookFile != "" {
		to, err := kubeconfigs{"--audit-webhook-config-file", []string{o.webhookFile}}.config()
		if err != nil {
			return nil, err
		}
		to.UserAgent = userAgent()
		webhook, err := audit.NewWebhook(to, o.webhookBackoff, o.webhook.config(m))
		if err != nil {
			return nil, fmt.Errorf("--audit-webhook-config-file: in %s, %w", o.webhookFile, err)
		}
		backends = append(backends, webhook)
	}
	return audit.New(policy, m, backends...), nil
}

// runAuditor has a run from now on until front has answered its last request, and has it finish before the store is closed.
func runAuditor(ctx context.Context, a *audit.Auditor, front *delegation.GenericAPIServer) error {
	if a == nil {
		return nil
	}
	ctx, end := context.WithCancel(context.WithoutCancel(ctx)) // requests that are being drained are written down
	ended := make(chan error, 1)
	stop := func() error {
		end()
		return <-ended
	}
	if err := front.AddDestroyFunc("audit", stop); err != nil {
		end()
		return err
	}
	go func() { ended <- a.Run(ctx) }()
	return nil
}
