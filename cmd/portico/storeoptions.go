package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/portico-api/portico/delegation"
	"github.com/portico-api/portico/delegation/storage"
	"github.com/portico-api/portico/metrics"
)

// storeOptions are the flags that say where objects are kept.
type storeOptions struct {
	servers            []string
	prefix             string
	caFile             string
	certFile           string
	keyFile            string
	compactionInterval time.Duration
	healthcheckTimeout time.Duration
	readycheckTimeout  time.Duration
	listen             string
}

func (o *storeOptions) addFlags(flags *pflag.FlagSet) {
	flags.StringSliceVar(&o.servers, "etcd-servers", nil, "URLs of an etcd cluster to store in, instead of the embedded one.")
	flags.StringVar(&o.prefix, "etcd-prefix", "/registry", "Prefix of every key in the store.")
	flags.StringVar(&o.caFile, "etcd-cafile", "", "PEM file with the authorities of the etcd cluster's certificates.")
	flags.StringVar(&o.certFile, "etcd-certfile", "", "PEM file with the client certificate for the etcd cluster.")
	flags.StringVar(&o.keyFile, "etcd-keyfile", "", "PEM file with the key of --etcd-certfile.")
	flags.DurationVar(&o.compactionInterval, "etcd-compaction-interval", 5*time.Minute, "How long the store keeps its history at least, for watches that go on and lists that are read in pages; 0 keeps it for ever.")
	flags.DurationVar(&o.healthcheckTimeout, "etcd-healthcheck-timeout", 2*time.Second, "How long /healthz and /livez wait for the store.")
	flags.DurationVar(&o.readycheckTimeout, "etcd-readycheck-timeout", 2*time.Second, "How long /readyz waits for the store.")
	flags.StringVar(&o.listen, "storage-listen", "", "unix://PATH of a socket, with mode 0600, that lets etcdctl into the embedded store; empty for none.")
}

const socketScheme = "unix://"

func (o *storeOptions) validate() error {
	switch path, isSocket := strings.CutPrefix(o.listen, socketScheme); {
	case (o.certFile == "") != (o.keyFile == ""):
		return errors.New("--etcd-certfile and --etcd-keyfile go together: give both or neither")
	case len(o.servers) == 0 && o.caFile+o.certFile != "":
		return errors.New("--etcd-cafile and --etcd-certfile are for a cluster: give --etcd-servers too")
	case !strings.HasPrefix(o.prefix, "/"):
		return fmt.Errorf("--etcd-prefix %q must begin with a slash", o.prefix)
	case o.compactionInterval < 0:
		return fmt.Errorf("--etcd-compaction-interval %v is negative: choose 0s or more", o.compactionInterval)
	case o.healthcheckTimeout <= 0:
		return fmt.Errorf("--etcd-healthcheck-timeout %v leaves no time for an answer: choose more than 0s", o.healthcheckTimeout)
	case o.readycheckTimeout <= 0:
		return fmt.Errorf("--etcd-readycheck-timeout %v leaves no time for an answer: choose more than 0s", o.readycheckTimeout)
	case o.listen != "" && (!isSocket || path == ""):
		return fmt.Errorf("--storage-listen %q is no socket: give unix://PATH", o.listen)
	case o.listen != "" && len(o.servers) > 0:
		return errors.New("--storage-listen is for the embedded store: ask the servers of --etcd-servers directly")
	}
	return nil
}

// open returns the store that the flags name.
func (o *storeOptions) open(ctx context.Context, dataDir string, m *metrics.Storage) (*storage.Store, error) {
	compaction := o.compactionInterval
	if compaction == 0 {
		compaction = -1
	}
	store, err := storage.Open(ctx, storage.Config{
		DataDir:            dataDir,
		Servers:            o.servers,
		Prefix:             o.prefix,
		CAFile:             o.caFile,
		CertFile:           o.certFile,
		KeyFile:            o.keyFile,
		Listen:             strings.TrimPrefix(o.listen, socketScheme),
		CompactionInterval: compaction,
		Metrics:            m,
		OnFailure:          endProcess,
	})
	if errors.Is(err, storage.ErrHandshake) {
		return nil, fmt.Errorf("%w; check --etcd-cafile, --etcd-certfile and --etcd-keyfile", err)
	}
	return store, err
}

// endProcess ends a process whose store can acknowledge nothing any more. Draining is of no use then, and whoever supervises
// the process starts it again, which tells what is wrong or finds it mended.
func endProcess(err error) {
	fmt.Fprintln(os.Stderr, "portico:", err)
	os.Exit(1)
}

// healthChecks are the store's, under the names that clients know.
func (o *storeOptions) healthChecks(front *delegation.GenericAPIServer, store *storage.Store) error {
	return errors.Join(
		front.AddHealthChecks(delegation.NewHealthCheck("etcd", o.healthcheckTimeout, store.Health)),
		front.AddReadyzChecks(delegation.NewHealthCheck("etcd-readiness", o.readycheckTimeout, store.Health)),
	)
}
